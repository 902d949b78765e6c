"""The verdict for a pull request: Markdown that GitHub, GitLab and others show, short enough to be read there."""

import re

from flametest.model.measures import Durability
from flametest.model.result import Result, ScenarioResult
from flametest.model.verdict import Verdict
from flametest.report.faults import fault_rows
from flametest.report.figures import WORDS, Shown, show
from flametest.report.format import duration, plain, sentence, utc
from flametest.report.repeated import repeated_words
from flametest.report.writes import offence_lists, tally

__all__ = ["escaped", "render_markdown"]

_ICONS = {Verdict.PASSED: "✅", Verdict.FAILED: "❌", Verdict.INCONCLUSIVE: "⚠️"}
_IDS_MAX = 5
_SPECIAL = re.compile(r"([\\`*_\[\]|~])")
_LEADING = re.compile(r"^(\d*)([-#+=.)])(?=[\s=#-]|$)")


def render_markdown(result: Result) -> str:
    """Return the result as Markdown."""
    lines = [
        f"## {_ICONS[result.verdict]} {WORDS[result.verdict]}: resilience of {escaped(result.namespace)}",
        "",
        escaped(sentence(result.headline)),
        "",
    ]
    if result.notes:
        lines += [*(f"- {escaped(sentence(note))}" for note in result.notes), ""]
    for scenario in result.scenarios:
        lines += _scenario(result, scenario)
    at_once = f", {result.parallel} scenarios at a time" if result.parallel > 1 else ""
    lines += [
        f"Run {escaped(result.run_id)} on {escaped(result.cluster)}, {utc(result.started_wall_s)}, "
        f"took {duration(result.duration_seconds)}{at_once}, seed {result.seed}.",
    ]
    if result.cluster_note:
        lines.append(f"Cluster: {escaped(result.cluster_note)}")
    return "\n".join(lines) + "\n"


def _scenario(result: Result, scenario: ScenarioResult) -> list[str]:
    lines = [
        f"### {_ICONS[scenario.verdict]} {escaped(scenario.name)}: {scenario.verdict}",
        "",
        escaped(sentence(scenario.sentence)),
        "",
    ]
    if scenario.first_attempt is not None:
        lines += [escaped(sentence(repeated_words(scenario.first_attempt))), ""]
    if scenario.criteria:
        lines += ["| Criterion | Measured | Limit | Verdict | Change |", "|---|---:|---:|---|---|"]
        lines += [_row(show(result, scenario, criterion)) for criterion in scenario.criteria]
        lines.append("")
    if scenario.faults:
        lines += ["| Fault | What | Injected at | Proved | Healed at | Felt for | Together with |"]
        lines += ["|---|---|---:|---|---:|---:|---|"]
        lines += ["| " + " | ".join(escaped(cell) for cell in row) + " |" for row in fault_rows(scenario)]
        lines.append("")
    if scenario.durability is not None:
        lines += [*_writes(scenario.durability), ""]
    doubts = [check for check in scenario.checks if check.verdict is not Verdict.PASSED]
    lines += [f"- {_ICONS[one.verdict]} {escaped(one.title)}: {escaped(one.detail)} ({one.verdict})" for one in doubts]
    lines += [f"- **{escaped(one.title)}**: {escaped(sentence(one.advice))}" for one in scenario.findings]
    return [*lines, ""] if doubts or scenario.findings else lines


def _writes(durability: Durability) -> list[str]:
    lines = [f"Writes: {tally(durability)}."]
    for one in offence_lists(durability):
        named = "; ".join(one.ids[:_IDS_MAX])
        more = f"; and {len(one.ids) + one.left_out - _IDS_MAX} more" if len(one.ids) > _IDS_MAX else ""
        lines.append(f"- **{escaped(one.title)}**: {escaped(named)}{more}")
    return lines if len(lines) == 1 else [lines[0], "", *lines[1:]]


def _row(shown: Shown) -> str:
    criterion = shown.criterion
    verdict = f"{_ICONS[criterion.verdict]} {criterion.verdict}" if criterion.limit else "informs only"
    cells = (criterion.title, shown.value, shown.limit or "none", verdict, shown.change or "–")
    return "| " + " | ".join(cell if cell is verdict else escaped(cell) for cell in cells) + " |"


def escaped(text: str) -> str:
    """Return ``text`` so that it can be neither markup nor a mention: one line, specials escaped."""
    line = " ".join(plain(text).split(" ")).replace("\n", " ").replace("\t", " ")
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _LEADING.sub(r"\1\\\2", _SPECIAL.sub(r"\\\1", line))
    # A word joiner after the sign keeps a name in a Result from calling somebody to the pull request.
    return line.replace("@", "@\N{WORD JOINER}")
