"""Scenarios run side by side only where the machine can carry them; otherwise the report says why they did not."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flametest.clusters import ClusterError, ClusterOptions, provide
from flametest.clusters.beside import beside
from flametest.kube.errors import NotReadyError
from flametest.model.selftest import SelfTest
from flametest.model.verdict import Verdict
from flametest.run import further as subject
from flametest.run.bookkeeper import LedgerWish
from flametest.run.further import Further, side_by_side_where_fit
from flametest.run.halting import Halt
from flametest.run.progress import RememberingProgress, Step
from flametest.run.project import Project, ProjectError
from flametest.run.recording import Recording, System
from flametest.run.run import _further
from flametest.run.selftest import broken_self_test, read_self_test
from flametest.run.selftest_plan import SHORT, at_once, plan_tracks
from tests.run.laboratory_run import laboratory_run
from tests.run.test_rehearsal import Told

MISSED = "REFUSED: p95 error 412 ms (at most 50)"
SECOND: Any = SimpleNamespace(cluster=None, access=None, client=None, bookkeeper=None)
FIRST: Any = SimpleNamespace(cluster=None, access=None, client=None, bookkeeper=None)

NO_LEDGER = LedgerWish(None, False)


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    load: Any = None
    project = Project(tmp_path)
    return Recording(laboratory_run(tmp_path / "run"), project, load, RememberingProgress(Told()), Halt())


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> SelfTest:
    """Have the self-test of one scenario at a time end in a known way."""
    found = self_test(Verdict.PASSED)
    monkeypatch.setattr(subject, "short_self_test", lambda *_: found)
    monkeypatch.setattr(Project, "read", lambda _: None)
    return found


def self_test(verdict: Verdict) -> SelfTest:
    return replace(broken_self_test(SHORT, 7, MISSED), verdict=verdict, sentence=f"missed its targets: {MISSED}")


def wanted() -> Further:
    cluster: Any = SimpleNamespace()
    return Further({"run-1-2": cluster}, NO_LEDGER)


def up(ended: list[str]) -> Callable[..., Any]:
    @contextmanager
    def deployed(*_: object) -> Iterator[Sequence[System]]:
        try:
            yield [SECOND]
        finally:
            ended.append("second")

    return deployed


def finding(verdict: Verdict) -> Callable[..., SelfTest]:
    def run(scenes: Sequence[object], seed: int, step: Step) -> SelfTest:
        assert len(scenes) == 2
        return self_test(verdict)

    return run


def test_where_the_self_test_passes_beside_all_loads_all_systems_are_used(
    recording: Recording, monkeypatch: pytest.MonkeyPatch, alone: SelfTest
) -> None:
    ended: list[str] = []
    monkeypatch.setattr(subject, "deployed_at_once", up(ended))
    monkeypatch.setattr(subject, "_tested_under_load", finding(Verdict.PASSED))
    monkeypatch.setattr(Recording, "scene", lambda *_: None)
    with side_by_side_where_fit(recording, FIRST, wanted(), None) as systems:
        assert list(systems) == [FIRST, SECOND]
        assert ended == []
    assert ended == ["second"]
    (note,) = recording.notes
    assert note.startswith("2 scenarios ran at the same time")


def test_where_it_misses_its_targets_the_first_system_is_used_alone_and_the_note_has_the_figures(
    recording: Recording, monkeypatch: pytest.MonkeyPatch, alone: SelfTest
) -> None:
    ended: list[str] = []
    monkeypatch.setattr(subject, "deployed_at_once", up(ended))
    monkeypatch.setattr(subject, "_tested_under_load", finding(Verdict.INCONCLUSIVE))
    monkeypatch.setattr(Recording, "scene", lambda *_: None)
    with side_by_side_where_fit(recording, FIRST, wanted(), None) as systems:
        assert list(systems) == [FIRST]
        assert ended == ["second"], "what is not used is ended first"
    (note,) = recording.notes
    assert "ran one after the other" in note
    assert MISSED in note
    kept = read_self_test(recording.folder.path / "selftest.json")
    assert kept == alone, "the self-test of the run is the one that was run as its scenarios are"


def test_a_further_system_that_does_not_come_up_is_done_without(
    recording: Recording, monkeypatch: pytest.MonkeyPatch, alone: SelfTest
) -> None:
    def never(*_: object) -> AbstractContextManager[Sequence[System]]:
        raise NotReadyError("not ready after 120 s: Deployment web 0/2", "")

    monkeypatch.setattr(subject, "deployed_at_once", never)
    with side_by_side_where_fit(recording, FIRST, wanted(), None) as systems:
        assert list(systems) == [FIRST]
    (note,) = recording.notes
    assert "Deployment web 0/2" in note


@pytest.mark.parametrize("name", ["minikube", "context:staging"])
def test_other_clusters_are_refused_with_the_reason(name: str, tmp_path: Path) -> None:
    cluster = provide(name, ClusterOptions(state=tmp_path))
    with pytest.raises(ClusterError, match=f"at the same time on {name}: each needs a system of its own"):
        beside(cluster, ["run-1-2"])


@pytest.mark.parametrize(
    ("named", "told"), [({"deploying": False}, "--no-deploy"), ({"url": "http://127.0.0.1:1"}, "--url")]
)
def test_what_has_one_system_only_is_refused(named: dict[str, Any], told: str, tmp_path: Path) -> None:
    options: Any = SimpleNamespace(**({"parallel": 2, "trials": 1, "deploying": True, "url": ""} | named))
    with pytest.raises(ProjectError, match=f"{told} .*--parallel"):
        _further(options, provide("sandbox", ClusterOptions(state=tmp_path)), 2, NO_LEDGER)


@pytest.mark.parametrize(("experiments", "trials", "count"), [(1, 1, 0), (2, 1, 1), (1, 3, 2), (9, 9, 3)])
def test_there_are_no_more_systems_than_scenarios(
    experiments: int, trials: int, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    options: Any = SimpleNamespace(parallel=4, trials=trials, deploying=True, url="")
    found = _further(options, provide("sandbox", ClusterOptions(state=tmp_path)), experiments, NO_LEDGER)
    assert (len(found.clusters), found.note) == (count, "")


@pytest.mark.parametrize(
    ("processors", "told"), [(1, "1 did: this machine has 1 p"), (2, "2 did: this machine has 2 p")]
)
def test_there_are_no_more_systems_than_processors(
    processors: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(processors)))
    options: Any = SimpleNamespace(parallel=3, trials=1, deploying=True, url="")
    found = _further(options, provide("sandbox", ClusterOptions(state=tmp_path)), 9, NO_LEDGER)
    assert len(found.clusters) == processors - 1
    assert f"3 scenarios were to run at the same time, and {told}" in found.note


def test_each_further_sandbox_has_a_state_folder_and_an_address_of_its_own(tmp_path: Path) -> None:
    first = provide("sandbox", ClusterOptions(state=tmp_path))
    two, three = beside(first, ["run-1-2", "run-1-3"])
    options = [vars(one)["_sandbox"] for one in (first, two, three)]
    assert len({one.state_folder for one in options}) == 3
    assert len({one.node_port_address for one in options}) == 3
    (again,) = beside(first, ["run-1-2"])
    assert vars(again)["_sandbox"].node_port_address not in {one.node_port_address for one in options}


def test_as_many_self_tests_are_made_at_once_as_scenarios_run() -> None:
    alone, together = (plan_tracks(form, 7, 0.05) for form in (SHORT, at_once(SHORT, 3)))
    assert len(together) == 3 * len(alone)
    assert sum(len(one.windows) for one in together) == 3 * sum(len(one.windows) for one in alone)
    assert max(one.end_seconds for one in together) <= 1.5 * max(one.end_seconds for one in alone)
