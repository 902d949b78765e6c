"""What each command does once its options are parsed; imported only when a command runs."""

import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import flametest
from flametest.cli.progress import make_progress
from flametest.clusters import Access, Cluster, ClusterError, ClusterOptions, provide
from flametest.model.result import Result
from flametest.model.verdict import Verdict
from flametest.run.exitcodes import ExitCode, exit_code
from flametest.run.interrupt import interruptible
from flametest.run.project import Project, find_project

if TYPE_CHECKING:
    from flametest.chaos.preview import Aimed
    from flametest.run.leftovers import Leftovers

__all__ = ["bring_down", "bring_up", "print_environment", "render_again", "run_suite", "show_status", "undo"]


def run_suite(**options: Any) -> int:
    """Carry out a run and print its verdict."""
    from flametest.run.run import RunOptions, execute, rehearse  # noqa: PLC0415 (imports the official client)
    from flametest.run.scenario import LoadSize  # noqa: PLC0415

    project = _project()
    wanted = RunOptions(
        suite=options["suite"],
        experiments=options["experiments"],
        out=options["out"],
        limits=options["limits"],
        load=LoadSize(options["users"], options["rate"]),
        ledger=options["ledger"],
        seed=options["seed"],
        trials=options["trials"],
        baseline=options["baseline"],
        margin_ratio=options["margin_ratio"],
        keep=options["keep"],
        command=["flametest", *sys.argv[1:]],
    )
    cluster, progress = _cluster(options["cluster"], project), make_progress(sys.stdout)
    with interruptible():
        if _heal_first(cluster):
            return ExitCode.NOT_HEALED
        if options["dry_run"]:
            _show_targets(rehearse(wanted, project, cluster, progress))
            return ExitCode.PASSED
        try:
            result, folder = execute(wanted, project, cluster, progress)
        except KeyboardInterrupt:
            if _heal_first(cluster):
                return ExitCode.NOT_HEALED
            raise
    _tell(result, folder)
    return ExitCode.NOT_HEALED if _heal_first(cluster) else _code(result)


def bring_up(cluster: str) -> int:
    """Deploy, and tell how to reach what was deployed."""
    from flametest.run.deploy import deploy  # noqa: PLC0415 (imports the official client)

    project = _project()
    provider = _cluster(cluster, project)
    with interruptible():
        if _heal_first(provider):
            return ExitCode.NOT_HEALED
        access = deploy(provider, project, make_progress(sys.stdout))
    click.echo(f"entry: {access.url}")
    click.echo('next:  eval "$(flametest env)" and then kubectl get pods, chaos run, locust; `flametest down` ends it')
    return ExitCode.PASSED


def bring_down(cluster: str) -> int:
    """End what runs; that nothing runs is no error."""
    provider = _cluster(cluster, _project())
    with interruptible():
        ended = provider.down()
        click.echo(f"the {cluster} has been ended" if ended else f"no {cluster} is running")
        # What was injected into it went with it; what is elsewhere is healed.
        return ExitCode.NOT_HEALED if _heal_first(provider) else ExitCode.PASSED


def undo(*, forgetting: bool) -> int:
    """Heal what earlier processes have left behind, and tell what was done; 4 when something could not be healed."""
    from flametest.faults.undo import state_home  # noqa: PLC0415 (imports the official client)
    from flametest.run.leftovers import forget, heal_leftovers  # noqa: PLC0415

    home = state_home(os.environ)
    with interruptible():
        found = heal_leftovers(home, [_cluster("sandbox", _project())])
        if forgetting:
            forget(home)
    _tell_leftovers(found)
    for record in found.living:
        click.echo(f"left alone: {record.title}: process {record.owner.process.pid} still runs this experiment")
    if not found.healings and not found.living:
        click.echo("nothing was left to heal")
    return ExitCode.NOT_HEALED if found.unhealed and not forgetting else ExitCode.PASSED


