"""How a run tells what it does: the protocol that the command line implements."""

from contextlib import AbstractContextManager
from typing import Protocol

__all__ = ["Progress", "Step"]


class Step(Protocol):
    """A step that is under way."""

    def saw(self, text: str) -> None:
        """Tell what was seen; the last text stands beside the step when it ends."""


class Progress(Protocol):
    """Where the steps of a command are told."""

    def step(self, title: str) -> AbstractContextManager[Step]:
        """Begin a step; leaving the context ends it, by an exception as failed."""

    def say(self, text: str) -> None:
        """Tell something that is no step."""
