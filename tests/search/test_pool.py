"""Trials are divided among benches; each is noted once, as soon as it has ended, and an error stops all."""

import io
import threading
from collections.abc import Callable
from typing import cast

import pytest

from flametest.model.search import TrialTold
from flametest.run.halting import Halt
from flametest.run.progress import LineProgress
from flametest.search.bench import Bench
from flametest.search.errors import SearchError
from flametest.search.letters import Alphabet, Kind, Letter, Level, Trial
from flametest.search.pool import Pool

LETTERS = {
    name: Letter(name, name, Kind.GONE, name, (Level("", {}),), "inject_service_removal") for name in map(str, range(8))
}
TRIALS = tuple((number, Trial.of([name])) for number, name in enumerate(LETTERS, 1))


class FakeBench:
    """Runs no experiment; waits until so many benches are at work at the same time, which shows that they are."""

    def __init__(self, together: threading.Barrier | None = None, fails_at: int = 0) -> None:
        self._together = together
        self._fails_at = fails_at
        self.run_here: list[int] = []

    def run(self, trial: Trial, number: int, _saw: Callable[[str], None]) -> TrialTold:
        if self._together is not None:
            self._together.wait(timeout=60)
        if number == self._fails_at:
            raise SearchError("the system is gone")
        self.run_here.append(number)
        return TrialTold(number, trial.key, (), 4.0, "holds", 0.0, "calm", {}, "", 1.8e9, 1.0)


def pool_of(benches: list[FakeBench], noted: list[int]) -> Pool:
    def note(trial: Trial, told: TrialTold) -> None:
        assert trial.key == told.key
        noted.append(told.number)

    return Pool(cast("list[Bench]", benches), Alphabet(LETTERS), LineProgress(io.StringIO()), Halt(), note)


def test_one_bench_runs_trials_in_their_order() -> None:
    noted: list[int] = []
    bench = FakeBench()

    pool_of([bench], noted).run(TRIALS)

    assert noted == bench.run_here == [number for number, _ in TRIALS]


def test_several_benches_run_at_the_same_time_and_each_trial_once() -> None:
    noted: list[int] = []
    together = threading.Barrier(2)  # which nobody passes alone
    benches = [FakeBench(together), FakeBench(together)]

    pool_of(benches, noted).run(TRIALS)

    assert sorted(noted) == [number for number, _ in TRIALS]
    assert sorted(benches[0].run_here + benches[1].run_here) == sorted(noted)
    assert all(bench.run_here for bench in benches)


@pytest.mark.parametrize("count", [1, 3])
def test_what_cannot_be_run_ends_the_others_and_is_told(count: int) -> None:
    noted: list[int] = []

    with pytest.raises(SearchError, match="the system is gone"):
        pool_of([FakeBench(fails_at=1) for _ in range(count)], noted).run(TRIALS)

    assert 1 not in noted
