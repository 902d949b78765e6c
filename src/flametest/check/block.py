"""One block: a fault in one of two systems that are both under load, and what the users of that system felt of it."""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from flametest.check.plan import block_experiment
from flametest.check.turns import Turns
from flametest.kube import KubeClient, KubeError
from flametest.measure.latency import percentile
from flametest.measure.samples import Samples
from flametest.model.check import BlockFigures, Side
from flametest.model.events import FaultInjected
from flametest.model.history import History
from flametest.run.chaostoolkit import run_chaos
from flametest.run.folder import RAW_HISTORY
from flametest.run.progress import Step
from flametest.run.recording import WHOLE_SECONDS
from flametest.run.repeats import Repeat
from flametest.run.scene import Scene, recorder_environment

__all__ = ["Block", "BlockError", "RunningBlock", "Target", "block_figures"]

_POLL_SECONDS = 0.02


class BlockError(Exception):
    """A block in which no fault was injected; the message says why."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block that is to be run, or was.

    Attributes:
        number: from 0.
        side: the tree.
        folder: where it is recorded; made when it begins.
        seed: of what the fault draws at random; the same for all blocks of a quad.
        seconds: how long after the injection is measured.
    """

    number: int
    side: Side
    folder: Path
    seed: int
    seconds: float

    @property
    def quad(self) -> int:
        """Return the group of four that it belongs to, from 0."""
        return self.number // 4


@dataclass(frozen=True, slots=True)
class Target:
    """What is broken: the experiment of a block, by its name, and the system that it is run against."""

    name: str
    document: Mapping[str, Any]
    scene: Scene
    client: KubeClient


class RunningBlock:
    """A block that was started in a thread of its own; it injects its fault when its turn has come."""

    def __init__(self, block: Block, target: Target, turns: Turns) -> None:
        self.block = block
        self._target, self._turns = target, turns
        self._outcome: SimpleQueue[int | BaseException] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"block-{block.number}")
        self._thread.start()

    def begin(self, step: Step) -> None:
        """Give the block its turn, once it is prepared and its system is whole, or 20 s have passed without that."""
        number, target = self.block.number, self._target
        while not self._turns.is_waiting(number) and self._thread.is_alive():
            time.sleep(_POLL_SECONDS)
        try:
            namespace = target.scene.access.namespace
            target.client.wait_ready(namespace, timeout_seconds=WHOLE_SECONDS, saw=step.saw)
        except KubeError as error:
            step.saw(f"{self.block.side} is not whole: {error.message}")
        self._turns.give(number)

    def wait(self) -> int:
        """Return the monotonic time of the injection in nanoseconds, when the fault is healed and its time is over.

        Raises:
            BlockError: no fault was injected.
        """
        outcome = self._outcome.get()  # Thread.join must not be interrupted, see `flametest.run.halting`
        if isinstance(outcome, BaseException):
            raise outcome
        left_seconds = outcome / 1e9 + self.block.seconds - time.monotonic()
        if left_seconds > 0:
            time.sleep(left_seconds)
        return outcome

    def join(self) -> None:
        """Return when its thread has ended; a halt of its scene ends it soon."""
        self._thread.join()

    def _run(self) -> None:
        try:
            self._outcome.put(self._injected())
        except BaseException as error:
            self._outcome.put(error)

    def _injected(self) -> int:
        block, name, scene = self.block, self._target.name, self._target.scene
        block.folder.mkdir(parents=True)
        file = block.folder / f"{name}.json"
        document = block_experiment(self._target.document, block.seconds, self._turns.url(block.number))
        file.write_text(json.dumps(document, indent=1), encoding="utf-8")
        environment = recorder_environment(scene, Repeat(name, 1, name, block.seed, 0.0), block.folder)
        outcome = run_chaos(file, block.folder / "journal.json", environment, lambda _: None, scene.halt)
        injected_ns = _injected_ns(block.folder / RAW_HISTORY)
        if injected_ns is None:
            raise BlockError(outcome.reason or f"the experiment {outcome.status} without a fault")
        return injected_ns


def _injected_ns(history: Path) -> int | None:
    """Return t0 of the first fault in a recorder's history; None without one."""
    try:
        with history.open(encoding="utf-8") as lines:
            injected = History.from_lines(lines).of(FaultInjected)
    except FileNotFoundError:
        return None
    return (injected[0].sent_ns + injected[0].acknowledged_ns) // 2 if injected else None


def block_figures(block: Block, injected_ns: int, begun_ns: int, samples: Samples) -> BlockFigures:
    """Return what users felt in a block.

    Args:
        block: the block.
        injected_ns: when its fault was injected.
        begun_ns: when the check began.
        samples: of the load on its system, over the whole check.
    """
    end_ns = injected_ns + round(block.seconds * 1e9)
    own = samples.where((samples.intended_ns >= injected_ns) & (samples.intended_ns < end_ns))
    count, good = len(own), own.where(own.good)
    return BlockFigures(
        quad=block.quad,
        side=block.side,
        injected_seconds=(injected_ns - begun_ns) / 1e9,
        requests=count,
        availability=int(np.count_nonzero(own.good)) / count if count else None,
        p95_ms=percentile(good.latency_ms, 95.0),
    )