def show_status(cluster: str) -> int:
    """Tell how many pods of each workload are ready; 0 when all are, 1 when not, 2 when nothing runs."""
    from flametest.kube import connect  # noqa: PLC0415 (imports the official client)
    from flametest.run.deploy import NAMESPACE  # noqa: PLC0415

    provider = _cluster(cluster, _project())
    access = _running(provider)
    unhealed = _heal_first(provider)
    click.echo(f"cluster    {provider.name}, context {access.context}")
    click.echo(f"entry      {access.url}")
    if (memory := provider.memory_bytes()) is not None:
        click.echo(f"memory     {memory / 1e6:.0f} MB for the {provider.name} itself, pods excluded")
    with connect(access.kubeconfig, access.context) as client:
        workloads = client.readiness(NAMESPACE)
    for workload in workloads:
        click.echo(f"{'ready' if workload.complete else 'NOT READY':10} {workload}")
    if unhealed:
        return ExitCode.NOT_HEALED
    return ExitCode.PASSED if workloads and all(one.complete for one in workloads) else ExitCode.LIMIT_MISSED


def print_environment(cluster: str) -> int:
    """Print exports for a shell."""
    access = _running(_cluster(cluster, _project()))
    for name, value in access.environment(os.environ).items():
        click.echo(f"export {name}={shlex.quote(value)}")
    return ExitCode.PASSED


def render_again(folder: Path) -> int:
    """Render an earlier run again and print its verdict."""
    from flametest.run.analyse import analyse, render  # noqa: PLC0415
    from flametest.run.folder import RunFolder  # noqa: PLC0415

    run = RunFolder.open(folder)
    result = render(run) if (run.path / "result.json").exists() else analyse(run, _project())
    _tell(result, run.path)
    return _code(result)


def _code(result: Result) -> ExitCode:
    """Return the exit code of a result; a regression against its baseline counts as a limit that was missed."""
    if result.comparison is not None and result.comparison.regressions and result.verdict is Verdict.PASSED:
        return ExitCode.LIMIT_MISSED
    return exit_code(result.verdict)


def _heal_first(cluster: Cluster) -> bool:
    """Heal what earlier processes have left behind, tell what was done, and return whether something is left."""
    from flametest.faults.undo import state_home  # noqa: PLC0415 (imports the official client)
    from flametest.run.leftovers import heal_leftovers  # noqa: PLC0415

    found = heal_leftovers(state_home(os.environ), [cluster])
    _tell_leftovers(found)
    return bool(found.unhealed)


def _tell_leftovers(found: "Leftovers") -> None:
    for healing in found.healings:
        click.echo(f"{'healed' if healing.healed else 'NOT HEALED'}: {healing.title}: {healing.evidence}")
        if not healing.healed and healing.remedy:
            click.echo(f"remedy: {healing.remedy}")
    if found.unhealed:
        click.echo("remedy: mend that and run `flametest undo`, or heal by hand and run `flametest undo --forget`")


def _show_targets(aimed: "Mapping[str, tuple[Aimed, ...]]") -> None:
    from flametest.chaos.injections import told  # noqa: PLC0415

    for experiment, faults in aimed.items():
        click.echo(experiment)
        for fault in faults:
            click.echo(f"  {fault.activity}: {fault.title}: {told(fault.targets)}")
    click.echo("nothing was injected; what is drawn at random is drawn anew in a run")


def _tell(result: Result, folder: Path) -> None:
    for scenario in result.scenarios:
        click.echo(f"  {scenario.verdict.upper():13} {scenario.name}: {scenario.sentence}")
    for check in result.checks:
        click.echo(f"  {check.verdict.upper():13} {check.title.lower()}: {check.detail}")
    if result.comparison is not None:
        click.echo(f"  against {result.comparison.base_run_id}: {result.comparison.sentence}")
    click.echo(f"{result.verdict.upper()}: {result.headline}")
    click.echo(f"report: {_short(folder / 'report.html')}")


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _project() -> Project:
    return find_project(Path.cwd(), Path(flametest.__file__).parent)


def _cluster(name: str, project: Project) -> Cluster:
    address = os.environ.get("FLAMETEST_NODE_PORT_ADDRESS", "127.0.0.1")
    return provide(name, ClusterOptions(images_file=project.images_file, node_port_address=address))


def _running(cluster: Cluster) -> Access:
    access = cluster.find()
    if access is None:
        raise ClusterError(f"no {cluster.name} is running", "start one with `flametest up`")
    return access
