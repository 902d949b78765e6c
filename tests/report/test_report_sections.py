"""Trials, baseline, self-test, cloud and levels on the page: every figure, in words and shapes, and nothing made up."""

import dataclasses
import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.model.measures import AnswerCount
from flametest.model.result import Check, Density, Result
from flametest.model.trials import TrialFigure
from flametest.model.verdict import Verdict
from flametest.report import render_html
from flametest.report.baseline import baseline_view
from flametest.report.svg.cloud import draw_cloud
from flametest.report.svg.frame import frame_of
from flametest.report.svg.trials import draw_trials
from flametest.report.tables import cloud_table, level_table
from flametest.report.trials import trials_view
from flametest.report.trust import trust_view
from tests.report.sample_parts import comparison, self_test
from tests.report.sample_result import failed_result, full_result, passed_result, scenario


def said(text: str) -> str:
    """Return the text of a page as it is read."""
    return " ".join(html.unescape(re.sub("<[^>]+>", " ", text)).replace("\N{NO-BREAK SPACE}", " ").split())


def test_the_sections_stand_in_the_order_of_the_specification() -> None:
    page = render_html(full_result())
    order = [
        'id="verdict"', 'class="cards"', 'id="matrix"', 'id="scenario-1-rates"', 'id="scenario-1-latency"',
        'id="scenario-1-cloud"', 'id="scenario-1-steps"', 'id="scenario-1-pods"', 'id="scenario-1-level"',
        'id="scenario-1-budget"', 'id="scenario-1-waterfall"', 'id="scenario-1-trials"', 'id="scenario-1-served"',
        'id="writes"', 'id="baseline"', 'id="findings"', 'id="trust"', 'id="appendix"',
    ]  # fmt: skip
    places = [page.index(one) for one in order]
    assert places == sorted(places)


def test_every_chart_has_a_table_behind_it() -> None:
    page = render_html(full_result())
    charts = set(re.findall(r'id="scenario-1-(\w+)"', page)) - {"served"}
    assert charts <= set(re.findall(r'data-chart="(\w+)"', page)) | {"budget"}  # which the table of the level holds


def test_each_trial_is_a_mark_and_a_censored_one_an_arrow() -> None:
    trials = full_result().scenarios[0].trials
    assert trials is not None
    steady = [one for one in trials.summaries if one.name == "steady_seconds"]
    drawn = draw_trials(steady, "key", is_narrow=False)
    measured = [one for one in steady[0].figures if one.value is not None]
    assert len(re.findall(r"<g><title>trial \d+", drawn)) == len(measured)
    assert drawn.count("more than 30.0") == 2  # the mark's own text, and the description of the whole
    assert "l5 4-5 4" in drawn


def test_what_was_not_measured_in_a_trial_is_counted() -> None:
    one = full_result().scenarios[0]
    view = trials_view(one)
    assert view is not None
    assert "1 of 10 not measured" in render_html(full_result())
    assert view.figures.rows[3][1:] == ("–",) * (len(view.figures.columns) - 1)
    assert [row.is_shown for row in view.trials] == [True] + [False] * 9


def test_trials_of_which_none_was_measured_can_be_drawn() -> None:
    trials = full_result().scenarios[0].trials
    assert trials is not None
    nothing = dataclasses.replace(
        trials.summaries[-1],
        figures=(TrialFigure(1, None, False, Verdict.INCONCLUSIVE),),
        median=None,
        worst=None,
        mean=None,
        interval=None,
        limit=None,
    )
    drawn = draw_trials([nothing], "key", is_narrow=True)
    assert "no median" in drawn
    assert "nan" not in drawn.lower()


def test_a_scenario_with_one_trial_has_no_part_about_trials() -> None:
    assert trials_view(scenario()) is None
    assert "<h4>Trials</h4>" not in render_html(passed_result())


def test_every_compared_criterion_tells_its_shift_and_its_judgement() -> None:
    page = said(render_html(full_result()))
    for one in comparison().criteria:
        assert one.title in page
        assert one.note in page
    assert "+10.4 s (+7.28 s to +13.5 s)" in page
    assert "too few trials to tell" in page
    assert "Only the baseline has redis-loss." in page


def test_the_margin_of_a_criterion_that_may_not_fall_lies_below() -> None:
    view = baseline_view(full_result())
    assert view is not None
    margins = {row.title: row.margin for row in view.rows}
    assert margins["Availability"].startswith("\N{MINUS SIGN}")
    assert margins["User-visible outage"].startswith("+")


