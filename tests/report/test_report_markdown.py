"""The summary for a pull request: short, complete, and nothing in it acts."""

import re

from flametest.report import render_markdown
from tests.report.sample_result import failed_result, hostile_result, inconclusive_result, passed_result


def said(text: str) -> str:
    return text.replace("\N{NO-BREAK SPACE}", " ")


def test_the_verdict_stands_in_the_first_line_as_icon_and_word() -> None:
    assert render_markdown(passed_result()).startswith("## ✅ PASSED")
    assert render_markdown(failed_result()).startswith("## ❌ FAILED")
    assert render_markdown(inconclusive_result()).startswith("## ⚠️ INCONCLUSIVE")


def test_every_criterion_is_a_row_with_value_limit_and_verdict() -> None:
    text = said(render_markdown(failed_result()))
    assert (
        "| User-visible outage | 12.40 ± 0.06 s | ≤ 10 s | ❌ failed | 1.50 s less than in the last run (better) |"
        in text
    )
    rows = [line for line in text.splitlines() if line.startswith("| ") and "Criterion" not in line]
    assert len(rows) == sum(len(one.criteria) for one in failed_result().scenarios)


def test_checks_are_named_only_when_they_raise_doubt() -> None:
    assert "Steady before the fault" in render_markdown(inconclusive_result())
    assert "prober" not in render_markdown(passed_result())


def test_the_advice_of_findings_is_told() -> None:
    assert "proxy\\_next\\_upstream" in render_markdown(failed_result())


def test_hostile_names_are_neither_markup_nor_mentions_nor_links() -> None:
    text = render_markdown(hostile_result())
    text.encode()
    assert "<" not in text
    assert not re.search(r"@\w", text)
    assert "](" not in text.replace("\\](", "")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {6}


def test_the_same_result_gives_the_same_text() -> None:
    assert render_markdown(failed_result()) == render_markdown(failed_result())
