"""Groups of four blocks run until the time is over; whatever ends them early leaves no block behind."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flametest.check import check as subject
from flametest.check.block import RunningBlock, Target
from flametest.check.plan import quad_order
from flametest.clusters import Access
from flametest.model.check import Side
from flametest.run.halting import Halt
from flametest.run.project import Project
from flametest.run.scene import Scene
from tests.chaos.conftest import ChaosRun, PretendedCluster
from tests.run.test_rehearsal import Told

SEED = 7


@pytest.fixture
def bench(chaos_run: ChaosRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "subject._Bench":
    """Both trees are the pretended cluster, and there is time for one group."""
    environment = chaos_run.environment
    monkeypatch.setenv("FLAMETEST_HOME", environment["FLAMETEST_HOME"])
    access = Access(Path(environment["KUBECONFIG"]), "pretended", environment["FLAMETEST_URL"])
    nothing: Any = None
    halt = Halt()
    scene = Scene(access, Project(tmp_path), nothing, (), nothing, halt)
    client: Any = SimpleNamespace(wait_ready=lambda *_, **__: ())
    target = Target("pod-delete-api", chaos_run.document, scene, client)
    options: Any = SimpleNamespace(out=tmp_path, block_seconds=0.2, seconds_max=60.0)
    experiment: Any = SimpleNamespace(name="pod-delete-api")
    return subject._Bench(options, experiment, SEED, dict.fromkeys(Side, target), halt, time.monotonic())


def no_block_is_left() -> bool:
    return not [one for one in threading.enumerate() if one.name.startswith("block-")]


def test_one_group_is_run_in_its_order_and_is_said_to_be_too_little(
    bench: "subject._Bench", cluster: PretendedCluster
) -> None:
    done, doubt = subject._quads(bench, Told())
    assert tuple(block.side for block, _ in done) == quad_order(0, SEED)
    assert [at_ns for _, at_ns in done] == sorted(at_ns for _, at_ns in done)
    assert {block.seed for block, _ in done} == {SEED}
    assert len(cluster.deleted) == 4
    told, _, minutes = doubt.rpartition(" --minutes ")
    assert told == "there was time for 1 of the 6 groups of four blocks that are needed; on this machine they take"
    assert int(minutes) >= 1
    assert no_block_is_left()


def test_the_time_that_would_be_enough_holds_six_groups_beside_what_comes_before_and_after_them() -> None:
    options: Any = SimpleNamespace(seconds_max=300.0)
    nothing: Any = None
    # Of 300 s, 40 were over before the first group, 250 went into two groups, and 10 are left for the end.
    bench = subject._Bench(options, nothing, SEED, {}, Halt(), time.monotonic())
    assert subject._too_few(2, 250.0, bench).endswith("--minutes 16")  # (50 + 1.2 * 6 * 125) / 60 = 15.8


@pytest.mark.exhaustive
def test_a_fault_that_cannot_be_injected_ends_the_check_with_the_reason(
    bench: "subject._Bench", cluster: PretendedCluster
) -> None:
    cluster.refuses_deletion = True
    done, doubt = subject._quads(bench, Told())
    assert done == []
    assert doubt.startswith(f"no fault was injected into {quad_order(0, SEED)[0]} in group 1: ")
    assert "Forbidden" in doubt
    assert no_block_is_left()


@pytest.mark.exhaustive
def test_an_interruption_ends_the_block_that_runs_and_the_one_that_is_prepared(
    bench: "subject._Bench", monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: object) -> int:
        raise KeyboardInterrupt

    waiting: Callable[[Any], int] = interrupted
    monkeypatch.setattr(RunningBlock, "wait", waiting)
    with pytest.raises(KeyboardInterrupt):
        subject._quads(bench, Told())
    assert no_block_is_left()