def test_too_few_trials_are_no_success() -> None:
    view = baseline_view(full_result())
    assert view is not None
    assert {row.verdict for row in view.rows if "too few" in row.change} == {Verdict.INCONCLUSIVE}


def test_a_run_without_a_baseline_has_no_section_about_it() -> None:
    assert baseline_view(failed_result()) is None
    assert 'id="baseline"' not in render_html(failed_result())


def test_a_self_test_that_missed_its_target_is_told_under_the_headline() -> None:
    missed = dataclasses.replace(failed_result(), self_test=self_test(Verdict.INCONCLUSIVE))
    page = said(render_html(missed))
    assert page.index("missed its target: hanging") < page.index("Key figures")
    assert trust_view(missed).verdict is Verdict.INCONCLUSIVE
    assert "81.0 ms (≤ 50 ms)" in page


def test_a_doubt_comes_before_what_passed() -> None:
    doubted = Check("clock_drift", "The clocks agree", Verdict.INCONCLUSIVE, "3 s in 81 s")
    fine, bad = scenario("fine"), scenario("bad")
    bad = dataclasses.replace(bad, checks=(*bad.checks[:-1], doubted))
    rows = trust_view(dataclasses.replace(passed_result(), scenarios=(fine, bad))).checks
    clocks = next(row for row in rows if row.title == "The clocks agree")
    assert [[name for _, name in one.where] for one in clocks.seen] == [["bad"], ["fine"]]
    assert clocks.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("section", "anchor"),
    [
        ("latency", "scenario-1-latency"),
        ("served", "scenario-1-served"),
        ("waterfall", "scenario-1-waterfall"),
        ("trials", "scenario-1"),  # this run has none
        ("writes", "writes"),
        ("trust", "trust"),
        ("", "scenario-1"),
        ("javascript:", "scenario-1"),
    ],
)
def test_a_finding_links_to_its_evidence(section: str, anchor: str) -> None:
    failed = failed_result()
    first = failed.scenarios[0]
    finding = dataclasses.replace(first.findings[0], section=section)
    result = dataclasses.replace(failed, scenarios=(dataclasses.replace(first, findings=(finding,)),))
    evidence = re.search(r"<dt>Evidence.*?</dd>", render_html(result), re.DOTALL)
    assert evidence is not None
    assert f'href="#{anchor}"' in evidence.group()


cells = st.dictionaries(
    st.tuples(st.integers(0, 99), st.integers(0, 47)), st.integers(min_value=1, max_value=500), max_size=200
)


def cloud(good: dict[tuple[int, int], int], bad: dict[tuple[int, int], int]) -> Density:
    return Density(
        start_seconds=-20.0,
        bin_seconds=0.8,
        columns=100,
        latency_low_ms=0.5,
        latency_high_ms=2000.0,
        rows=48,
        good=tuple((*cell, number) for cell, number in sorted(good.items())),
        bad=tuple((*cell, number) for cell, number in sorted(bad.items())),
    )


def drawn_cloud(density: Density, columns_max: int = 240) -> str:
    one = scenario()
    assert one.series is not None
    frame = frame_of(one, one.series, "key", is_narrow=False, points_max=600)
    return draw_cloud(density, frame, 250.0, columns_max=columns_max)


def drawn_cells(drawing: str) -> list[tuple[int, int]]:
    """Return every cell that the dashes of a drawing cover."""
    found = []
    for path in re.findall(r'<path d="M0 0(m[^"]*)"', drawing):
        x, y = 0, 0
        for dx, dy, length in re.findall(r"m(-?\d+) ?(-?\d+)h(\d+)", path):
            x, y = x + int(dx), y + int(dy)
            found += [(x + step, y) for step in range(int(length))]
            x += int(length)
    return found


@given(cells)
def test_every_cell_of_the_cloud_is_drawn_once(good: dict[tuple[int, int], int]) -> None:
    found = drawn_cells(drawn_cloud(cloud(good, {})))
    assert len(found) == len(set(found))
    assert set(found) == {(column, 47 - row) for column, row in good}


