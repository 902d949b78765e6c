"""The verdict for machines: JUnit XML with one test case for each criterion and each check."""

from collections.abc import Iterable
from xml.etree import ElementTree

from flametest.model.measures import Durability
from flametest.model.result import Result, ScenarioResult
from flametest.model.verdict import worst
from flametest.report.faults import FAULT_COLUMNS, fault_rows
from flametest.report.figures import Shown, show
from flametest.report.junitxml import Case, document, suite
from flametest.report.repeated import repeated_words
from flametest.report.writes import WRITES_CRITERION, offence_lists, tally

__all__ = ["render_junit"]


def render_junit(result: Result) -> str:
    """Return the result as JUnit XML."""
    suites = [_suite(result, scenario) for scenario in result.scenarios]
    # A verdict that no case carries would be green: a run without scenarios, or one judged worse as a whole.
    if result.verdict is not worst(scenario.verdict for scenario in result.scenarios) or not suites:
        suites.append(suite("run", result.duration_seconds, [Case("verdict", result.verdict, result.headline, "")]))
    return document(suites, result.duration_seconds)


def _suite(result: Result, scenario: ScenarioResult) -> ElementTree.Element:
    cases = [_criterion_case(scenario, show(result, scenario, criterion)) for criterion in scenario.criteria]
    cases += [
        Case(f"check {check.name}", check.verdict, f"{check.title}: {check.detail}", check.detail)
        for check in scenario.checks
    ]
    if not cases or scenario.verdict is not worst(case.verdict for case in cases):
        cases.append(Case("verdict", scenario.verdict, scenario.sentence, scenario.title))
    return suite(scenario.name, scenario.duration_seconds, cases, _properties(result, scenario))


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


def _criterion_case(scenario: ScenarioResult, shown: Shown) -> Case:
    criterion = shown.criterion
    limit = f"limit {shown.limit}" if shown.limit else "no limit"
    text = f"{criterion.title}: {shown.value} ({limit}{'; ' + shown.change if shown.change else ''})"
    if criterion.name == WRITES_CRITERION and scenario.durability is not None:
        text = "\n".join([text, tally(scenario.durability), *_offences(scenario.durability)])
    return Case(criterion.name, criterion.verdict, criterion.reason, text)


def _offences(durability: Durability) -> Iterable[str]:
    for one in offence_lists(durability):
        yield f"{one.title}:"
        yield from one.ids
        if one.left_out:
            yield f"and {one.left_out} more"
