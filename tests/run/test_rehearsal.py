"""The rehearsal of a run: what is refused is named at once, and one that could not be made is told as skipped."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from flametest.faults.errors import FaultError
from flametest.kube.errors import ApiUnreachableError, NotReadyError
from flametest.model.errors import FlametestError
from flametest.run import rehearsal
from flametest.run.progress import RememberingProgress
from flametest.run.run import _rehearse


class Told:
    """A progress that keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    @contextmanager
    def step(self, title: str) -> Iterator[Any]:
        yield SimpleNamespace(
            saw=lambda text: self.lines.append(f"ok {title}: {text}"),
            skip=lambda reason: self.lines.append(f"skipped {title}: {reason}"),
        )

    def say(self, text: str) -> None:
        self.lines.append(text)


class NeverReady:
    """A cluster whose workloads do not get ready."""

    def wait_ready(self, namespace: str, timeout_seconds: float, saw: Callable[[str], None]) -> None:
        raise NotReadyError(f"not ready after {timeout_seconds:g} s in namespace {namespace!r}: Deployment api 2/3", "")


def test_a_rehearsal_on_a_system_that_is_not_whole_is_skipped_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    progress = RememberingProgress(told)
    access = SimpleNamespace(namespace="shop")
    system = SimpleNamespace(client=NeverReady(), access=access, cluster=None)
    stage: Any = SimpleNamespace(progress=progress, system=system)
    # There is no cluster to ask for the faults of other runs, which come first.
    monkeypatch.setattr("flametest.run.run.refuse_other_runs", lambda *_: None)
    _rehearse(stage, [])
    assert told.lines[-1].startswith("skipped resolve every fault's targets: the system is not whole after 20 s")
    assert progress.skipped == [f"skipped: {told.lines[-1].removeprefix('skipped ')}"]
    assert "Deployment api 2/3" in progress.skipped[0]


def aimed(monkeypatch: pytest.MonkeyPatch, refusals: dict[str, FlametestError | None]) -> Any:
    """Rehearse experiments that are refused as told."""

    def aim(client: Any, access: Any, experiment: Any) -> tuple[str, ...]:
        refusal = refusals[experiment.name]
        if refusal is not None:
            raise refusal
        return (experiment.name,)

    monkeypatch.setattr(rehearsal, "_aim", aim)
    experiments: list[Any] = [SimpleNamespace(name=name) for name in refusals]
    client: Any = None
    access: Any = None
    return rehearsal.aim_all(client, access, experiments)


def test_all_experiments_that_are_refused_are_named_at_once_with_the_options_that_skip_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refusals: dict[str, FlametestError | None] = {
        "control": None,
        "node-drain": FaultError("node-drain.json: no other node", "add a node"),
        "node-loss": FaultError("node-loss.json: no node of the sandbox", "use the sandbox"),
    }
    with pytest.raises(FaultError) as raised:
        aimed(monkeypatch, refusals)
    assert str(raised.value) == "node-drain.json: no other node; node-loss.json: no node of the sandbox"
    assert raised.value.remedy == "add a node; or run the others with --skip node-drain --skip node-loss"


def test_where_every_experiment_is_refused_none_is_left_to_run_by_skipping(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FaultError) as raised:
        aimed(monkeypatch, {"node-drain": FaultError("node-drain.json: no other node", "add a node")})
    assert raised.value.remedy == "add a node"


def test_a_cluster_that_does_not_answer_is_no_refusal_of_an_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ApiUnreachableError) as raised:
        aimed(monkeypatch, {"control": None, "node-drain": ApiUnreachableError("no answer", "start it")})
    assert raised.value.remedy == "start it"


def test_experiments_that_are_not_refused_are_told_by_their_names(monkeypatch: pytest.MonkeyPatch) -> None:
    assert aimed(monkeypatch, {"control": None, "scale-api": None}) == {
        "control": ("control",),
        "scale-api": ("scale-api",),
    }
