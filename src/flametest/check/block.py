"""One block: a fault in one of two systems that are both under load, and what the users of that system felt of it."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

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
from flametest.run.scenario import Scene, recorder_environment

__all__ = ["Block", "BlockError", "Target", "block_figures", "run_block"]


class BlockError(Exception):
    """A block in which no fault was injected; the message says why."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block that is to be run, or was.

    Attributes:
        quad: the group of four that it belongs to.
        side: the tree.
        folder: where it is recorded; made by `run_block`.
        seed: of what the fault draws at random; the same for all blocks of a quad.
        seconds: how long after the injection is measured.
    """

    quad: int
    side: Side
    folder: Path
    seed: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Target:
    """What is broken: the experiment of a block, by its name, and the system that it is run against."""

    name: str
    document: Mapping[str, Any]
    scene: Scene
    client: KubeClient


def run_block(block: Block, target: Target, step: Step) -> int:
    """Inject the fault, let it last, heal it, and return the monotonic time of the injection in nanoseconds.

    Returns when the system is whole again, or 20 s have passed without that.

    Raises:
        BlockError: no fault was injected.
        KeyboardInterrupt: the check was interrupted; the fault is healed.
    """
    name, scene = target.name, target.scene
    block.folder.mkdir(parents=True)
    file = block.folder / f"{name}.json"
    file.write_text(json.dumps(target.document, indent=1), encoding="utf-8")
    environment = recorder_environment(scene, Repeat(name, 1, name, block.seed, 0.0), block.folder)
    outcome = run_chaos(file, block.folder / "journal.json", environment, step.saw, scene.halt)
    injected_ns = _injected_ns(block.folder / RAW_HISTORY)
    if injected_ns is None:
        raise BlockError(outcome.reason or f"the experiment {outcome.status} without a fault")
    left_seconds = injected_ns / 1e9 + block.seconds - time.monotonic()
    if left_seconds > 0:
        time.sleep(left_seconds)
    try:
        target.client.wait_ready(scene.access.namespace, timeout_seconds=WHOLE_SECONDS, saw=step.saw)
    except KubeError as error:
        step.saw(f"not whole: {error.message}")
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
