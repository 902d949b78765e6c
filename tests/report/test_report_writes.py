"""Writes in every rendering: counts, and what was lost by its ids; not measured is said and never shown as zero."""

import dataclasses

import pytest

from flametest.model.measures import BrokenLaw, Durability, Offences
from flametest.model.result import Result, ScenarioResult
from flametest.model.verdict import Bound, Criterion, Limit, Verdict
from flametest.report import render_html, render_junit, render_markdown
from tests.report.sample_result import HOSTILE, passed_result, scenario
from tests.report.test_report_page import Page

NONE = Offences(0, ())
LAWS = (BrokenLaw("oversold", NONE), BrokenLaw("off the books", NONE))
SOUND = Durability(640, 58, 612, 1, 3, 613, NONE, NONE, NONE, NONE, LAWS, "", 8, "sold_out", "orders")
LIMIT = Limit("write_anomalies", Bound.AT_MOST, 0.0, "default")


def wrote(name: str, durability: Durability, value: float | None, reason: str) -> ScenarioResult:
    """Return a scenario with a ledger."""
    verdict = Verdict.INCONCLUSIVE if value is None else Verdict.FAILED if value else Verdict.PASSED
    criterion = Criterion("write_anomalies", "Writes lost or duplicated", "count", value, None, LIMIT, verdict, reason)
    one = scenario(name)
    return dataclasses.replace(one, durability=durability, criteria=(*one.criteria, criterion), verdict=verdict)


def run_of(*scenarios: ScenarioResult) -> Result:
    """Return a run."""
    return dataclasses.replace(passed_result(), scenarios=scenarios)


def text_of(result: Result) -> str:
    """Return the page's text with ordinary spaces."""
    return Page(render_html(result)).text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.fixture
def sound() -> ScenarioResult:
    return wrote("pod-delete-api", SOUND, 0.0, "0 of 612 acknowledged orders were lost")


@pytest.fixture
def spoilt() -> ScenarioResult:
    lost = Offences(60, tuple(f"ledger-a-{number} (order {number})" for number in range(50)))
    twice = Offences(1, ("ledger-a-77 (order 77, order 91)",))
    durability = dataclasses.replace(SOUND, lost=lost, duplicated=twice)
    return wrote("postgres-outage", durability, 61.0, "60 of 612 acknowledged orders were lost, 1 kept twice")


@pytest.fixture
def unread() -> ScenarioResult:
    durability = dataclasses.replace(SOUND, kept=0, problem="nothing was read back")
    return wrote("node-loss", durability, None, "not measured: nothing was read back")


def test_the_card_adds_up_all_scenarios_and_shows_the_worst_verdict(
    sound: ScenarioResult, spoilt: ScenarioResult
) -> None:
    assert "Writes lost or duplicated 0 of 1,224 passed , limit ≤ 0" in text_of(run_of(sound, sound))
    text = text_of(run_of(sound, spoilt))
    assert "Writes lost or duplicated 61 of 1,224 failed , limit ≤ 0" in text
    assert "60 of 612 acknowledged orders were lost, 1 kept twice" in text


def test_what_was_lost_or_kept_twice_is_named(sound: ScenarioResult, spoilt: ScenarioResult) -> None:
    text = text_of(run_of(sound, spoilt))
    assert "60 lost" in text
    assert "ledger-a-49 (order 49)" in text
    assert "10 more are not shown" in text
    assert "ledger-a-77 (order 77, order 91)" in text


def test_the_table_has_a_row_a_scenario_and_their_sum(sound: ScenarioResult, spoilt: ScenarioResult) -> None:
    text = text_of(run_of(sound, spoilt))
    assert "612 3 8 1 0 0 0 0 0 0 passed" in text
    assert "612 3 8 1 60 0 1 0 0 0 failed" in text
    assert "all 1,224 6 16 2 60 0 1 0 0 0" in text


def test_writes_that_were_not_read_back_are_no_zeros(unread: ScenarioResult) -> None:
    text = text_of(run_of(unread))
    assert "612 3 8 1 – – – – – – inconclusive" in text
    assert "Not judged: nothing was read back" in text
    assert "Writes lost or duplicated not measured inconclusive" in text


def test_a_system_without_a_shop_is_not_measured_and_says_why() -> None:
    one = dataclasses.replace(scenario(), durability_note="the system has no ticket shop")
    text = text_of(run_of(one))
    assert "this run kept no ledger of its writes: the system has no ticket shop" in text
    assert "Not measured: the system has no ticket shop." in text


def test_junit_has_a_case_with_the_ids_in_its_failure(spoilt: ScenarioResult, unread: ScenarioResult) -> None:
    text = render_junit(run_of(spoilt, unread))
    assert 'message="60 of 612 acknowledged orders were lost, 1 kept twice"' in text
    assert "612 acknowledged, 3 unknown, 8 refused (sold_out), 1 failed" in text
    assert "ledger-a-77 (order 77, order 91)" in text
    assert "and 10 more" in text
    assert 'message="not measured: nothing was read back"' in text


def test_the_summary_names_the_first_ids_only(spoilt: ScenarioResult) -> None:
    text = render_markdown(run_of(spoilt))
    assert "Writes: 612 acknowledged, 3 unknown, 8 refused (sold_out), 1 failed." in text
    assert "- **60 lost**: ledger-a-0 (order 0)" in text
    assert "and 55 more" in text
    assert "ledger-a-5 (" not in text


def test_hostile_ids_are_text(spoilt: ScenarioResult) -> None:
    assert spoilt.durability is not None
    hostile = dataclasses.replace(
        spoilt, durability=dataclasses.replace(spoilt.durability, lost=Offences(1, (HOSTILE,)))
    )
    html = render_html(run_of(hostile))
    assert "<script>alert(1)" not in html
    assert "<img" not in html
    assert "<" not in render_markdown(run_of(hostile))
    render_junit(run_of(hostile)).encode()
