"""A search from its options to its folder, on systems drawn at random in place of deployed ones."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flametest.clusters import Access
from flametest.measure.scenario import LIMITABLE
from flametest.model.limits import parse_limits
from flametest.model.search import SearchResult, TrialTold
from flametest.model.verdict import Verdict
from flametest.run.experiment import load_experiment
from flametest.run.progress import LineProgress
from flametest.run.project import Project
from flametest.run.session import SessionOptions
from flametest.search import conduct
from flametest.search.bench import doses_told
from flametest.search.conduct import SearchOptions, search
from flametest.search.journal import read_search
from flametest.search.letters import Trial
from tests.search.simulated import Simulated, drawn_system


class SimulatedBench:
    """Tries what it is given on a system drawn at random; is killed, as it were, before a trial of some number."""

    def __init__(self, system: Simulated, killed_at: int = 0) -> None:
        self._system = system
        self._killed_at = killed_at

    def run(self, trial: Trial, number: int, _saw: Callable[[str], None]) -> TrialTold:
        if number == self._killed_at:
            raise KeyboardInterrupt
        saw = self._system.saw(trial)
        doses = doses_told(self._system.space.alphabet, trial)
        return TrialTold(number, trial.key, doses, 4.0, str(saw.outcome), saw.strain, "told", {}, "", 1.8e9, 1.0)


@pytest.fixture
def searching(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., SearchResult]:
    """Return what searches a system in the place of a deployed one; its folder is `out`."""
    access = Access(tmp_path / "kubeconfig", "", "http://127.99.0.1:30080", "shop")
    session = SimpleNamespace(
        cluster=SimpleNamespace(name="sandbox", note=""), access=access, self_test=None, clean=lambda: None
    )

    @contextmanager
    def started(*_: Any) -> Iterator[tuple[Any, ...]]:
        yield (session,)

    def run(system: Simulated, killed_at: int = 0, **changed: Any) -> SearchResult:
        space = system.space
        bench = SimulatedBench(system, killed_at)
        monkeypatch.setattr(conduct, "started", started)
        monkeypatch.setattr(conduct, "_terrain", lambda *_: (space.alphabet, space.structure, space.nodes_max))
        monkeypatch.setattr(conduct, "Bench", lambda *_: bench)
        options = SearchOptions(
            session=SessionOptions("test", "sandbox", Project(tmp_path)),
            output=tmp_path / "experiments",
            folder=tmp_path / "out",
            resuming=False,
            promise=("availability=0.9",),
            faults=(),
            paths=(),
            size=2,
            together=4,
            is_random=False,
            seed=1,
            nodes_max=None,
            budget_seconds=600,
            is_first_enough=False,
            parallel=1,
            command="flametest search",
        )
        (tmp_path / "out").mkdir(exist_ok=True)
        return search(replace(options, **changed), LineProgress(io.StringIO()))

    return run


def test_what_is_found_is_kept_as_an_experiment_with_its_promise(
    tmp_path: Path, searching: Callable[..., SearchResult]
) -> None:
    system = drawn_system(7, [2])

    result = searching(system)

    assert result.verdict is Verdict.FAILED
    [found] = result.found
    assert frozenset(dose.letter for dose in found.doses) == system.weaknesses[0].letters
    assert all(one.holds >= 3 for one in found.without)
    experiment = load_experiment(tmp_path / "experiments" / f"{found.name}.json")
    limits = parse_limits((tmp_path / "experiments" / "limits.toml").read_text(), "limits.toml", LIMITABLE)
    assert {one.criterion: one.value for one in limits.of(experiment.name)} == {"availability": 0.9}
    document = json.loads(experiment.path.read_text())
    assert document["configuration"]["entry_url"]["default"] == "http://127.0.0.1:30080"
    assert (tmp_path / "out" / "found" / f"{found.name}.json").read_text() == experiment.path.read_text()
    assert "Why each part is needed" in (tmp_path / "out" / "report.html").read_text()
    assert read_search(tmp_path / "out") == result


def test_a_sound_system_leaves_no_experiment(tmp_path: Path, searching: Callable[..., SearchResult]) -> None:
    result = searching(drawn_system(7, []))

    assert result.verdict is Verdict.PASSED
    assert not (tmp_path / "experiments").exists()


@pytest.mark.parametrize("killed_at", [2, 9, 30])
def test_a_search_that_was_interrupted_goes_on_with_the_next_trial(
    searching: Callable[..., SearchResult], killed_at: int
) -> None:
    whole, parted = drawn_system(7, [2]), drawn_system(7, [2])
    expected = searching(whole)

    with pytest.raises(KeyboardInterrupt):
        searching(parted, killed_at)
    result = searching(parted, resuming=True)

    assert [one.name for one in result.found] == [one.name for one in expected.found]
    decided = [one for one in parted.run if one.doses]  # beside the control, which each session begins with
    assert decided == [one for one in whole.run if one.doses]


def test_a_search_without_time_says_so_and_accuses_nobody(searching: Callable[..., SearchResult]) -> None:
    result = searching(drawn_system(7, [2]), budget_seconds=0.0)

    assert result.verdict is Verdict.INCONCLUSIVE
    assert not result.is_over
    assert sum(result.left_out.values()) > 0


def test_a_system_that_breaks_its_promise_by_itself_is_not_searched(searching: Callable[..., SearchResult]) -> None:
    system = drawn_system(7, [], wrong=1.0)

    result = searching(system)

    assert "does not hold without any fault" in result.trouble
    assert result.verdict is Verdict.INCONCLUSIVE
    assert all(not one.doses for one in system.run)
