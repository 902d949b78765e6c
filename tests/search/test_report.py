"""The page of a search says what breaks, why each part is needed, what held and what was not tried."""

from dataclasses import replace
from pathlib import Path

from click.testing import CliRunner

from flametest.cli.main import main
from flametest.model.search import (
    SCHEMA_VERSION,
    Asked,
    DoseTold,
    FoundTold,
    LetterTold,
    SearchResult,
    SetTold,
    TrialTold,
    Without,
    outcome_headline,
)
from flametest.model.verdict import Bound, Limit, Verdict
from flametest.report import render_search
from flametest.run.exitcodes import ExitCode
from flametest.search.journal import Journal

ASKED = Asked(
    (Limit("availability", Bound.AT_LEAST, 0.99),), (), 2, "likeliest", 1, 0, (4.0, 2.0), False, "flametest search"
)
PAIR = (DoseTold("redis-outage", ""), DoseTold("slow-logic", "500 ms later"))
FOUND = FoundTold(
    name="found-redis-outage-and-slow-logic",
    doses=PAIR,
    hold_seconds=2.0,
    reason="logic needs redis",
    breaks=5,
    holds=0,
    is_confirmed=True,
    is_minimal=True,
    doubts=(),
    sentence="availability: 71 % is under the limit of 99 %",
    without=(
        Without(("redis-outage",), 3, 0, "nothing was felt"),
        Without(("slow-logic",), 3, 0, "<b>it was slow</b>"),
    ),
    experiment="found/found-redis-outage-and-slow-logic.json",
    record="trials/0007",
)
RESULT = SearchResult(
    schema_version=SCHEMA_VERSION,
    asked=ASKED,
    cluster="sandbox",
    cluster_note="an embedded cluster",
    namespace="flametest",
    url="http://127.0.0.1:30080",
    letters=(LetterTold("slow-logic", "logic is slow", "degraded", "logic", ("1000 ms later",), "needs graph"),),
    letters_left_out=("node-drain: no node may be hit here",),
    paths={"/": ("logic", "redis")},
    started_wall_s=1.8e9,
    seconds=321.0,
    trials=(TrialTold(1, "/0", (), 4.0, "holds", 0.0, "calm", {"availability": 1.0}, "trials/0001", 1.8e9, 9.0),),
    held=(SetTold(("redis-outage",), "nothing is known to stand in for redis", 0, 1, 0),),
    left_out={"no path goes through all parts that are hit": 12},
    is_over=True,
)


def test_a_search_that_found_nothing_and_tried_everything_has_passed() -> None:
    assert RESULT.verdict is Verdict.PASSED
    assert outcome_headline(RESULT) == "no set of up to 2 faults breaks the promise (1 trial)"


def test_a_confirmed_set_fails_it_and_one_in_doubt_leaves_it_open() -> None:
    assert replace(RESULT, found=(FOUND,)).verdict is Verdict.FAILED
    assert replace(RESULT, found=(replace(FOUND, is_confirmed=False),)).verdict is Verdict.INCONCLUSIVE
    assert replace(RESULT, is_over=False).verdict is Verdict.INCONCLUSIVE
    assert replace(RESULT, trouble="the system is ill").verdict is Verdict.INCONCLUSIVE


def test_the_page_tells_what_broke_beyond_what_was_asked_for_and_what_held_without_any_fault() -> None:
    beyond = SetTold(("redis-outage", "slow-logic", "pod-delete-api"), "likely", 1, 0, 0)
    single = replace(FOUND, doses=PAIR[:1], without=(Without((), 3, 0, "nothing was felt"),))

    page = render_search(replace(RESULT, found=(single,), beyond=(beyond,)))

    assert "redis-outage and slow-logic and pod-delete-api" in page
    assert '<th scope="row">no fault</th>' in page
    assert "with more faults than were asked for" not in render_search(RESULT)


def test_the_page_tells_the_set_why_each_part_is_needed_and_what_was_not_tried() -> None:
    page = render_search(replace(RESULT, found=(FOUND,)))

    for told in (
        "redis-outage and slow-logic (500 ms later)",
        "Why each part is needed",
        "held 3 times, broke 0 times",
        "chaos run found/found-redis-outage-and-slow-logic.json",
        'href="trials/0007/report.html"',
        "no path goes through all parts that are hit",
        "node-drain",
        "availability at least 0.99",
    ):
        assert told in page
    assert "FAILED" in page
    assert "<b>it was slow</b>" not in page


def test_the_page_is_one_file_that_asks_for_nothing() -> None:
    page = render_search(RESULT)

    assert "<script" not in page
    assert "http-equiv" in page
    assert "default-src 'none'" in page
    assert not any(mark in page for mark in ("src=", "@import", "url("))


def test_a_search_is_rendered_again_and_exits_as_it_did(tmp_path: Path) -> None:
    Journal(tmp_path, RESULT).write(replace(RESULT, found=(FOUND,)))

    outcome = CliRunner().invoke(main, ["report", str(tmp_path)], standalone_mode=False)

    assert outcome.return_value == ExitCode.LIMIT_MISSED
    assert "the promise breaks by redis-outage and slow-logic" in outcome.output
    assert "Why each part is needed" in (tmp_path / "report.html").read_text()
