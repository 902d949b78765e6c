"""A check, step by step: deploy both trees, put both under load, break them in turns, compare.

Both systems are under the same load all the time, so that neither has a machine to itself. The fault goes from one to
the other in the order that `flametest.check.plan` draws; a block is the seconds after an injection. Nothing of the
user's own sandbox is touched, and both sandboxes end with the check on every way out.
"""

import math
import random
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from flametest.check.block import Block, BlockError, RunningBlock, Target, block_figures
from flametest.check.plan import quad_order
from flametest.check.telling import result_sentence, write_result
from flametest.check.turns import Turns, turns
from flametest.clusters import Cluster
from flametest.faults.signals import shielded
from flametest.load import Locust
from flametest.load.locust_runner import LOAD_SAMPLES_FILE
from flametest.measure.paired import QUADS_MIN, compare_blocks, worst_judgement
from flametest.measure.samples import Samples, read_samples
from flametest.model.check import CheckResult, Judgement, Side
from flametest.run.bookkeeper import LedgerWish
from flametest.run.experiment import Experiment, load_experiment, read_document
from flametest.run.folder import RunFolder
from flametest.run.further import Wanted, deployed_at_once
from flametest.run.halting import Halt
from flametest.run.loadpods import OFFERED_SECONDS_MAX
from flametest.run.progress import Progress, Step
from flametest.run.project import Project
from flametest.run.rehearsal import aim_all, check_all
from flametest.run.scene import LoadSize, Scene, load_options

__all__ = ["CheckOptions", "Tree", "check"]

_ENDING_SECONDS = 10.0  # what is kept of the time for ending two sandboxes
_SPARE_RATIO = 1.2  # groups take longer when a system takes longer to be whole


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
    halt: Halt
    ends_s: float

    def block(self, number: int) -> Block:
        """Return the block of that number."""
        quad = number // 4
        side = quad_order(quad, self.seed)[number % 4]
        folder = self.options.out / "blocks" / f"{number:03d}-{side}"
        return Block(number, side, folder, self.seed + quad, self.options.block_seconds)


def check(options: CheckOptions, trees: Mapping[Side, Tree], progress: Progress) -> CheckResult:
    """Compare two trees, and return what was found; the record and a summary are in the folder.

    Raises:
        FlametestError: set-up is at fault, such as a tree that does not come up; nothing is left running.
        KeyboardInterrupt: a signal ended it; everything is healed and ended.
    """
    experiment = load_experiment(options.experiment)
    check_all([experiment])
    document = read_document(options.experiment)
    seed = random.SystemRandom().randrange(2**31) if options.seed is None else options.seed
    RunFolder.check(options.out)
    wanted = {tree.name: Wanted(tree.cluster, tree.project.read()) for tree in trees.values()}
    _make_images(wanted, progress)
    begun_ns, ends_s = time.monotonic_ns(), time.monotonic() + options.seconds_max - _ENDING_SECONDS
    with deployed_at_once(wanted, "both trees", progress, LedgerWish(None, False)) as found:
        targets, halt = {}, Halt()
        for side, system in zip(trees, found, strict=True):
            aim_all(system.client, system.access, [experiment])  # refuses before anything is injected
            # Load and limits are those of the new tree for both.
            scene = Scene(system.access, trees[Side.NEW].project, options.load, (), system.bookkeeper, halt)
            targets[side] = Target(experiment.name, document, scene, system.client)
        bench = _Bench(options, experiment, seed, targets, halt, ends_s)
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
    begun = time.monotonic()
    with turns() as given:
        running: dict[int, RunningBlock] = {}
        try:
            _start(bench, given, running, 0)
            while len(done) in running:
                with progress.step(f"group {len(done) // 4 + 1}: {bench.experiment.name} in turns") as step:
                    _quad(bench, given, running, done, step)
        except BlockError as error:
            side = bench.block(len(done)).side
            return done, f"no fault was injected into {side} in group {len(done) // 4 + 1}: {error}"
        finally:
            bench.halt.set()
            for one in running.values():
                one.join()
    return done, _too_few(len(done) // 4, time.monotonic() - begun, bench) if len(done) // 4 < QUADS_MIN else ""


def _too_few(quads: int, seconds: float, bench: _Bench) -> str:
    """Return that so many groups, which took so long, are too few, and how much time would be enough for all."""
    before_seconds = bench.options.seconds_max - (bench.ends_s - time.monotonic() + seconds)
    minutes = math.ceil((before_seconds + _SPARE_RATIO * QUADS_MIN * seconds / quads) / 60)
    return (
        f"there was time for {quads} of the {QUADS_MIN} groups of four blocks that are needed; "
        f"on this machine they take --minutes {minutes}"
    )


def _start(bench: _Bench, given: Turns, running: dict[int, RunningBlock], number: int) -> None:
    block = bench.block(number)
    with shielded():  # a signal amid a start would leave a thread for which nobody waits
        running[number] = RunningBlock(block, bench.targets[block.side], given)


def _quad(
    bench: _Bench, given: Turns, running: dict[int, RunningBlock], done: list[tuple[Block, int]], step: Step
) -> None:
    """Run four blocks; while one is measured, the next one is started, beyond the last where there is time."""
    begun = time.monotonic()
    for number in range(len(done), len(done) + 4):
        current = running[number]
        current.begin(step)
        step.saw(f"{current.block.side} is broken")
        quad_seconds = (time.monotonic() - begun) * 4 / (number % 4 + 1) + bench.options.block_seconds
        if number % 4 < 3 or time.monotonic() + quad_seconds < bench.ends_s:
            _start(bench, given, running, number + 1)
        done.append((current.block, current.wait()))
        current.join()
    step.saw(f"{time.monotonic() - begun:.0f} s; {max(0.0, bench.ends_s - time.monotonic()):.0f} s to go")


def _samples(folder: Path) -> Samples:
    with (folder / LOAD_SAMPLES_FILE).open(newline="", encoding="utf-8") as lines:
        return read_samples(lines)
