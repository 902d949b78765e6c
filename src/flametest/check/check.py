"""A check, step by step: deploy both trees, put both under load, break them in turns, compare.

Both systems are under the same load all the time, so that neither has a machine to itself. The fault goes from one to
the other in the order that `flametest.check.plan` draws; a block is the seconds after an injection. Nothing of the
user's own sandbox is touched, and both sandboxes end with the check on every way out.
"""

import random
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from flametest.check.block import Block, BlockError, Target, block_figures, run_block
from flametest.check.plan import block_experiment, quad_order
from flametest.check.telling import result_sentence, write_result
from flametest.clusters import Cluster
from flametest.load import Locust
from flametest.load.locust_runner import LOAD_SAMPLES_FILE
from flametest.measure.paired import QUADS_MIN, compare_blocks, worst_judgement
from flametest.measure.samples import Samples, read_samples
from flametest.model.check import CheckResult, Judgement, Side
from flametest.run.experiment import Experiment, load_experiment, read_document
from flametest.run.folder import RunFolder
from flametest.run.further import Wanted, deployed_at_once
from flametest.run.halting import Halt
from flametest.run.loadpods import OFFERED_SECONDS_MAX
from flametest.run.progress import Progress
from flametest.run.project import Project
from flametest.run.rehearsal import aim_all, check_all
from flametest.run.scenario import LoadSize, Scene, load_options

__all__ = ["CheckOptions", "Tree", "check"]

_ENDING_SECONDS = 10.0  # what is kept of the time for ending two sandboxes
_QUAD_SECONDS = 40.0  # what a first quad is taken to last


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree: its project, and a sandbox of its own that was not started; ``name`` is that sandbox's."""

    name: str
    project: Project
    cluster: Cluster


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What a check is asked for.

    Attributes:
        experiment: the experiment whose fault is injected, into both trees.
        load: how much load is offered to each.
        out: a new folder for the record.
        seed: of the order of blocks and of the faults' draws; None to draw one.
        seconds_max: how long the check may take.
        block_seconds: how long after each injection is measured.
        margins: how much worse is no regression yet, by figure.
        command: the command line, for the report.
    """

    experiment: Path
    load: LoadSize
    out: Path
    seed: int | None
    seconds_max: float
    block_seconds: float
    margins: Mapping[str, float]
    command: str


@dataclass(frozen=True, slots=True)
class _Bench:
    """What the blocks of a check share."""

    options: CheckOptions
    experiment: Experiment
    seed: int
    targets: Mapping[Side, Target]
    ends_s: float


def check(options: CheckOptions, trees: Mapping[Side, Tree], progress: Progress) -> CheckResult:
    """Compare two trees, and return what was found; the record and a summary are in the folder.

    Raises:
        FlametestError: set-up is at fault, such as a tree that does not come up; nothing is left running.
        KeyboardInterrupt: a signal ended it; everything is healed and ended.
    """
    experiment = load_experiment(options.experiment)
    check_all([experiment])
    document = block_experiment(read_document(options.experiment), options.block_seconds)
    seed = random.SystemRandom().randrange(2**31) if options.seed is None else options.seed
    RunFolder.check(options.out)
    wanted = {tree.name: Wanted(tree.cluster, tree.project.read()) for tree in trees.values()}
    _make_images(wanted, progress)
    begun_ns, ends_s = time.monotonic_ns(), time.monotonic() + options.seconds_max - _ENDING_SECONDS
    with deployed_at_once(wanted, "both trees", progress, ledger=False) as found:
        targets = {}
        for side, system in zip(trees, found, strict=True):
            aim_all(system.client, system.access, [experiment])  # refuses before anything is injected
            # Load and limits are those of the new tree for both.
            scene = Scene(system.access, trees[Side.NEW].project, options.load, (), system.bookkeeper, Halt())
            targets[side] = Target(experiment.name, document, scene, system.client)
        bench = _Bench(options, experiment, seed, targets, ends_s)
        blocks, doubt, samples = _measured(bench, progress)
    figures = [block_figures(block, at_ns, begun_ns, samples[block.side]) for block, at_ns in blocks]
    compared = compare_blocks(figures, options.margins)
    result = CheckResult(
        judgement=Judgement.UNTOLD if doubt else worst_judgement(compared),
        sentence="",
        base=str(trees[Side.BASE].project.root),
        fault=experiment.name,
        seed=seed,
        duration_seconds=(time.monotonic_ns() - begun_ns) / 1e9,
        figures=compared,
        blocks=tuple(figures),
        doubt=doubt,
        command=options.command if options.seed is not None else f"{options.command} --seed {seed}",
    )
    result = replace(result, sentence=result_sentence(result))
    write_result(result, options.out)
    return result


def _make_images(wanted: Mapping[str, Wanted], progress: Progress) -> None:
    """Make the images of one tree after the other, so that what they have in common is built once."""
    for name, one in wanted.items():
        images = one.cluster.own_images(one.reading.images)
        if images:
            with progress.step(f"make the images of {name}") as step:
                step.saw(one.cluster.make_images(images, step.saw))


def _measured(bench: _Bench, progress: Progress) -> tuple[list[tuple[Block, int]], str, dict[Side, Samples]]:
    """Return the blocks with the times of their injections, why they do not count, and the samples of both loads."""
    folders = {side: bench.options.out / "load" / side for side in bench.targets}
    with ExitStack() as exits:
        with progress.step(f"bring up {bench.options.load.words} on both") as step:
            loads = []
            for side, folder in folders.items():
                folder.mkdir(parents=True)
                path = bench.experiment.entry_path
                loads.append(exits.enter_context(Locust(load_options(bench.targets[side].scene, path), folder)))
            for load in loads:
                load.wait_until_offered(OFFERED_SECONDS_MAX)
            step.saw(", ".join(target.scene.access.url for target in bench.targets.values()))
        blocks, doubt = _quads(bench, progress)
        for load in loads:
            load.check()
    return blocks, doubt, {side: _samples(folder) for side, folder in folders.items()}


def _quads(bench: _Bench, progress: Progress) -> tuple[list[tuple[Block, int]], str]:
    """Run quads until the time is over; a block without a fault ends the check, since nothing could be compared."""
    done: list[tuple[Block, int]] = []
    quad, quad_seconds = 0, _QUAD_SECONDS
    while time.monotonic() + quad_seconds < bench.ends_s or quad == 0:
        begun = time.monotonic()
        order = quad_order(quad, bench.seed)
        with progress.step(f"quad {quad + 1}: {bench.experiment.name} on {', '.join(order)}") as step:
            for number, side in enumerate(order, start=4 * quad):
                folder = bench.options.out / "blocks" / f"{number:03d}-{side}"
                block = Block(quad, side, folder, bench.seed + quad, bench.options.block_seconds)
                try:
                    done.append((block, run_block(block, bench.targets[side], step)))
                except BlockError as error:
                    return done, f"no fault was injected into {side} in quad {quad + 1}: {error}"
            quad_seconds = time.monotonic() - begun
            step.saw(f"{quad_seconds:.0f} s; {max(0.0, bench.ends_s - time.monotonic()):.0f} s to go")
        quad += 1
    few = f"there was time for {quad} of the {QUADS_MIN} groups of four blocks that are needed"
    return done, few if quad < QUADS_MIN else ""


def _samples(folder: Path) -> Samples:
    with (folder / LOAD_SAMPLES_FILE).open(newline="", encoding="utf-8") as lines:
        return read_samples(lines)
