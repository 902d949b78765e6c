"""A run, step by step: deploy, then for each experiment load and inject, then analyse and report.

Whatever happens on the way, what was recorded is kept: logs are fetched and raw files folded on every way out, and
`flametest report` can analyse a run that was interrupted.
"""

import errno
import os
import random
import shlex
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from flametest.chaos.holding import HOLD_SECONDS_MAX, needed_hold
from flametest.chaos.preview import Aimed
from flametest.clusters import Access, Cluster
from flametest.faults.undo import state_home
from flametest.kube import KubeClient, KubeError, connect
from flametest.measure.objectives import Objectives
from flametest.model.events import ExperimentStopped, Noted, RunEnded, RunStarted
from flametest.model.limits import LIMITS_FILE, parse_override
from flametest.model.result import Result
from flametest.model.selftest import SelfTest
from flametest.run.analyse import analyse
from flametest.run.bookkeeper import Bookkeeper
from flametest.run.choice import choose
from flametest.run.deploy import DeployOptions, deployed
from flametest.run.experiment import Experiment, load_experiment, read_limits, refuse_equal_names
from flametest.run.folder import RunFolder, RunInputs, read_result, stamp
from flametest.run.leftovers import heal_leftovers, refuse_other_runs
from flametest.run.needs import Plan
from flametest.run.preflight import check_enforcement
from flametest.run.progress import Progress, RememberingProgress
from flametest.run.project import Project, ProjectError
from flametest.run.rehearsal import aim_all, ask_entries, check_all
from flametest.run.repeats import Repeat, repeats
from flametest.run.scenario import LoadSize, Scene, run_scenario
from flametest.run.selftest import SELF_TEST_FILE, short_self_test, write_self_test
from flametest.run.standins import stand_ins_note
from flametest.run.versions import component_versions

__all__ = ["RunOptions", "execute", "rehearse"]

WHOLE_SECONDS = 20.0  # a fault's aftermath is over by then, or the system does not heal by itself


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
        ledger: True asks for a ledger of writes, False for none; None keeps one where the system has a shop.
        seed: of every random choice; None to draw one.
        trials: how often each scenario is repeated.
        baseline: folder of a run to compare with; None for none.
        margin_ratio: how far it may be worse than the baseline.
        keep: leave the system running afterwards.
        deploying: apply the manifests; else the system is there already, and is left as it is.
        command: the command line, for the report.
        url: the entry as the user has named it; empty to have it found.
        self_test: what the self-test found that has been run for this and other runs; None to run it.
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


@dataclass(frozen=True, slots=True)
class _Stage:
    """What the steps of one run share once the system is deployed."""

    options: RunOptions
    project: Project
    cluster: Cluster
    progress: RememberingProgress
    access: Access
    client: KubeClient
    bookkeeper: Bookkeeper


def execute(options: RunOptions, project: Project, cluster: Cluster, progress: Progress) -> tuple[Result, Path]:
    """Carry out a run and return its result and its folder.

    Raises:
        FlametestError: usage, set-up or deployment is at fault; nothing is left running.
        KeyboardInterrupt: a signal ended it; what was recorded is in the folder, what was started is ended.
    """
    progress = RememberingProgress(progress)
    experiments = _experiments(options, project, progress)
    path = (options.out or project.reports / time.strftime("%Y-%m-%dT%H-%M-%S")).absolute()
    RunFolder.check(path)
    with (
        _naming(path),
        _deployed(options, project, cluster, progress, experiments) as access,
        connect(access.kubeconfig, access.context) as client,
    ):
        bookkeeper = Bookkeeper(access.url, options.ledger, access.environment(os.environ))
        stage = _Stage(options, project, cluster, progress, access, client, bookkeeper)
        ask_entries(access, experiments)
        _warn_of_few_requests(options.load, progress)
        _rehearse(stage, experiments)
        folder = RunFolder.create(path, _inputs(stage, experiments))
        _keep_limits(project, folder)
        _test_measurement(progress, folder, options.self_test)
        _record(stage, folder, experiments)
    with progress.step("analyse and report") as step:
        result = analyse(folder, project)
        folder.point_latest(project.reports)
        step.saw(f"{len(result.scenarios)} scenarios")
    return result, folder.path


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
            "make room on that disk, or name another folder by --out",
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
        return aim_all(client, access, experiments)


