"""JUnit: servers that read it count what the Result says, and never take missing data for success."""

import dataclasses
from xml.etree import ElementTree

import pytest

from flametest.model.result import Result
from flametest.model.verdict import Verdict
from flametest.report import render_junit
from tests.report.sample_result import (
    failed_result,
    hostile_result,
    inconclusive_result,
    passed_result,
    scenario,
    unmeasured_scenario,
)


def parsed(result: Result) -> ElementTree.Element:
    text = render_junit(result)
    return ElementTree.fromstring(text.encode())


@pytest.mark.parametrize(
    "result", [passed_result(), failed_result(), inconclusive_result()], ids=lambda one: one.verdict
)
def test_there_is_one_case_for_each_criterion_and_each_check(result: Result) -> None:
    root = parsed(result)
    for suite, one in zip(root.findall("testsuite"), result.scenarios, strict=True):
        assert suite.get("name") == one.name
        names = [case.get("name") for case in suite.findall("testcase")]
        assert names == [each.name for each in one.criteria] + [f"check {each.name}" for each in one.checks]


@pytest.mark.parametrize(
    "result", [passed_result(), failed_result(), inconclusive_result()], ids=lambda one: one.verdict
)
def test_failed_is_a_failure_and_inconclusive_is_an_error(result: Result) -> None:
    root = parsed(result)
    judged = [each.verdict for one in result.scenarios for each in one.criteria]
    judged += [each.verdict for one in result.scenarios for each in one.checks]
    counted = {name: int(root.get(name, "")) for name in ("tests", "failures", "errors")}
    assert counted == {
        "tests": len(judged),
        "failures": judged.count(Verdict.FAILED),
        "errors": judged.count(Verdict.INCONCLUSIVE),
    }
    assert len(root.findall(".//failure")) == counted["failures"]
    assert len(root.findall(".//error")) == counted["errors"]


def test_a_failure_says_why_with_figure_and_limit() -> None:
    failure = parsed(failed_result()).find(".//testcase[@name='outage_seconds']/failure")
    assert failure is not None
    assert failure.get("message") == failed_result().scenarios[0].criteria[0].reason
    assert (
        (failure.text or "")
        .replace("\N{NO-BREAK SPACE}", " ")
        .startswith("User-visible outage: 12.40 ± 0.06 s (limit ≤ 10 s")
    )


def test_the_properties_hold_what_reproduces_the_run() -> None:
    found = {one.get("name"): one.get("value") for one in parsed(passed_result()).iter("property")}
    assert found["seed"] == "20261121"
    assert found["command"] == passed_result().command
    assert found["version chaostoolkit"] == "1.19.0"


def test_a_run_without_scenarios_is_an_error_not_an_empty_success() -> None:
    empty = dataclasses.replace(passed_result(), scenarios=(), verdict=Verdict.INCONCLUSIVE)
    root = parsed(empty)
    assert (root.get("tests"), root.get("errors")) == ("1", "1")


def test_a_scenario_judged_worse_than_its_parts_carries_its_verdict_in_a_case() -> None:
    worse = dataclasses.replace(scenario(), verdict=Verdict.INCONCLUSIVE)
    bare = dataclasses.replace(unmeasured_scenario(), checks=())
    root = parsed(dataclasses.replace(inconclusive_result(), scenarios=(worse, bare)))
    assert [suite.get("errors") for suite in root.findall("testsuite")] == ["1", "1"]


def test_hostile_names_keep_the_file_well_formed() -> None:
    assert int(parsed(hostile_result()).get("failures", "")) > 0
