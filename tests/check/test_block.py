"""Blocks by stock Chaos Toolkit: prepared beside one another, each breaks its system in its turn."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flametest.check.block import Block, BlockError, RunningBlock, Target, block_figures
from flametest.check.turns import Turns, turns
from flametest.clusters import Access
from flametest.measure.samples import Samples
from flametest.model.check import Side
from flametest.model.samples import Lane, Outcome, Sample
from flametest.run.halting import Halt, Halted
from flametest.run.progress import Seen
from flametest.run.project import Project
from flametest.run.scene import Scene
from tests.chaos.conftest import ChaosRun, PretendedCluster

BEGUN_NS = 10**12


@dataclass
class Bench:
    """What starts blocks against the pretended cluster."""

    folder: Path
    target: Target
    turns: Turns

    def start(self, number: int) -> RunningBlock:
        side = (Side.BASE, Side.NEW, Side.NEW, Side.BASE)[number % 4]
        return RunningBlock(Block(number, side, self.folder / str(number), 7, 0.2), self.target, self.turns)


@pytest.fixture
def bench(chaos_run: ChaosRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    environment = chaos_run.environment
    monkeypatch.setenv("FLAMETEST_HOME", environment["FLAMETEST_HOME"])
    access = Access(Path(environment["KUBECONFIG"]), "pretended", environment["FLAMETEST_URL"])
    nothing: Any = None
    scene = Scene(access, Project(tmp_path), nothing, (), nothing, Halt())
    client: Any = SimpleNamespace(wait_ready=lambda *_, **__: ())
    with turns() as given:
        yield Bench(tmp_path / "blocks", Target("pod-delete-api", chaos_run.document, scene, client), given)


@pytest.mark.exhaustive
def test_a_block_that_is_prepared_breaks_nothing_before_its_turn(bench: Bench, cluster: PretendedCluster) -> None:
    first, second = bench.start(0), bench.start(1)
    first.begin(Seen())
    first_ns = first.wait()
    assert len(cluster.deleted) == 1
    second.begin(Seen())
    assert second.wait() > first_ns
    assert len(cluster.deleted) == 2
    for one in (first, second):
        one.join()


def test_a_block_without_a_fault_says_why(bench: Bench, cluster: PretendedCluster) -> None:
    cluster.refuses_deletion = True
    block = bench.start(0)
    block.begin(Seen())
    with pytest.raises(BlockError, match="Forbidden"):
        block.wait()
    block.join()


def test_a_halt_ends_a_block_that_waits_for_its_turn(bench: Bench, cluster: PretendedCluster) -> None:
    block = bench.start(0)
    while not bench.turns.is_waiting(0):
        pass
    bench.target.scene.halt.set()
    with pytest.raises(Halted):
        block.wait()
    block.join()
    assert cluster.deleted == []


def sample(at_seconds: float, latency_ms: float, *, is_good: bool = True) -> Sample:
    """Return a request that was to be sent at a time after the check began."""
    sent_ns = BEGUN_NS + round(at_seconds * 1e9)
    done_ns = sent_ns + round(latency_ms * 1e6)
    outcome = Outcome.OK if is_good else Outcome.FAILED
    return Sample(Lane.LOAD, "GET /", sent_ns, sent_ns, done_ns, outcome, 200 if is_good else 503, "", "")


def test_what_users_felt_is_counted_from_the_injection_to_the_end_of_the_block() -> None:
    block = Block(6, Side.NEW, Path(), 7, 2.0)
    inside = [sample(10 + 0.1 * number, 10.0 * (number + 1), is_good=number != 19) for number in range(20)]
    outside = [sample(9.99, 900.0), sample(12.0, 900.0, is_good=False)]
    found = block_figures(block, BEGUN_NS + 10 * 10**9, BEGUN_NS, Samples.of([*inside, *outside]))
    assert (found.quad, found.side, found.requests, found.injected_seconds) == (1, Side.NEW, 20, 10.0)
    assert found.availability == 0.95
    assert found.p95_ms == 190.0


def test_a_block_without_a_request_has_no_figures() -> None:
    found = block_figures(Block(0, Side.BASE, Path(), 7, 2.0), BEGUN_NS, BEGUN_NS, Samples.of([]))
    assert (found.requests, found.availability, found.p95_ms) == (0, None, None)