def _deployed(
    options: RunOptions, project: Project, cluster: Cluster, progress: Progress, experiments: list[Experiment]
) -> AbstractContextManager[Access]:
    plan = _plan(options, experiments)
    reading = project.read() if options.deploying else None
    return deployed(cluster, reading, progress, keep=options.keep, options=DeployOptions(plan, url=options.url))


def _plan(options: RunOptions, experiments: list[Experiment]) -> Plan:
    return Plan(tuple(experiments), options.load.workers)


def _rehearse(stage: _Stage, experiments: list[Experiment]) -> None:
    """Complain of faults that may not be injected before the first one is.

    On a system that is not whole there may be no target yet, or not any more; each experiment finds out by itself.
    """
    with stage.progress.step("resolve every fault's targets") as step:
        refuse_other_runs(state_home(os.environ), stage.client, stage.access)
        try:
            stage.client.wait_ready(stage.access.namespace, timeout_seconds=WHOLE_SECONDS, saw=step.saw)
        except KubeError as error:
            step.skip(f"the system is not whole after {WHOLE_SECONDS:g} s: {error.message}")
            return
        aimed = aim_all(stage.client, stage.access, experiments)
        step.saw(_told_aims([one for found in aimed.values() for one in found]))
    if not stage.cluster.is_own:
        check_enforcement(stage.client, stage.access, _plan(stage.options, experiments), stage.progress)


def _warn_of_few_requests(load: LoadSize, progress: Progress) -> None:
    """Say beforehand that the time to steady state cannot be told at this rate, where one is asked for."""
    if load.rate_per_user is None:
        return
    hold = needed_hold(0.0, load.offered_per_second, Objectives())
    if not hold.suffices:
        progress.say(
            f"{load.offered_per_second:g} requests a second take {hold.needed_seconds:.0f} s to tell a steady state, "
            f"and a recovered system is watched for {HOLD_SECONDS_MAX:g} s: the time to steady state will be "
            "inconclusive. Offer more by --users or --rate"
        )


def _told_aims(aimed: Sequence[Aimed]) -> str:
    looked_into = sum(one.is_looked_into for one in aimed)
    others = f"; {len(aimed) - looked_into} not looked into" if len(aimed) > looked_into else ""
    return f"{looked_into} faults, all within their blast radius{others}"


def _inputs(stage: _Stage, experiments: list[Experiment]) -> RunInputs:
    options = stage.options
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(2**31)
    command = [*options.command, *([] if options.seed is not None else ["--seed", str(seed)])]
    return RunInputs(
        run_id=time.strftime("%Y-%m-%dT%H-%M-%S"),
        cluster=stage.cluster.name,
        cluster_note=stage.cluster.note + stand_ins_note(stage.client, stage.access.namespace),
        namespace=stage.access.namespace,
        url=stage.access.url,
        suite="" if options.experiments else options.suite,
        seed=seed,
        command=shlex.join(command),
        manifests_digest=stage.project.read().digest if options.deploying else "",
        scenarios=tuple(experiment.name for experiment in experiments),
        limits=options.limits,
        versions=component_versions(stage.client.version()),
        trials=options.trials,
        baseline=str(options.baseline.resolve()) if options.baseline is not None else "",
        margin_ratio=options.margin_ratio,
    )


def _keep_limits(project: Project, folder: RunFolder) -> None:
    """Keep the limits by which this run is judged: an analysis years later must not use others."""
    if project.limits_file.exists():
        (folder.path / LIMITS_FILE).write_bytes(project.limits_file.read_bytes())


