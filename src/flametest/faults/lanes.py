"""Healing that hangs hangs alone: records of one cluster are healed one after the other, clusters side by side.

A credential program, or an API server that accepts and never answers, can keep a thread for as long as it likes. So
each cluster has a thread of its own, whose every step has a bound; when one is over, the caller goes on and says so.
The thread keeps its claim on the record until it ends, since nobody may heal what is perhaps still being healed; it
starts no other record, and a process that ends takes it along.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

__all__ = ["Lane", "Step"]

WorkT = TypeVar("WorkT")
DoneT = TypeVar("DoneT")

Step = Callable[[str, float], None]
"""Told by the work at the beginning of each step: what it is, for people, and for how many seconds it may last."""


class Lane(Generic[WorkT, DoneT]):
    """Does pieces of work one after the other, in a thread; `results` waits for it within the bounds of its steps."""

    def __init__(self, pieces: Sequence[WorkT], do: Callable[[WorkT, Step], DoneT]) -> None:
        self._pieces = list(pieces)
        self._do = do
        self._results: list[DoneT] = []
        self._step = ("start", 10.0, time.monotonic())
        self._given_up = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heal", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def results(self, late: Callable[[WorkT, str, float], DoneT], untried: Callable[[WorkT], DoneT]) -> list[DoneT]:
        """Return what came of each piece, in order, as soon as all are done or a step takes longer than it may.

        Args:
            late: what to return for the piece whose step is late; told the step and its bound in seconds.
            untried: what to return for those after it.
        """
        while not self._ended.wait(max(self._left(), 0.01)):
            if self._left() <= 0:
                self._given_up.set()
                break
        found = list(self._results)
        if len(found) < len(self._pieces):
            what, bound, _ = self._step
            found.append(late(self._pieces[len(found)], what, bound))
        return found + [untried(piece) for piece in self._pieces[len(found) :]]

    def _left(self) -> float:
        _, bound, began = self._step
        return began + bound - time.monotonic()

    def _next(self, what: str, seconds_max: float) -> None:
        self._step = (what, seconds_max, time.monotonic())

    def _run(self) -> None:
        try:
            for piece in self._pieces:
                if self._given_up.is_set():
                    return
                self._results.append(self._do(piece, self._next))
        finally:
            self._ended.set()
