"""Failed and slow requests as the page shows them: the first distinct causes, each with the path of one request."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest

from flametest.model.paths import FailureCause, FailurePaths, Hop, Trouble
from flametest.model.requestids import LINK_PLACEHOLDER, is_link_template
from flametest.model.result import Result
from flametest.report.format import count, exact, signed_seconds
from flametest.report.scenario import Detail
from flametest.report.svg.hops import draw_hops

__all__ = ["CauseView", "HopView", "LineView", "PathsView", "paths_view"]

_CAUSES_MAX = 10
_SAID_ANYWAY = re.compile(
    r'"?(?<![\w.])@?(?:time|timestamp|ts|request_id|trace_id|traceparent|pod|hostname|logger)"?'
    r'\s*[:=]\s*(?:"[^"]*"|[^\s,}"]+)(?:,\s*|\s+|$)?'
)


@dataclass(frozen=True, slots=True)
class LineView:
    """One log line as texts."""

    moment: str
    text: str
    is_failure: bool


@dataclass(frozen=True, slots=True)
class HopView:
    """One pod with its lines; ``left_out`` tells of those that are not shown, empty for none."""

    workload: str
    pod: str
    is_first: bool
    lines: tuple[LineView, ...]
    left_out: str


@dataclass(frozen=True, slots=True)
class CauseView:
    """One cause.

    Attributes:
        title: what failed how.
        blame: which hop failed first, in words.
        why: how that is known.
        facts: how many there were, and when the one that is shown was sent.
        drawing: its hops as SVG; empty where there are none, or the page has no room.
        hops: its hops.
        trace_id: its id; empty for none.
        index: its scenario's place.
        scenario: its scenario's name.
        link: where its trace is; empty for nowhere.
    """

    title: str
    blame: str
    why: str
    facts: str
    drawing: str
    hops: tuple[HopView, ...]
    trace_id: str
    index: int = 0
    scenario: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class PathsView:
    """All of it: the sum in a sentence, the causes, how many are not shown, and what is missing, by scenario."""

    sentence: str
    causes: tuple[CauseView, ...]
    left_out: int
    notes: tuple[tuple[str, str], ...]


def paths_view(result: Result, detail: Detail) -> PathsView | None:
    """Return how a run's failed and slow requests are shown; None when there was none."""
    found = [(index, one.name, one.paths) for index, one in enumerate(result.scenarios) if one.paths is not None]
    if not found:
        return None
    views = list(_in_turns(found, detail))
    causes = sum(len(paths.causes) + paths.causes_left_out for _, _, paths in found)
    notes = tuple((name, paths.note) for _, name, paths in found if paths.note)
    return PathsView(_sentence([paths for _, _, paths in found]), tuple(views), causes - len(views), notes)


def _in_turns(found: list[tuple[int, str, FailurePaths]], detail: Detail) -> Iterator[CauseView]:
    """Yield the first causes, one of each scenario in turns, so that no scenario hides another."""
    rows = [[(index, name, paths, cause) for cause in paths.causes] for index, name, paths in found]
    turns = (one for turn in zip_longest(*rows) for one in turn if one is not None)
    chosen = sorted((one for one, _ in zip(turns, range(_CAUSES_MAX), strict=False)), key=lambda one: one[0])
    for number, (index, name, paths, cause) in enumerate(chosen, start=1):
        link = paths.link.replace(LINK_PLACEHOLDER, cause.path.trace_id) if is_link_template(paths.link) else ""
        shown = _cause(cause, f"path-{number}", detail)
        yield replace(shown, index=index, scenario=name, link=link if cause.path.trace_id else "")


def _sentence(found: list[FailurePaths]) -> str:
    failed, slow = sum(one.failed for one in found), sum(one.slow for one in found)
    late = exact(found[0].slow_ms, "ms")
    return f"{count(failed)} requests failed or have no answer; {count(slow)} more took longer than {late}"


def _cause(cause: FailureCause, key: str, detail: Detail) -> CauseView:
    """Return a cause as texts; of which scenario it is, is for the caller to add."""
    path = cause.path
    ended = f"{cause.trouble}, {cause.outcome}" if cause.outcome else str(cause.trouble)
    blamed = "was slow" if cause.trouble is Trouble.SLOW else "failed first"
    has_drawing = bool(path.hops) and detail.has_narrow
    return CauseView(
        title=f"{cause.request} ({cause.sender}): {ended}",
        blame=f"{cause.first_failed} {blamed}" if cause.first_failed else "where is not known",
        why=path.why,
        facts=_facts(cause),
        drawing=draw_hops(path, key) if has_drawing else "",
        hops=tuple(_hop(hop, cause.first_failed, detail) for hop in path.hops),
        trace_id=path.trace_id,
    )


def _facts(cause: FailureCause) -> str:
    path = cause.path
    times = "request" if cause.requests == 1 else "requests"
    examined = f"; {count(cause.alike)} of the {count(cause.examined)} that were followed ended here"
    faults = ", ".join(span.name for span in path.faults)
    return (
        f"{count(cause.requests)} {times} ended so{examined if cause.examined else ''}. "
        f"Shown: sent {signed_seconds(round(path.sent_seconds, 2))} from the injection, "
        f"{exact(round(path.duration_ms, 1), 'ms')} long" + (f", while {faults} lasted" if faults else "")
    )


def _told(text: str, length: int) -> str:
    """Return a log line without what stands beside it on the page anyway, at most so long."""
    rest = _SAID_ANYWAY.sub("", text)
    return rest if len(rest) <= length else f"{rest[: length - 1]}…"


def _hop(hop: Hop, first_failed: str, detail: Detail) -> HopView:
    # A failure is never left out for a line that tells of none.
    by_weight = sorted(range(len(hop.lines)), key=lambda at: (not hop.lines[at].is_failure, at))
    shown = sorted(by_weight[: detail.path_lines])
    left_out = hop.left_out + len(hop.lines) - len(shown)
    return HopView(
        workload=hop.workload,
        pod=hop.pod,
        is_first=hop.workload == first_failed,
        lines=tuple(
            LineView(
                exact(round(hop.lines[at].milliseconds, 1), "ms"),
                _told(hop.lines[at].text, detail.path_characters),
                hop.lines[at].is_failure,
            )
            for at in shown
        ),
        left_out=f"{count(left_out)} more {'line' if left_out == 1 else 'lines'} in paths.jsonl" if left_out else "",
    )