def _test_measurement(progress: Progress, folder: RunFolder, earlier: SelfTest | None) -> None:
    """Test the measurement on this machine, as it is now; what it misses makes the run inconclusive."""
    with progress.step("test the measurement itself") as step:
        found = earlier or short_self_test(folder.inputs().seed, step.saw)
        write_self_test(found, folder.path / SELF_TEST_FILE)
        step.saw(found.sentence)


def _record(stage: _Stage, folder: RunFolder, experiments: list[Experiment]) -> None:
    inputs = folder.inputs()
    folder.note(RunStarted(stamp(), "", inputs.run_id, inputs.cluster, inputs.seed, inputs.command))
    reason = "completed"
    try:
        planned = [(one, each) for one in experiments for each in repeats(one.name, inputs.trials, inputs.seed)]
        for number, (experiment, repeat) in enumerate(planned):
            if number:  # before the first, the rehearsal has waited
                _await_whole(stage, experiment)
            _record_scenario(stage, folder, experiment, repeat)
    except BaseException as error:
        reason = "interrupted" if isinstance(error, KeyboardInterrupt) else str(error) or type(error).__name__
        raise
    finally:
        for skipped in stage.progress.skipped:
            folder.note(Noted(stamp(), "", skipped))
        folder.note(RunEnded(stamp(), "", reason))
        with suppress(KubeError):
            stage.client.collect_logs(stage.access.namespace, folder.path / "logs")


def _await_whole(stage: _Stage, experiment: Experiment) -> None:
    """Give the system time to be whole again; if it is not, the experiment's own hypothesis says so and stops it."""
    for healing in heal_leftovers(state_home(os.environ), [stage.cluster]).healings:
        stage.progress.say(f"{'healed' if healing.healed else 'NOT HEALED'}: {healing.title}: {healing.evidence}")
    with stage.progress.step(f"before {experiment.name}: wait until the system is whole") as step:
        try:
            stage.client.wait_ready(stage.access.namespace, timeout_seconds=WHOLE_SECONDS, saw=step.saw)
        except KubeError as error:
            step.skip(f"given up after {WHOLE_SECONDS:g} s: {error.message}")


def _record_scenario(stage: _Stage, folder: RunFolder, experiment: Experiment, repeat: Repeat) -> None:
    own = folder.scenario(repeat.key)
    (own / experiment.path.name).write_bytes(experiment.path.read_bytes())
    scene = Scene(stage.access, stage.project, stage.options.load, stage.options.limits, stage.bookkeeper)
    try:
        with stage.progress.step(f"experiment {_told(repeat, folder.inputs().trials)}") as step:
            outcome = run_scenario(experiment, scene, repeat, own, step.saw)
            why = f": {outcome.reason}" if outcome.reason else ""
            step.saw(f"{outcome.status}{', deviated' if outcome.deviated else ''}{why}")
            if outcome.reason:
                folder.note(ExperimentStopped(stamp(), repeat.key, outcome.reason))
        if stage.bookkeeper.has_written:
            _read_back(stage, folder, repeat)
    finally:
        folder.fold(repeat.key)


def _told(repeat: Repeat, trials: int) -> str:
    """Return how a trial is called while it runs."""
    if trials == 1:
        return repeat.scenario
    return (
        f"{repeat.scenario}, trial {repeat.number} of {trials} (baseline longer by {repeat.extra_baseline_seconds:g} s)"
    )


def _read_back(stage: _Stage, folder: RunFolder, repeat: Repeat) -> None:
    """Read back what was written, once the system is whole; if it does not get whole, the audit tells what it finds."""
    with stage.progress.step(f"after {repeat.key}: read its orders back") as step:
        with suppress(KubeError):
            stage.client.wait_ready(stage.access.namespace, timeout_seconds=WHOLE_SECONDS, saw=step.saw)
        folder.write_audit(repeat.key, stage.bookkeeper.read_back(step.saw))
