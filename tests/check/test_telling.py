"""A check is told in one sentence with interval and cost, and names of others cannot become markup."""

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from flametest.check.telling import junit, result_lines, result_sentence, summary, write_result
from flametest.model.check import CheckedFigure, CheckResult, Judgement
from flametest.model.measures import Bracket
from flametest.report.annotations import annotations


def result(judgement: Judgement, shift: float | None = 104.2) -> CheckResult:
    interval = None if shift is None else Bracket(71.0, 141.0)
    p95 = CheckedFigure(
        *("p95_ms", "95th percentile of latency", "ms", 62.4, 166.1, (104.2,) * 8, shift, interval, 30.0), judgement
    )
    availability = CheckedFigure(
        *("availability", "Requests answered well", "ratio", 1.0, 0.9951, (0.0,) * 8, -0.001, Bracket(-0.002, 0.0)),
        *(0.003, Judgement.SAME),
    )
    found = CheckResult(
        judgement, "", "/trees/main", "pod-delete-api", 7, 291.6, (availability, p95), (), "", "flametest check"
    )
    return replace(found, sentence=result_sentence(found))


def test_the_sentence_names_what_decided_with_its_interval() -> None:
    told = result(Judgement.WORSE).sentence
    assert told == (
        "under the fault pod-delete-api, compared with /trees/main: 95th percentile of latency: +104 ms [+71, +141]"
    )


def test_the_lines_show_all_figures_and_the_cost() -> None:
    lines = result_lines(result(Judgement.WORSE))
    assert "SAME" in lines[0]
    assert "100.00 % to 99.51 %, -0.1 percentage points [-0.2, +0]" in lines[0]
    assert "62 ms to 166 ms" in lines[1]
    assert lines[2].startswith("WORSE THAN THE BASE: ")
    assert lines[3] == "cost: 292 s, 0 blocks"


def test_what_cannot_be_told_says_why() -> None:
    doubted = replace(result(Judgement.UNTOLD), doubt="no fault was injected into new in quad 1: refused")
    assert result_sentence(doubted) == (
        "the trees cannot be distinguished: no fault was injected into new in quad 1: refused"
    )
    assert "not measured" in summary(result(Judgement.UNTOLD, shift=None))


def test_the_summary_is_markdown_in_which_names_are_text() -> None:
    text = summary(replace(result(Judgement.WORSE), fault="<b>*@team*"))
    assert text.startswith("## ❌ Worse than the base: ")
    assert "<b>" not in text
    assert "@team" not in text
    assert "in at most 5 % of all checks" in text


@pytest.mark.parametrize(
    ("judgement", "tag", "told"),
    [
        (Judgement.WORSE, "failure", "worse than the base: +104 ms [+71, +141]"),
        (Judgement.UNTOLD, "error", "cannot be told: +104 ms [+71, +141]"),
        (Judgement.SAME, "", ""),
        (Judgement.BETTER, "", ""),
    ],
)
def test_a_figure_is_a_case_that_fails_when_it_is_worse(judgement: Judgement, tag: str, told: str) -> None:
    text = junit(result(judgement))
    cases = {case.get("name"): case for case in ElementTree.fromstring(text).iter("testcase")}
    assert set(cases) == {"availability", "p95_ms"}
    assert [outcome.tag for outcome in cases["p95_ms"]] == [tag or "system-out"]
    assert any(told in line for line in annotations(text)) is bool(tag)


def test_a_check_that_does_not_count_has_a_case_that_says_so() -> None:
    doubted = replace(result(Judgement.UNTOLD), doubt="refused", figures=())
    (case,) = ElementTree.fromstring(junit(replace(doubted, sentence="it cannot be told: refused"))).iter("testcase")
    assert [(one.tag, one.get("message")) for one in case] == [("error", "it cannot be told: refused")]


def test_all_files_are_written(tmp_path: Path) -> None:
    write_result(result(Judgement.BETTER), tmp_path)
    written = json.loads((tmp_path / "check.json").read_text())
    assert (written["judgement"], written["figures"][1]["interval"]) == ("better", {"low": 71.0, "high": 141.0})
    assert (tmp_path / "summary.md").read_text().startswith("## ✅ Better than the base")
    assert (tmp_path / "junit.xml").read_text().count("<testcase") == 2
