"""A child process of a recording: its output in a log, its death noticed and explained, its end certain."""

import contextlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from flametest.load.errors import LoadError

__all__ = ["Child"]

_TAIL_LINES = 8
_TAIL_BYTES = 8192


class Child:
    """A running program. It has a session of its own, so that a Ctrl-C in the terminal reaches its owner only.

    Raises:
        LoadError: it cannot be started.
    """

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._log = log
        try:
            with log.open("wb") as output:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=os.environ | dict(environment or {}),
                    start_new_session=True,
                )
        except OSError as error:
            raise LoadError(
                f"{name} cannot be started: {error}", "check the installation by `flametest doctor`"
            ) from error

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
