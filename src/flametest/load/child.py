"""A child process of a recording: its output in a log, its death noticed and explained, its end certain."""

import contextlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from flametest.load.errors import LoadError
from flametest.load.priority import let_go, stay_behind
from flametest.load.starting import RELEASE, START_STDIN, START_VARIABLE

__all__ = ["Child"]

_TAIL_LINES = 8
_TAIL_BYTES = 8192


class Child:
    """A running program. It has a session of its own, so that a Ctrl-C in the terminal reaches its owner only.

    One that is ``held`` gets ready, behind all others, and waits for `release` (see `flametest.load.starting`).

    Raises:
        LoadError: it cannot be started.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        environment: Mapping[str, str] | None = None,
        *,
        held: bool = False,
    ) -> None:
        self.name = name
        self._log = log
        holding = {START_VARIABLE: START_STDIN} if held else {}
        try:
            with log.open("wb") as output:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE if held else subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=os.environ | dict(environment or {}) | holding,
                    start_new_session=True,
                )
        except OSError as error:
            raise LoadError(
                f"{name} cannot be started: {error}", "check the installation by `flametest doctor`"
            ) from error
        if held:
            stay_behind(self._process.pid)

    def release(self) -> None:
        """Let one that is held begin; a second call does nothing."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            let_go(self._process.pid)
            with contextlib.suppress(BrokenPipeError):  # it has ended already, and says why
                self._process.stdin.write(RELEASE)
                self._process.stdin.close()

    @property
    def exit_code(self) -> int | None:
        """Return how it ended; None while it runs."""
        return self._process.poll()

    def check(self) -> None:
        """Do nothing while it runs.

        Raises:
            LoadError: it ended; the message has the end of what it said.
        """
        if (code := self.exit_code) is not None:
            raise LoadError(f"{self.name} ended by itself with code {code}: {self._tail()}", f"see {self._log}")

    def signal(self, number: int) -> None:
        """Send it a signal; one that has ended gets none."""
        self._process.send_signal(number)

    def stop(self, grace_seconds: float) -> int:
        """Ask it to end, kill it when it does not within ``grace_seconds``, and return its exit code."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()  # one that is held waits for nothing else
        self._process.terminate()
        try:
            return self._process.wait(grace_seconds)
        except BaseException as error:
            # Also when the wait was interrupted: nothing may be left running.
            self._process.kill()
            self._process.wait()
            if isinstance(error, subprocess.TimeoutExpired):
                return self._process.returncode
            raise

    def _tail(self) -> str:
        text = b""
        with contextlib.suppress(OSError), self._log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            text = file.read()
        lines = [line.strip() for line in text.decode(errors="replace").splitlines() if line.strip()]
        return " | ".join(lines[-_TAIL_LINES:]) or "it said nothing"
