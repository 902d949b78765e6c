"""The verdict for machines: JUnit XML with one test case for each criterion and each check.

Failed is a ``failure``; inconclusive is an ``error``, so that no server takes missing data for success. The format is
the one that Jenkins, GitLab and others read (testsuites, testsuite, properties, testcase).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from xml.etree import ElementTree

from flametest.model.measures import Durability
from flametest.model.result import Result, ScenarioResult
from flametest.model.verdict import Verdict, worst
from flametest.report.faults import FAULT_COLUMNS, fault_rows
from flametest.report.figures import Shown, show
from flametest.report.format import plain
from flametest.report.repeated import repeated_words
from flametest.report.writes import WRITES_CRITERION, offence_lists, tally

__all__ = ["render_junit"]

_Element = ElementTree.Element
_TAGS = {Verdict.FAILED: "failure", Verdict.INCONCLUSIVE: "error"}


def render_junit(result: Result) -> str:
    """Return the result as JUnit XML."""
    suites = [_suite(result, scenario) for scenario in result.scenarios]
    # A verdict that no case carries would be green: a run without scenarios, or one judged worse as a whole.
    if result.verdict is not worst(scenario.verdict for scenario in result.scenarios) or not suites:
        suite = _element("testsuite", name="run", time=_seconds(result.duration_seconds))
        _add_case(suite, "run", _Case("verdict", result.verdict, result.headline, ""))
        suites.append(suite)
    root = _element("testsuites", name="flametest", time=_seconds(result.duration_seconds))
    root.extend(_counted(suite) for suite in suites)
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in suites)))
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _suite(result: Result, scenario: ScenarioResult) -> _Element:
    suite = _element("testsuite", name=scenario.name, time=_seconds(scenario.duration_seconds))
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in _properties(result, scenario):
        properties.append(_element("property", name=name, value=value))
    cases = [_criterion_case(scenario, show(result, scenario, criterion)) for criterion in scenario.criteria]
    cases += [
        _Case(f"check {check.name}", check.verdict, f"{check.title}: {check.detail}", check.detail)
        for check in scenario.checks
    ]
    if not cases or scenario.verdict is not worst(case.verdict for case in cases):
        cases.append(_Case("verdict", scenario.verdict, scenario.sentence, scenario.title))
    for case in cases:
        _add_case(suite, scenario.name, case)
    return suite


def _properties(result: Result, scenario: ScenarioResult) -> Iterable[tuple[str, str]]:
    yield "run", result.run_id
    yield "cluster", result.cluster
    yield "cluster_note", result.cluster_note
    yield "namespace", result.namespace
    yield "url", result.url
    yield "suite", result.suite
    yield "seed", str(result.seed)
    yield "command", result.command
    yield "manifests_digest", result.manifests_digest
    yield "journal", scenario.journal
    if scenario.first_attempt is not None:
        yield "first attempt", repeated_words(scenario.first_attempt)
    for row in fault_rows(scenario):
        told = zip(FAULT_COLUMNS[1:], row[1:], strict=True)
        yield f"fault {row[0]}", "; ".join(f"{column}: {text}" for column, text in told)
    for note in result.notes:
        yield "note", note
    for version in result.versions:
        yield f"version {version.component}", version.version


@dataclass(frozen=True, slots=True)
class _Case:
    name: str
    verdict: Verdict
    reason: str
    text: str


def _add_case(suite: _Element, scenario: str, case: _Case) -> None:
    element = _element("testcase", classname=f"flametest.{scenario}", name=case.name)
    suite.append(element)
    if case.verdict in _TAGS:
        outcome = _element(_TAGS[case.verdict], message=case.reason, type=case.verdict.value)
        outcome.text = plain(case.text)
        element.append(outcome)
    elif case.text:
        ElementTree.SubElement(element, "system-out").text = plain(case.text)


def _criterion_case(scenario: ScenarioResult, shown: Shown) -> _Case:
    criterion = shown.criterion
    limit = f"limit {shown.limit}" if shown.limit else "no limit"
    text = f"{criterion.title}: {shown.value} ({limit}{'; ' + shown.change if shown.change else ''})"
    if criterion.name == WRITES_CRITERION and scenario.durability is not None:
        text = "\n".join([text, tally(scenario.durability), *_offences(scenario.durability)])
    return _Case(criterion.name, criterion.verdict, criterion.reason, text)


def _offences(durability: Durability) -> Iterable[str]:
    for one in offence_lists(durability):
        yield f"{one.title}:"
        yield from one.ids
        if one.left_out:
            yield f"and {one.left_out} more"


def _counted(suite: _Element) -> _Element:
    suite.set("tests", str(len(suite.findall("testcase"))))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", str(len(suite.findall("testcase/error"))))
    return suite


def _element(tag: str, /, **attributes: str) -> _Element:
    return ElementTree.Element(tag, {name: plain(value) for name, value in attributes.items()})


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"
