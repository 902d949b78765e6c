"""Bounded waiting for what a cluster does in its own time."""

import time
from collections.abc import Callable
from typing import TypeVar

__all__ = ["POLL_SECONDS", "wait_for"]

POLL_SECONDS = 0.1

SeenT = TypeVar("SeenT")


def wait_for(
    look: Callable[[], SeenT | None],
    timeout_seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> SeenT | None:
    """Return the first thing that ``look`` returns other than None or False, or None after ``timeout_seconds``."""
    end = clock() + timeout_seconds
    while not (seen := look()):
        if clock() >= end:
            return None
        pause(POLL_SECONDS)
    return seen
