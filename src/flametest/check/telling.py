"""A check in words: the sentence, the lines on a terminal, and Markdown and JUnit XML for a pull request."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import TypeAdapter

from flametest.measure.words import amount
from flametest.model.check import CheckedFigure, CheckResult, Judgement
from flametest.model.verdict import Verdict
from flametest.report.junitxml import Case, document, suite
from flametest.report.markdown import escaped

__all__ = ["junit", "result_lines", "result_sentence", "summary", "write_result"]

RESULT_FILE, SUMMARY_FILE, JUNIT_FILE = "check.json", "summary.md", "junit.xml"
_RESULT: TypeAdapter[CheckResult] = TypeAdapter(CheckResult)
_ICONS = {Judgement.WORSE: "❌", Judgement.UNTOLD: "⚠️", Judgement.SAME: "✅", Judgement.BETTER: "✅"}
_HEADS = {
    Judgement.WORSE: "worse than the base",
    Judgement.UNTOLD: "cannot be told",
    Judgement.SAME: "not worse than the base",
    Judgement.BETTER: "better than the base",
}
_VERDICTS = {
    Judgement.WORSE: Verdict.FAILED,
    Judgement.UNTOLD: Verdict.INCONCLUSIVE,
    Judgement.SAME: Verdict.PASSED,
    Judgement.BETTER: Verdict.PASSED,
}


def result_sentence(result: CheckResult) -> str:
    """Return the outcome in plain words."""
    if result.doubt:
        return f"the trees cannot be distinguished: {result.doubt}"
    decisive = [one for one in result.figures if one.judgement is result.judgement] or list(result.figures)
    shown = "; ".join(f"{one.title.lower()}: {_difference(one)}" for one in decisive)
    return f"under the fault {result.fault}, compared with {result.base}: {shown}"


def result_lines(result: CheckResult) -> list[str]:
    """Return the outcome as a command prints it."""
    lines = [f"  {one.judgement.upper():15} {one.title}: {_medians(one)}, {_difference(one)}" for one in result.figures]
    return [*lines, f"{_HEADS[result.judgement].upper()}: {result.sentence}", f"cost: {_cost(result)}"]


def summary(result: CheckResult) -> str:
    """Return the outcome as Markdown, for a pull request."""
    return "\n".join(_summary(result)) + "\n"


def junit(result: CheckResult) -> str:
    """Return the outcome as JUnit XML: a case for each figure, and one for what keeps the whole check from counting."""
    cases = [
        Case(one.name, _VERDICTS[one.judgement], f"{one.title}: {_HEADS[one.judgement]}: {_difference(one)}", _row(one))
        for one in result.figures
    ]
    if result.doubt or not cases:
        cases.append(Case("check", Verdict.INCONCLUSIVE, result.sentence, ""))
    seconds = result.duration_seconds
    properties = {"base": result.base, "seed": str(result.seed), "command": result.command}
    return document([suite(f"check {result.fault}", seconds, cases, properties.items())], seconds)


def write_result(result: CheckResult, folder: Path) -> None:
    """Write check.json, summary.md and junit.xml."""
    (folder / RESULT_FILE).write_bytes(_RESULT.dump_json(result, indent=1) + b"\n")
    (folder / SUMMARY_FILE).write_text(summary(result), encoding="utf-8")
    (folder / JUNIT_FILE).write_text(junit(result), encoding="utf-8")


def _summary(result: CheckResult) -> Iterator[str]:
    yield f"## {_ICONS[result.judgement]} {_HEADS[result.judgement].capitalize()}: {escaped(result.fault)}"
    yield ""
    yield f"{escaped(result.sentence[:1].upper() + result.sentence[1:])}."
    yield ""
    yield "| Figure | Base | New | Difference (95 % interval) | Margin | |"
    yield "|---|---:|---:|---:|---:|---|"
    for one in result.figures:
        cells = (one.title, _amount(one, one.base_median), _amount(one, one.new_median), _difference(one), _margin(one))
        yield f"| {' | '.join(map(escaped, cells))} | {_ICONS[one.judgement]} {one.judgement} |"
    yield ""
    yield f"Cost: {_cost(result)}. Both trees ran at the same time, each in a sandbox of its own, under the same load."
    yield f"Equal trees are called worse in at most 5 % of all checks. Seed {result.seed}."


def _row(one: CheckedFigure) -> str:
    return f"{one.title}: {_medians(one)}, {_difference(one)}; margin {_margin(one)}"


def _cost(result: CheckResult) -> str:
    return f"{result.duration_seconds:.0f} s, {len(result.blocks)} blocks"


def _medians(one: CheckedFigure) -> str:
    return f"{_amount(one, one.base_median)} to {_amount(one, one.new_median)}"


def _difference(one: CheckedFigure) -> str:
    if one.shift is None:
        return "not measured"
    scale, unit = (100.0, "percentage points") if one.unit == "ratio" else (1.0, one.unit)
    if one.interval is None:
        return f"{one.shift * scale:+.3g} {unit}, too few blocks for an interval"
    return f"{one.shift * scale:+.3g} {unit} [{one.interval.low * scale:+.3g}, {one.interval.high * scale:+.3g}]"


def _margin(one: CheckedFigure) -> str:
    return f"{one.margin * 100:g} percentage points" if one.unit == "ratio" else f"{one.margin:g} {one.unit}"


def _amount(one: CheckedFigure, value: float | None) -> str:
    if value is None:
        return "none"
    return amount(value * 100, "%", 2) if one.unit == "ratio" else amount(value, one.unit, 0)
