"""A run, step by step: deploy, then for each experiment load and inject, then analyse and report.

Whatever happens on the way, what was recorded is kept: logs are fetched and raw files folded on every way out, and
`flametest report` can analyse a run that was interrupted.
"""

import errno
import os
import random
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from flametest.chaos.holding import HOLD_SECONDS_MAX, needed_hold
from flametest.chaos.preview import Aimed
from flametest.clusters import Access, Cluster
from flametest.clusters.beside import beside
from flametest.faults.undo import state_home
from flametest.kube import KubeError, connect
from flametest.measure.objectives import Objectives
from flametest.model.limits import parse_override
from flametest.model.plurals import counted
from flametest.model.result import Result, ScenarioResult
from flametest.model.selftest import SelfTest
from flametest.run.analyse import analyse
from flametest.run.bookkeeper import Bookkeeper, LedgerWish
from flametest.run.choice import choose
from flametest.run.deploy import DeployOptions, deployed
from flametest.run.experiment import Experiment, load_experiment, read_limits, refuse_equal_names
from flametest.run.folder import RunFolder, RunInputs, read_result
from flametest.run.further import Further, side_by_side_where_fit
from flametest.run.halting import Halt, side_by_side
from flametest.run.leftovers import refuse_other_runs
from flametest.run.needs import Plan
from flametest.run.preflight import check_enforcement
from flametest.run.progress import Progress, RememberingProgress
from flametest.run.project import Project, ProjectError
from flametest.run.recording import WHOLE_SECONDS, Lanes, Recording, System
from flametest.run.rehearsal import aim_all, ask_entries, check_all
from flametest.run.scene import LoadSize
from flametest.run.standins import stand_ins_note
from flametest.run.versions import component_versions

__all__ = ["RunOptions", "execute", "rehearse"]

_LONG_HOLD_SECONDS = 60.0  # after a recovery; a longer one is announced


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What a run is asked for.

    Attributes:
        suite: suite of experiments/suites.toml; not looked at when experiments are named.
        experiments: experiment files.
        skip: names of experiments that are left out.
        out: the run's folder; None for one named by date and time in reports/.
        limits: overrides as ``[SCENARIO:]CRITERION=NUMBER``.
        load: how much load is offered.
        ledger: True asks for a ledger of writes, False for none; None keeps one where ledger.toml defines one.
        seed: of every random choice; None to draw one.
        trials: how often each scenario is repeated.
        baseline: folder of a run to compare with; None for none.
        margin_ratio: how far it may be worse than the baseline.
        keep: leave the system running afterwards.
        deploying: apply the manifests; else the system is there already, and is left as it is.
        command: the command line, for the report.
        url: the entry as the user has named it; empty to have it found.
        self_test: what the self-test found that has been run for this and other runs; None to run it.
        parallel: how many scenarios run at the same time at most, each in a sandbox of its own.
    """

    suite: str
    experiments: tuple[Path, ...]
    skip: tuple[str, ...]
    out: Path | None
    limits: tuple[str, ...]
    load: LoadSize
    ledger: bool | None
    seed: int | None
    trials: int
    baseline: Path | None
    margin_ratio: float
    keep: bool
    deploying: bool
    command: Sequence[str]
    url: str = ""
    self_test: SelfTest | None = None
    parallel: int = 1


@dataclass(frozen=True, slots=True)
class _Stage:
    """What the steps of one run share once the system is deployed."""

    options: RunOptions
    project: Project
    progress: RememberingProgress
    system: System


def execute(options: RunOptions, project: Project, cluster: Cluster, progress: Progress) -> tuple[Result, Path]:
    """Carry out a run and return its result and its folder.

    Raises:
        FlametestError: usage, set-up or deployment is at fault; nothing is left running.
        KeyboardInterrupt: a signal ended it; what was recorded is in the folder, what was started is ended.
    """
    progress = RememberingProgress(progress)
    experiments = _experiments(options, project, progress)
    wish = LedgerWish.of(project, options.ledger, deploying=options.deploying)
    further = _further(options, cluster, len(experiments), wish)
    path = (options.out or project.reports / time.strftime("%Y-%m-%dT%H-%M-%S")).absolute()
    RunFolder.check(path)
    with _naming(path), ExitStack() as ending:
        access = ending.enter_context(_deployed(options, project, cluster, progress, experiments))
        client = ending.enter_context(connect(access.kubeconfig, access.context))
        stage = _Stage(options, project, progress, System.of(cluster, access, client, wish))
        ask_entries(access, experiments)
        _warn_of_few_requests(options.load, progress)
        _rehearse(stage, experiments)
        folder = RunFolder.create(path, _inputs(stage, experiments))
        _keep_promises(project, folder)
        recording = Recording(folder, project, options.load, progress, Halt())
        lanes = ending.enter_context(closing(Lanes(recording, experiments)))
        fit = side_by_side_where_fit(recording, stage.system, further, options.self_test, lanes.prepare)
        lanes.record(ending.enter_context(fit))
        return _analysed_while_ending(recording, lanes.measured, ending), folder.path


def _analysed_while_ending(recording: Recording, known: Mapping[str, ScenarioResult], ending: ExitStack) -> Result:
    """Return the result of a run, and end meanwhile what was started for it; after an interruption, the caller does."""
    found: list[Result] = []

    def analysed() -> None:
        with recording.progress.step("analyse and report") as step:
            result = analyse(recording.folder, recording.project, known)
            recording.folder.point_latest(recording.project.reports)
            step.saw(counted(len(result.scenarios), "scenario"))
        found.append(result)

    side_by_side({"analyse": analysed, "end": ending.close}, recording.halt)
    return found[0]


@contextmanager
def _naming(folder: Path) -> Iterator[None]:
    """Name the run's folder where a disk is full, which the error of a write does not."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or error.filename:
            raise
        raise ProjectError(
            f"the folder {folder} cannot be written to: {error.strerror}",
            "make room on that disk, or name another folder with --out",
        ) from error