@given(cells, cells)
def test_the_description_and_the_table_count_every_request(
    good: dict[tuple[int, int], int], bad: dict[tuple[int, int], int]
) -> None:
    density = cloud(good, bad)
    total = sum(good.values()) + sum(bad.values())
    assert f"{total:,} requests by intended start" in drawn_cloud(density)
    rows = cloud_table(density).rows
    assert sum(int(text.replace(",", "")) for row in rows for text in row[1:]) == total


@given(cells, st.integers(min_value=8, max_value=99))
def test_joined_cells_stay_within_what_may_be_drawn(good: dict[tuple[int, int], int], columns_max: int) -> None:
    found = drawn_cells(drawn_cloud(cloud(good, {}), columns_max))
    assert all(0 <= column < columns_max and 0 <= row < 24 for column, row in found)
    assert bool(found) is bool(good)


def test_failures_are_crosses_and_not_only_red() -> None:
    density = cloud({(1, 5): 3}, {(10, 40): 2, (50, 2): 1})
    drawing = drawn_cloud(density)
    assert 'marker-start="url(#key-w-cross)"' in drawing
    assert ">failed</text>" in drawing
    assert "cross" not in drawn_cloud(cloud({(1, 5): 3}, {}))


def test_the_lost_seconds_are_printed_beside_the_level() -> None:
    page = render_html(failed_result())
    assert re.search(r">4\.13\s*s of full service lost</text>", page)
    assert ">nothing lost</text>" in page


def test_the_table_of_the_level_lists_only_what_was_lost() -> None:
    lossy, clean = scenario(outage_seconds=3.0).series, scenario().series
    assert lossy is not None
    assert clean is not None
    assert len(level_table(lossy, 100).rows) == sum(level < 1 for level in lossy.level)
    assert len(level_table(lossy, 4).rows) == 4
    assert level_table(clean, 100).rows == ()


def test_results_without_levels_or_cloud_are_drawn_with_the_axis_below_the_pods() -> None:
    one = scenario()
    assert one.series is not None
    plain = dataclasses.replace(one, density=None, series=dataclasses.replace(one.series, level=(), budget_used=()))
    page = render_html(dataclasses.replace(passed_result(), scenarios=(plain,)))
    assert "Service level" not in page
    wide = re.search(r'aria-labelledby="scenario-1-w-pods-title.*?</svg>', page, re.DOTALL)
    assert wide is not None
    assert "seconds from injection" in wide.group()


def test_a_run_in_progress_shows_its_progress_in_place_of_a_verdict() -> None:
    result: Result = failed_result()
    page = said(render_html(result, progress="scenario 1 of 2 goes on"))
    assert page.index("RUNNING") < page.index("Scenario 1 of 2 goes on.") < page.index("So far: ")
    assert "FAILED" not in page


def test_what_arrived_inside_is_shown_for_each_request_that_users_sent() -> None:
    page = said(render_html(full_result()))
    assert "for each one that users sent" in page
    assert "0.33 (560 in 28.0 s) 0.97 (812 in 14.0 s) –" in page
    assert "for each one that users sent" not in said(render_html(passed_result()))


def test_what_users_got_is_told_by_status_and_by_error() -> None:
    answers = (AnswerCount(200, "", 2351, 0.9719), AnswerCount(503, "", 67, 0.0277), AnswerCount(0, "refused", 1, 4e-4))
    result = passed_result()
    shown = dataclasses.replace(result.scenarios[0], answers=answers)
    page = said(render_html(dataclasses.replace(result, scenarios=(shown, *result.scenarios[1:]))))
    assert "2,351 × status 200 (97.19 %); 67 × status 503 (2.77 %); 1 × refused (0.04 %)" in page


def test_a_pod_that_was_ready_for_a_moment_has_a_reason_in_place_of_a_rate() -> None:
    one = scenario()
    spread = one.distribution[0]
    shares = (dataclasses.replace(spread.shares[0], rate=None, note="too short to tell: it was ready for 0.004 s"),)
    brief = dataclasses.replace(one, distribution=(dataclasses.replace(spread, shares=(*shares, *spread.shares[1:])),))
    page = said(render_html(dataclasses.replace(passed_result(), scenarios=(brief,))))
    assert "requests, too short to tell: it was ready for 0.004 s" in page


def test_what_a_disturbed_edge_did_is_a_row_a_rule() -> None:
    page = render_html(full_result())
    for text in ("what was done", "frontend → logic", "delay by 60 ms (GET, /a)", "1,400", "140", "139"):
        assert text in page
    assert "as its proxy counted them" not in render_html(failed_result())
