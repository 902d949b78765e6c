"""The systems on which trials are run: one by one, or several at a time, each on a sandbox of its own."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from queue import Empty, SimpleQueue

from flametest.model.search import TrialTold
from flametest.run.halting import Halt, side_by_side
from flametest.run.progress import Progress, StepProgress
from flametest.run.session import SANDBOX, Session, SessionOptions
from flametest.search.bench import Bench, doses_told
from flametest.search.errors import SearchError
from flametest.search.evidence import Outcome
from flametest.search.letters import Alphabet, Trial

__all__ = ["Pool", "started"]


@contextmanager
def started(options: SessionOptions, count: int, progress: Progress, halt: Halt) -> Iterator[tuple[Session, ...]]:
    """Yield so many sessions whose systems are deployed; all of them end with the context.

    Raises:
        FlametestError: one does not come up, or there can be one only.
    """
    if count > 1 and not (options.deploying and options.cluster == SANDBOX):
        raise SearchError("several trials at a time need sandboxes of their own", "leave --parallel out")
    names = [options.name, *(f"{options.name}-{number}" for number in range(2, count + 1))]
    sessions = tuple(Session(replace(options, name=name), progress) for name in names)
    try:
        sessions[0].start()
        if count > 1:
            with progress.step(f"deploy {count - 1} more") as step:
                for session in sessions[1:]:
                    session.progress = StepProgress(step, session.options.sandbox, halt.check)
                side_by_side({one.options.sandbox: one.start for one in sessions[1:]}, halt)
        yield sessions
    finally:
        for session in sessions:
            session.close()


class Pool:
    """Runs trials on one bench or several.

    Args:
        benches: where trials are run; at least one.
        alphabet: names their faults.
        progress: tells of each trial.
        halt: stops what runs in threads.
        note: is given each trial as soon as it has ended, one at a time.
    """

    def __init__(
        self,
        benches: Sequence[Bench],
        alphabet: Alphabet,
        progress: Progress,
        halt: Halt,
        note: Callable[[Trial, TrialTold], None],
    ) -> None:
        self._benches = benches
        self._alphabet = alphabet
        self._progress = progress
        self._halt = halt
        self._note = note
        self._noting = threading.Lock()

    def run(self, trials: Sequence[tuple[int, Trial]]) -> None:
        """Run trials with their numbers, as many at a time as there are benches.

        Raises:
            FlametestError: one could not be run; the others were stopped.
            KeyboardInterrupt: a signal ended them.
        """
        if len(self._benches) == 1 or len(trials) == 1:
            for number, trial in trials:
                self._run(self._benches[0], number, trial)
            return
        waiting: SimpleQueue[tuple[int, Trial]] = SimpleQueue()
        for one in trials:
            waiting.put(one)
        jobs = {f"bench {number}": partial(self._work, bench, waiting) for number, bench in enumerate(self._benches, 1)}
        side_by_side(jobs, self._halt)

    def _work(self, bench: Bench, waiting: "SimpleQueue[tuple[int, Trial]]") -> None:
        while True:
            try:
                number, trial = waiting.get_nowait()
            except Empty:
                return
            self._halt.check()
            self._run(bench, number, trial)

    def _run(self, bench: Bench, number: int, trial: Trial) -> None:
        words = " and ".join(map(str, doses_told(self._alphabet, trial))) or "no fault"
        with self._progress.step(f"trial {number}: {words}") as step:
            told = bench.run(trial, number, step.saw)
            used = f"holds, {told.strain:.0%} of what is promised was used up"
            step.saw(used if told.outcome == Outcome.HOLDS else f"{told.outcome}: {told.sentence}")
        with self._noting:
            self._note(trial, told)
