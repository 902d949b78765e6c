"""Jobs that run at the same time, each in a thread, and how all of them stop when one fails or the run is interrupted.

Python raises KeyboardInterrupt in the main thread only. So `side_by_side`, which waits there, tells a `Halt` instead:
that ends the processes for which threads wait, and has the threads themselves leave at their next step.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from queue import SimpleQueue

from flametest.faults.signals import shielded

__all__ = ["Halt", "Halted", "side_by_side"]


class Halted(KeyboardInterrupt):
    """Raised in a thread that has to stop because another one failed, or because the run was interrupted."""


class Halt:
    """Whether jobs are to stop; safe to be used by several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_set = False
        self._ends: dict[object, Callable[[], object]] = {}

    def check(self) -> None:
        """Do nothing while jobs are to go on.

        Raises:
            Halted: they are to stop.
        """
        if self._is_set:
            raise Halted

    @contextmanager
    def ending(self, end: Callable[[], object]) -> Iterator[None]:
        """Have ``end`` called, in another thread, when jobs are to stop while the block runs.

        Raises:
            Halted: they were to stop before the block began, or while it ran.
        """
        key = object()
        with self._lock:
            self.check()
            self._ends[key] = end
        try:
            yield
        finally:
            with self._lock:
                del self._ends[key]
        self.check()

    def set(self) -> None:
        """Have all jobs stop, and return when what they wait for has been ended; only the first call does anything."""
        with self._lock:
            ends = [] if self._is_set else list(self._ends.values())
            self._is_set = True
        threads = [threading.Thread(target=end, name="halt") for end in ends]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def side_by_side(jobs: Mapping[str, Callable[[], None]], halt: Halt) -> None:
    """Run jobs at the same time, each in a thread of its name, and return when all have ended.

    Raises:
        BaseException: the first that a job raised, or KeyboardInterrupt; the other jobs were told to stop, and have.
    """
    failures: list[BaseException] = []
    ended: SimpleQueue[None] = SimpleQueue()

    def guarded(job: Callable[[], None]) -> None:
        try:
            job()
        except Halted:
            pass
        except BaseException as error:
            failures.append(error)
            halt.set()
        finally:
            ended.put(None)

    threads = [threading.Thread(target=guarded, args=(job,), name=name) for name, job in jobs.items()]
    try:
        with shielded():  # a signal amid a start would leave a thread for which nobody waits
            for thread in threads:
                thread.start()
        for _ in threads:
            ended.get()  # Thread.join, when interrupted, takes a running thread for one that has ended (Python < 3.13)
    except BaseException:
        halt.set()
        raise
    finally:
        for thread in threads:
            thread.join()
    if failures:
        raise failures[0]
