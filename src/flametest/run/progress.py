"""How a run tells what it does: the protocol, its plainest form, line by line, and what the report keeps of it."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

__all__ = ["LineProgress", "Output", "Progress", "RememberingProgress", "Seen", "Step", "StepProgress"]


class Step(Protocol):
    """A step that is under way."""

    def saw(self, text: str) -> None:
        """Tell what was seen; the last text stands beside the step when it ends."""

    def skip(self, reason: str) -> None:
        """Tell that the step did not do what its title says, and why; it ends as skipped, not as done."""


class Progress(Protocol):
    """Where the steps of a command are told."""

    def step(self, title: str) -> AbstractContextManager[Step]:
        """Begin a step; leaving the context ends it, by an exception as failed."""

    def say(self, text: str) -> None:
        """Tell something that is no step."""


class Output(Protocol):
    """Where lines are printed."""

    def write(self, text: str, /) -> object:
        """Write a text."""

    def flush(self) -> object:
        """Hand on what was written."""


class Seen:
    """The last thing that a step saw, or why it was skipped."""

    def __init__(self) -> None:
        self.text = ""
        self.skipped = False

    def saw(self, text: str) -> None:
        self.text = text

    def skip(self, reason: str) -> None:
        self.saw(reason)
        self.skipped = True


class LineProgress:
    """One line when a step ends: seconds, title, what was seen."""

    def __init__(self, stream: Output) -> None:
        self._stream = stream

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Tell of the step when it ends."""
        begun, seen = time.monotonic(), Seen()
        try:
            yield seen
        except BaseException:
            self.say(f"failed {time.monotonic() - begun:6.1f} s  {title}")
            raise
        state = "skipped" if seen.skipped else "ok"
        self.say(f"{state:7}{time.monotonic() - begun:6.1f} s  {title}{': ' if seen.text else ''}{seen.text}")

    def say(self, text: str) -> None:
        """Print a line at once."""
        self._stream.write(f"{text}\n")  # at once, since lines of several threads must not mix
        self._stream.flush()


class RememberingProgress:
    """Tells everything to another progress, and remembers which steps were skipped: the report has to say so too."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.skipped: list[str] = []

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Begin a step of the other progress."""
        with self._progress.step(title) as step:
            yield _RememberedStep(step, title, self.skipped)

    def say(self, text: str) -> None:
        """Tell something that is no step."""
        self._progress.say(text)


class _RememberedStep:
    def __init__(self, step: Step, title: str, skipped: list[str]) -> None:
        self._step, self._title, self._skipped = step, title, skipped

    def saw(self, text: str) -> None:
        self._step.saw(text)

    def skip(self, reason: str) -> None:
        self._step.skip(reason)
        self._skipped.append(f"skipped: {self._title}: {reason}")


class StepProgress:
    """Shows all steps inside one step of another progress, for what is done several times at the same time.

    Args:
        step: the other progress' step.
        subject: whose steps these are.
        check: called whenever something is shown; may raise, so that the steps end.
    """

    def __init__(self, step: Step, subject: str, check: Callable[[], None]) -> None:
        self._step, self._subject, self._check = step, subject, check

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Show the title, and what the step sees."""
        self._step.saw(f"{self._subject}: {title}")
        yield _InnerStep(self._step, f"{self._subject}: {title}", self._check)

    def say(self, text: str) -> None:
        """Say nothing: it was said of the first."""


class _InnerStep:
    def __init__(self, step: Step, title: str, check: Callable[[], None]) -> None:
        self._step, self._title, self._check = step, title, check

    def saw(self, text: str) -> None:
        self._check()
        self._step.saw(f"{self._title}: {text}")

    def skip(self, reason: str) -> None:
        self._step.saw(f"{self._title}: {reason}")