def _experiments(options: RunOptions, project: Project, progress: Progress) -> list[Experiment]:
    choice = choose(project, options.suite, options.experiments, options.skip)
    experiments = [load_experiment(file) for file in choice.files]
    refuse_equal_names(experiments)
    check_all(experiments)  # before anything is started
    overrides = [parse_override(text) for text in options.limits]
    limits = read_limits(project.limits_file)
    for experiment in experiments:
        limits.of(experiment.name, experiment.limits, overrides)  # complains before anything is started
    if options.baseline is not None:
        read_result(options.baseline / "result.json")  # likewise
    for name in choice.left_out:
        with progress.step(f"experiment {name}") as step:
            step.skip("left out by --skip")
    return experiments


def rehearse(
    options: RunOptions, project: Project, cluster: Cluster, progress: Progress
) -> dict[str, tuple[Aimed, ...]]:
    """Return what the faults of each experiment would hit, resolved on the deployed system; injects nothing.

    Raises:
        FlametestError: set-up is at fault, or a fault would hit what it may not; nothing is left running.
    """
    experiments = _experiments(options, project, progress)
    with (
        _deployed(options, project, cluster, progress, experiments) as access,
        connect(access.kubeconfig, access.context) as client,
    ):
        ask_entries(access, experiments)
        _try_ledger(options, project, access, progress)
        return aim_all(client, access, experiments)


def _further(options: RunOptions, cluster: Cluster, experiments: int, wish: LedgerWish) -> Further:
    """Return the further systems that are wanted; nothing is started.

    Raises:
        FlametestError: scenarios cannot run at the same time on what the options name.
    """
    useful, processors = min(options.parallel, experiments * options.trials), len(os.sched_getaffinity(0))
    count = min(useful, processors) - 1
    if options.parallel > 1 and not options.deploying:
        raise ProjectError(
            "--no-deploy tests the one system that is there, and --parallel needs several", "leave one of them out"
        )
    if options.parallel > 1 and options.url:
        raise ProjectError(
            f"--url names the entry of one system, {options.url}, and --parallel needs several", "leave one of them out"
        )
    names = [f"run-{os.getpid()}-{number}" for number in range(2, count + 2)]
    clusters = beside(cluster, names) if options.parallel > 1 else ()
    note = (
        f"{useful} scenarios were to run at the same time, and {count + 1} did: this machine has "
        f"{counted(processors, 'processor')}, of which each scenario keeps about one busy"
    )
    return Further(dict(zip(names, clusters, strict=True)), wish, note if useful > processors else "")


