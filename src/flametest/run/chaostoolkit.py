"""Stock Chaos Toolkit, run as a process of its own, exactly as a person would run an experiment alone.

It may be started before the experiment may begin, since that takes seconds: see `flametest.load.starting`.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from flametest.chaos.recorded import RECORDED_VARIABLE
from flametest.chaos.tracebacks import last_line
from flametest.load.starting import RELEASE, START_STDIN, START_VARIABLE
from flametest.run.chaosoutput import ChaosOutput
from flametest.run.halting import Halt
from flametest.run.stopping import LOG_FILE, why_stopped_in

__all__ = ["ChaosOutcome", "PreparedChaos", "prepared_chaos", "run_chaos"]

_ENDING_SECONDS = 20.0  # the recorder ends its prober and watches in less than a second; the rest is head room
_RELEASES = 2  # for the recorder, and for the experiment


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


class PreparedChaos:
    """Chaos Toolkit, started and on its way to its experiment, which it does not begin before it is released.

    Args:
        process: its process.
        recorded: of a pipe that is closed at the other end when everything is recorded.
        journal: where it writes its journal.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", recorded: int, journal: Path) -> None:
        self.process = process
        self._journal = journal
        self._output = ChaosOutput(process, recorded)
        self._releases_left = _RELEASES

    def record(self) -> None:
        """Let its recorder begin, once; the experiment waits for `run` still."""
        self._release()

    def run(self, saw: Callable[[str], None], halt: Halt) -> ChaosOutcome:
        """Let the experiment begin, and return how it ended.

        Args:
            saw: called with each line of its log, without the time stamp.
            halt: whether it is to be stopped.
        """
        self.run_until_recorded(saw, halt)
        return self.outcome(saw, halt)

    def run_until_recorded(self, saw: Callable[[str], None], halt: Halt) -> None:
        """Let the experiment begin, and return when everything is recorded; see `run`, and then `outcome`."""
        with halt.ending(partial(_end, self.process)):
            while self._releases_left:
                self._release()
            self._output.follow(saw, until_recorded=True)

    def outcome(self, saw: Callable[[str], None], halt: Halt) -> ChaosOutcome:
        """Wait for the end of Chaos Toolkit, and return how the experiment ended; see `run`."""
        with halt.ending(partial(_end, self.process)):
            self._output.follow(saw)
            self.process.wait()
        status, deviated = _journal_status(self._journal)
        return ChaosOutcome(status, deviated, _reason(self._journal.parent, status, self._output.tail))

    def _release(self) -> None:
        assert self.process.stdin is not None
        self._releases_left -= 1
        with suppress(BrokenPipeError):  # it has ended already, and says why
            self.process.stdin.write(RELEASE)
            self.process.stdin.flush()
            if not self._releases_left:  # what an experiment starts finds nothing to read
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
    recorded, recording = os.pipe()
    with os.fdopen(recorded, "rb"):
        try:
            process = subprocess.Popen(
                command,
                env={
                    **os.environ,
                    **environment,
                    START_VARIABLE: START_STDIN,
                    RECORDED_VARIABLE: str(recording),
                },
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=[recording],
            )
        finally:
            os.close(recording)
        with process:
            try:
                yield PreparedChaos(process, recorded, journal)
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


def _end(process: "subprocess.Popen[bytes]") -> None:
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
