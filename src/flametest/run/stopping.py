"""Why an experiment stopped before its end, or injected nothing: read from the journal and the log of Chaos Toolkit.

The journal says which probe of the hypothesis did not hold, and what it found. Refusals, failed actions and everything
else are critical messages of the log; errors between the start of an activity and such a message are its details.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flametest.chaos.tracebacks import last_line

__all__ = ["LOG_FILE", "LogRecord", "read_log", "why_stopped", "why_stopped_in"]

JOURNAL_FILE = "journal.json"
LOG_FILE = "chaostoolkit.log"
NOT_HEALTHY = "the system was not healthy before the fault"
NOT_HELD = "the hypothesis did not hold after the fault"
_CHARACTERS_MAX = 400
_FOUND_CHARACTERS_MAX = 120
_COLOUR = re.compile(r"\x1b\[[\d;]*m")
_RECORD = re.compile(r"\[[\d-]+ [\d:]+ (?P<level>[A-Z]+)\] \[[^\]]*\] (?P<message>.*)")
_ACTIVITY = re.compile(r"(Probe|Action): ")

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One message of the log; ``more`` are the lines below it, such as those of a traceback."""

    level: str
    message: str
    more: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """Return the message in one line; of a traceback its last line, which says what happened."""
        lines = [line.strip() for line in self.more if line.strip()]
        if lines and lines[0].startswith("Traceback"):
            return f"{self.message}: {last_line(lines)}"
        return " ".join((self.message.strip(), *lines))


def why_stopped_in(folder: Path) -> str:
    """Return why the experiment stopped whose journal and log are in ``folder``; see `why_stopped`."""
    try:
        journal = json.loads((folder / JOURNAL_FILE).read_text(encoding="utf-8", errors="replace"))
    except (OSError, ValueError):
        journal = {}
    try:
        text = (folder / LOG_FILE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        text = ""
    return why_stopped(journal if isinstance(journal, dict) else {}, read_log(text))


def why_stopped(journal: Json, log: Sequence[LogRecord]) -> str:
    """Return in one line why an experiment stopped or deviated; empty when it did neither, or nothing tells it.

    Args:
        journal: Chaos Toolkit's; empty where it has written none.
        log: its log.
    """
    states = journal.get("steady_states") or {}
    before, after = states.get("before") or {}, states.get("after") or {}
    status = journal.get("status")
    critical = [record for record in log if record.level == "CRITICAL"]
    if before.get("steady_state_met") is False:
        reason = f"{NOT_HEALTHY}: {_deviation(before, log)}"
    elif journal.get("deviated") and status == "completed" and after.get("steady_state_met") is False:
        reason = f"{NOT_HELD}: {_deviation(after, log)}"
    elif status == "completed" or (journal.get("deviated") and status not in ("interrupted", "aborted")):
        reason = ""
    elif critical:
        reason = critical[-1].told
    else:
        reason = _failure(journal.get("run") or ()) or _nothing_to_inject(journal) or _last_error(log)
    return _cut(reason, _CHARACTERS_MAX)


def read_log(text: str) -> list[LogRecord]:
    """Return the messages of a log of Chaos Toolkit's, in their order."""
    records: list[LogRecord] = []
    for line in _COLOUR.sub("", text).split("\n"):
        found = _RECORD.match(line)
        if found:
            records.append(LogRecord(found["level"], found["message"]))
        elif records:
            last = records[-1]
            records[-1] = LogRecord(last.level, last.message, (*last.more, line))
    return records


def _deviation(state: Json, log: Sequence[LogRecord]) -> str:
    """Return which probe did not hold, and what it found."""
    missed = [probe for probe in state.get("probes") or () if not probe.get("tolerance_met")]
    if not missed:
        return "its hypothesis did not hold"
    probe = missed[0]
    activity = probe.get("activity") or {}
    name = f"probe {str(activity.get('name'))!r}"
    details = _details(str(activity.get("name")), log)
    if details:
        return f"{name}: {'; '.join(details)}"
    if probe.get("status") == "failed":
        return f"{name} failed: {last_line(probe.get('exception') or ())}"
    return f"{name} found {_found(probe)}; expected {_shown(activity.get('tolerance'))}"


def _details(name: str, log: Sequence[LogRecord]) -> list[str]:
    """Return the errors that were told while an activity ran, up to the critical message that followed."""
    told: list[str] = []
    running = False
    for record in log:
        if record.level == "CRITICAL" and running:
            break
        if _ACTIVITY.match(record.message):
            running = record.message.partition(": ")[2] == name
            told = []
        elif running and record.level == "ERROR":
            told.append(record.told.removeprefix("=> ").removeprefix("failed: "))
    return told


def _found(probe: Json) -> str:
    """Return what a probe found, as its tolerance looks at it."""
    output = probe.get("output")
    tolerance = (probe.get("activity") or {}).get("tolerance")
    if isinstance(output, dict):
        target = tolerance.get("target") if isinstance(tolerance, dict) else "status"
        if target in output:
            return f"{target} {_shown(output[target])}"
    return _shown(output)


def _shown(value: Any) -> str:
    return _cut(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False), _FOUND_CHARACTERS_MAX)


def _failure(activities: Iterable[Json]) -> str:
    failed = [one for one in activities if one.get("status") == "failed"]
    if not failed:
        return ""
    activity = failed[-1].get("activity") or {}
    return (
        f"{activity.get('type')} {str(activity.get('name'))!r} failed: {last_line(failed[-1].get('exception') or ())}"
    )


def _nothing_to_inject(journal: Json) -> str:
    """Return that the method came to its end; asked only when it was found to have injected nothing."""
    experiment, run = journal.get("experiment"), journal.get("run")
    if journal.get("status") != "failed" or not isinstance(experiment, dict) or not isinstance(run, list):
        return ""
    names = [str(activity.get("name")) for activity in experiment.get("method") or ()]
    if len(run) < len(names):
        return ""
    if not names:
        return "the experiment's method is empty"
    return f"the experiment's method holds no fault: {', '.join(names)}"


def _last_error(log: Sequence[LogRecord]) -> str:
    return next((record.told for record in reversed(log) if record.level == "ERROR"), "")


def _cut(text: str, characters_max: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= characters_max else f"{line[: characters_max - 1]}…"