def _try_ledger(options: RunOptions, project: Project, access: Access, progress: Progress) -> None:
    """Read back once what the ledger would read back, and write nothing.

    Raises:
        FlametestError: the definition is wrong, or not one of this system.
    """
    wish = LedgerWish.of(project, options.ledger, deploying=options.deploying)
    if wish.definition is None:
        return
    with progress.step(f"read back the ledger of {wish.definition.name}") as step:
        step.saw(Bookkeeper(access.url, wish, access.environment(os.environ)).try_reading())


def _deployed(
    options: RunOptions, project: Project, cluster: Cluster, progress: Progress, experiments: list[Experiment]
) -> AbstractContextManager[Access]:
    plan = _plan(options, project, experiments)
    reading = project.read() if options.deploying else None
    return deployed(cluster, reading, progress, keep=options.keep, options=DeployOptions(plan, url=options.url))


def _plan(options: RunOptions, project: Project, experiments: list[Experiment]) -> Plan:
    wish = LedgerWish.of(project, options.ledger, deploying=options.deploying)
    return Plan(tuple(experiments), options.load.workers, wish.definition)


def _rehearse(stage: _Stage, experiments: list[Experiment]) -> None:
    """Complain of faults that may not be injected before the first one is.

    On a system that is not whole there may be no target yet, or not any more; each experiment finds out by itself.
    """
    with stage.progress.step("resolve every fault's targets") as step:
        refuse_other_runs(state_home(os.environ), stage.system.client, stage.system.access)
        try:
            stage.system.client.wait_ready(stage.system.access.namespace, timeout_seconds=WHOLE_SECONDS, saw=step.saw)
        except KubeError as error:
            step.skip(f"the system is not whole after {WHOLE_SECONDS:g} s: {error.message}")
            return
        aimed = aim_all(stage.system.client, stage.system.access, experiments)
        step.saw(_told_aims([one for found in aimed.values() for one in found]))
    if not stage.system.cluster.is_own:
        check_enforcement(
            stage.system.client, stage.system.access, _plan(stage.options, stage.project, experiments), stage.progress
        )


def _warn_of_few_requests(load: LoadSize, progress: Progress) -> None:
    """Say beforehand that a steady state takes long to tell at this rate, or cannot be, where a rate is asked for."""
    if load.rate_per_user is None:
        return
    needed = needed_hold(load.offered_per_second, Objectives())
    rate = f"{load.offered_per_second:g} requests a second"
    if needed > HOLD_SECONDS_MAX:
        progress.say(
            f"{rate} take {needed:.0f} s to establish a steady state, and a recovered system is watched for "
            f"{HOLD_SECONDS_MAX:g} s: the time to steady state will be inconclusive. Offer more with --users or --rate"
        )
    elif needed > _LONG_HOLD_SECONDS:
        progress.say(
            f"{rate} take {needed:.0f} s to establish a steady state: each scenario watches the recovered system "
            "for that long. More requests make it shorter: --users or --rate"
        )


def _told_aims(aimed: Sequence[Aimed]) -> str:
    looked_into = sum(one.is_looked_into for one in aimed)
    others = f"; {len(aimed) - looked_into} not checked" if len(aimed) > looked_into else ""
    return f"{looked_into} faults, all within their blast radius{others}"


def _inputs(stage: _Stage, experiments: list[Experiment]) -> RunInputs:
    options = stage.options
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(2**31)
    command = [*options.command, *([] if options.seed is not None else ["--seed", str(seed)])]
    return RunInputs(
        run_id=time.strftime("%Y-%m-%dT%H-%M-%S"),
        cluster=stage.system.cluster.name,
        cluster_note=stage.system.cluster.note + stand_ins_note(stage.system.client, stage.system.access.namespace),
        namespace=stage.system.access.namespace,
        url=stage.system.access.url,
        suite="" if options.experiments else options.suite,
        seed=seed,
        command=shlex.join(command),
        manifests_digest=stage.project.read().digest if options.deploying else "",
        scenarios=tuple(experiment.name for experiment in experiments),
        limits=options.limits,
        versions=component_versions(stage.system.client.version()),
        trials=options.trials,
        baseline=str(options.baseline.resolve()) if options.baseline is not None else "",
        margin_ratio=options.margin_ratio,
    )


def _keep_promises(project: Project, folder: RunFolder) -> None:
    """Keep the limits by which this run is judged, and its ledger: an analysis years later must not use others."""
    for file in (project.limits_file, project.ledger_file):
        if file.exists():
            (folder.path / file.name).write_bytes(file.read_bytes())
