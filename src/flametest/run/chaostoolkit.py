"""Stock Chaos Toolkit, run as a process of its own, exactly as a person would run an experiment alone.

It may be started before the experiment may begin, since that takes seconds: see `flametest.load.starting`.
"""

import json
import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from flametest.chaos.tracebacks import last_line
from flametest.load.starting import START_STDIN, START_VARIABLE
from flametest.run.halting import Halt
from flametest.run.stopping import LOG_FILE, why_stopped_in

__all__ = ["ChaosOutcome", "PreparedChaos", "prepared_chaos", "run_chaos"]

_ENDING_SECONDS = 20.0  # the recorder ends its prober and watches in less than a second; the rest is head room
_TAIL_LINES = 8


@dataclass(frozen=True, slots=True)
class ChaosOutcome:
    """How ``chaos run`` ended.

    Attributes:
        status: completed, deviated, failed, interrupted or aborted; ``failed`` when there is no journal.
        deviated: whether the hypothesis did not hold after the method.
        reason: why it stopped before its end, or injected nothing, in one line; empty when it did not.
    """

    status: str
    deviated: bool
    reason: str


@dataclass(frozen=True, slots=True)
class PreparedChaos:
    """Chaos Toolkit, started and on its way to its experiment, which it does not begin before `run`."""

    process: "subprocess.Popen[str]"
    journal: Path

    def run(self, saw: Callable[[str], None], halt: Halt) -> ChaosOutcome:
        """Let the experiment begin, and return how it ended.

        Args:
            saw: called with each line of its log, without the time stamp.
            halt: whether it is to be stopped.
        """
        tail: deque[str] = deque(maxlen=_TAIL_LINES)
        process = self.process
        assert process.stdout is not None
        with halt.ending(partial(_end, process)):
            self._release()
            for line in process.stdout:
                message = line.rstrip().partition("] ")[2] or line.rstrip()
                tail.append(message)
                saw(message)
            process.wait()
        status, deviated = _journal_status(self.journal)
        return ChaosOutcome(status, deviated, _reason(self.journal.parent, status, tail))

    def _release(self) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended already, and says why
            self.process.stdin.write("begin\n")
            self.process.stdin.close()


@contextmanager
def prepared_chaos(experiment: Path, journal: Path, environment: Mapping[str, str]) -> Iterator[PreparedChaos]:
    """Start Chaos Toolkit for ``experiment``; it ends with the block at the latest.

    Args:
        experiment: the experiment file.
        journal: where Chaos Toolkit writes its journal; its log is written beside it.
        environment: added to this process' environment.

    A KeyboardInterrupt, or a halt, is passed on as SIGINT, so that the experiment's controls end what they started.
    """
    log = journal.with_name(LOG_FILE)
    command = [
        *(sys.executable, "-m", "chaostoolkit", "--no-version-check", "--log-file", str(log)),
        # A file that does not exist: controls and notifications of the user's own settings have no place in a run.
        *("--settings", str(journal.with_name("no-settings.yaml"))),
        *("run", "--rollback-strategy", "always", "--journal-path", str(journal), str(experiment)),
    ]
    with subprocess.Popen(
        command,
        env={**os.environ, **environment, START_VARIABLE: START_STDIN},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    ) as process:
        try:
            yield PreparedChaos(process, journal)
        finally:
            assert process.stdin is not None
            with suppress(BrokenPipeError):
                process.stdin.close()
            _end(process)


def run_chaos(
    experiment: Path, journal: Path, environment: Mapping[str, str], saw: Callable[[str], None], halt: Halt
) -> ChaosOutcome:
    """Run ``experiment`` at once and return how it ended; see `prepared_chaos` and `PreparedChaos.run`."""
    with prepared_chaos(experiment, journal, environment) as chaos:
        return chaos.run(saw, halt)


def _end(process: "subprocess.Popen[str]") -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        process.send_signal(number)
        try:
            process.wait(_ENDING_SECONDS)
        except subprocess.TimeoutExpired:
            continue


def _reason(folder: Path, status: str, tail: Sequence[str]) -> str:
    """Return why it stopped; where it has left no word of its own, the last line that it printed."""
    return why_stopped_in(folder) or (last_line(tail) if status == "failed" else "")


def _journal_status(journal: Path) -> tuple[str, bool]:
    try:
        document: dict[str, Any] = json.loads(journal.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return "failed", False
    return str(document.get("status", "failed")), bool(document.get("deviated", False))
