"""The verdict for machines: JUnit XML with one test case for each criterion and each check.

Failed is a ``failure``; inconclusive is an ``error``, so that no server takes missing data for success. The format is
the one that Jenkins, GitLab and others read (testsuites, testsuite, properties, testcase).
"""

from collections.abc import Iterable
from xml.etree import ElementTree

from flametest.model.result import Result, ScenarioResult
from flametest.model.verdict import Verdict, worst
from flametest.report.figures import show
from flametest.report.format import plain

__all__ = ["render_junit"]

_Element = ElementTree.Element
_TAGS = {Verdict.FAILED: "failure", Verdict.INCONCLUSIVE: "error"}


def render_junit(result: Result) -> str:
    """Return the result as JUnit XML."""
    suites = [_suite(result, scenario) for scenario in result.scenarios]
    # A verdict that no case carries would be green: a run without scenarios, or one judged worse as a whole.
    if result.verdict is not worst(scenario.verdict for scenario in result.scenarios) or not suites:
        suite = _element("testsuite", name="run", time=_seconds(result.duration_seconds))
        _case(suite, "run", "verdict", result.verdict, result.headline, "")
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
    for criterion in scenario.criteria:
        shown = show(result, scenario, criterion)
        limit = f"limit {shown.limit}" if shown.limit else "no limit"
        text = f"{criterion.title}: {shown.value} ({limit}{'; ' + shown.change if shown.change else ''})"
        _case(suite, scenario.name, criterion.name, criterion.verdict, criterion.reason, text)
    for check in scenario.checks:
        _case(
            suite, scenario.name, f"check {check.name}", check.verdict, f"{check.title}: {check.detail}", check.detail
        )
    carried = worst(one.verdict for one in (*scenario.criteria, *scenario.checks))
    if scenario.verdict is not carried or not suite.findall("testcase"):
        _case(suite, scenario.name, "verdict", scenario.verdict, scenario.sentence, scenario.title)
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
    for version in result.versions:
        yield f"version {version.component}", version.version


def _case(suite: _Element, scenario: str, name: str, verdict: Verdict, reason: str, text: str) -> None:
    case = _element("testcase", classname=f"flametest.{scenario}", name=name)
    if verdict in _TAGS:
        outcome = _element(_TAGS[verdict], message=reason, type=verdict.value)
        outcome.text = plain(text)
        case.append(outcome)
    elif text:
        output = ElementTree.SubElement(case, "system-out")
        output.text = plain(text)
    suite.append(case)


def _counted(suite: _Element) -> _Element:
    suite.set("tests", str(len(suite.findall("testcase"))))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", str(len(suite.findall("testcase/error"))))
    return suite


def _element(tag: str, /, **attributes: str) -> _Element:
    return ElementTree.Element(tag, {name: plain(value) for name, value in attributes.items()})


def _seconds(seconds: float) -> str:
    return f"{seconds:.3f}"
