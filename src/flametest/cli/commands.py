"""What each command does once its options are parsed; imported only when a command runs."""

import os
import shlex
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import flametest
from flametest.cli.ending import NotHealedError
from flametest.cli.progress import make_progress
from flametest.cli.where import Where
from flametest.clusters import DEFAULT_NAMESPACE, Cluster, ClusterError, ClusterOptions, provide, running
from flametest.model.homes import config_home, state_home
from flametest.model.result import Result
from flametest.model.verdict import Verdict
from flametest.run.exitcodes import ExitCode, exit_code
from flametest.run.interrupt import interruptible
from flametest.run.project import Project, find_project

if TYPE_CHECKING:
    from flametest.chaos.preview import Aimed
    from flametest.run.leftovers import Leftovers

__all__ = [
    "bring_down",
    "bring_up",
    "find_cluster",
    "find_files",
    "print_environment",
    "render_again",
    "run_suite",
    "show_status",
    "tell",
    "undo",
]

_OWN_CLUSTERS = ("sandbox", "minikube")


def run_suite(where: Where, **options: Any) -> int:
    """Carry out a run and print its verdict."""
    from flametest.run.run import RunOptions, execute, rehearse  # noqa: PLC0415 (imports the official client)
    from flametest.run.scenario import LoadSize  # noqa: PLC0415

    project = find_files()
    wanted = RunOptions(
        suite=options["suite"],
        experiments=options["experiments"],
        out=options["out"],
        limits=options["limits"],
        load=LoadSize(options["users"], options["rate"], options["load_workers"], options["load_url"]),
        ledger=options["ledger"],
        seed=options["seed"],
        trials=options["trials"],
        baseline=options["baseline"],
        margin_ratio=options["margin_ratio"],
        keep=options["keep"],
        deploying=not options["no_deploy"],
        command=["flametest", *sys.argv[1:]],
    )
    cluster, progress = find_cluster(where, project), make_progress(sys.stdout)
    with interruptible():
        if _heal_first(cluster, project):
            return ExitCode.NOT_HEALED
        if options["dry_run"]:
            _show_targets(rehearse(wanted, project, cluster, progress))
            return ExitCode.PASSED
        try:
            result, folder = execute(wanted, project, cluster, progress)
        except BaseException as error:
            if _heal_first(cluster, project):
                raise NotHealedError from error
            raise
    tell(result, folder)
    return ExitCode.NOT_HEALED if _heal_first(cluster, project) else _code(result)


def bring_up(where: Where) -> int:
    """Deploy, and tell how to reach what was deployed."""
    from flametest.run.deploy import deploy  # noqa: PLC0415 (imports the official client)

    project = find_files()
    provider = find_cluster(where, project)
    with interruptible():
        unhealed = _heal_first(provider, project)
        if unhealed and not _is_stopped(provider):
            return ExitCode.NOT_HEALED
        access = deploy(provider, project, make_progress(sys.stdout))
        if unhealed and _heal_first(provider, project):
            return ExitCode.NOT_HEALED
    option = _cluster_option(where)
    click.echo(f"entry: {access.url}")
    click.echo(
        f'next:  eval "$(flametest env{option})" and then kubectl get pods, chaos run, locust; '
        f"`flametest down{option}` ends it"
    )
    return ExitCode.PASSED


def bring_down(where: Where) -> int:
    """End what runs; that nothing runs is no error."""
    project = find_files()
    provider = find_cluster(where, project)
    with interruptible():
        # What was injected goes with a cluster that goes; in one that stays it is healed while that can be reached.
        if not provider.forgets and _heal_first(provider, project):
            return ExitCode.NOT_HEALED
        ended = provider.down()
        if provider.is_own:
            click.echo(f"the {provider.name} has been ended" if ended else f"no {provider.name} is running")
        else:
            there = "has been deleted" if ended else "is not there"
            click.echo(f"namespace {where.namespace} of {provider.name} {there}; the cluster itself is left alone")
        return ExitCode.NOT_HEALED if _heal_first(provider, project) else ExitCode.PASSED


def undo(where: Where, *, forgetting: bool) -> int:
    """Heal what earlier processes have left behind, and tell what was done; 4 when something could not be healed.

    Each record says by itself in which cluster it is.
    """
    from flametest.run.leftovers import forget, heal_leftovers  # noqa: PLC0415 (imports the official client)

    home, project = state_home(os.environ), find_files()
    with interruptible():
        found = heal_leftovers(home, _enders(find_cluster(where, project), project))
        if forgetting:
            forget(home)
    _tell_leftovers(found)
    for record in found.living:
        click.echo(f"left alone: {record.title}: process {record.owner.process.pid} still runs this experiment")
    if not found.healings and not found.living:
        click.echo("nothing was left to heal")
    return ExitCode.NOT_HEALED if found.unhealed and not forgetting else ExitCode.PASSED


def show_status(where: Where) -> int:
    """Tell how many pods of each workload are ready; 0 when all are, 3 when not, 2 when nothing runs."""
    from flametest.kube import connect  # noqa: PLC0415 (imports the official client)

    project = find_files()
    provider = find_cluster(where, project)
    access = running(provider)
    unhealed = _heal_first(provider, project)
    click.echo(f"cluster    {provider.name}, context {access.context}")
    click.echo(f"entry      {access.url or 'not found; name it by --url'}")
    if (memory := provider.memory_bytes()) is not None:
        click.echo(f"memory     {memory / 1e6:.0f} MB for the {provider.name} itself, pods excluded")
    with connect(access.kubeconfig, access.context) as client:
        workloads = client.readiness(access.namespace)
    for workload in workloads:
        click.echo(f"{'ready' if workload.complete else 'NOT READY':10} {workload}")
    if unhealed:
        return ExitCode.NOT_HEALED
    return ExitCode.PASSED if workloads and all(one.complete for one in workloads) else ExitCode.INCONCLUSIVE


def print_environment(where: Where) -> int:
    """Print exports for a shell."""
    from flametest.run.deploy import located  # noqa: PLC0415 (imports the official client)

    access = located(find_cluster(where, find_files()))
    for name, value in access.environment(os.environ).items():
        click.echo(f"export {name}={shlex.quote(value)}")
    return ExitCode.PASSED


def render_again(folder: Path) -> int:
    """Render an earlier run again and print its verdict."""
    from flametest.run.analyse import analyse, render  # noqa: PLC0415
    from flametest.run.folder import RunFolder  # noqa: PLC0415

    run = RunFolder.open(folder)
    result = render(run) if (run.path / "result.json").exists() else analyse(run, find_files())
    tell(result, run.path)
    return _code(result)


def _code(result: Result) -> ExitCode:
    """Return the exit code of a result; a regression against its baseline counts as a limit that was missed."""
    if result.comparison is not None and result.comparison.regressions and result.verdict is Verdict.PASSED:
        return ExitCode.LIMIT_MISSED
    return exit_code(result.verdict)


def _heal_first(cluster: Cluster, project: Project) -> bool:
    """Heal what earlier processes have left behind, tell what was done, and return whether something is left."""
    from flametest.run.leftovers import heal_leftovers  # noqa: PLC0415 (imports the official client)

    found = heal_leftovers(state_home(os.environ), _enders(cluster, project))
    _tell_leftovers(found)
    return bool(found.unhealed)


def _is_stopped(cluster: Cluster) -> bool:
    """Return whether the cluster has to be started before what was left in it can be healed."""
    return cluster.is_own and not cluster.forgets and cluster.find() is None


def _enders(cluster: Cluster, project: Project) -> list[Cluster]:
    """Return the providers that know whether a cluster of theirs has ended: a record may be of any of them."""
    found = [cluster]
    for name in _OWN_CLUSTERS:
        if name != cluster.name:
            with suppress(ClusterError):  # what is not installed here, as in a Job, has started nothing here either
                found.append(provide(name, _options(project)))
    return found


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


def tell(result: Result, folder: Path) -> None:
    """Print the verdict of a run, scenario by scenario, and where its report is."""
    for scenario in result.scenarios:
        click.echo(f"  {scenario.verdict.upper():13} {scenario.name}: {scenario.sentence}")
    for check in result.checks:
        click.echo(f"  {check.verdict.upper():13} {check.title.lower()}: {check.detail}")
    for note in result.notes:
        click.echo(f"  note          {note}")
    if result.comparison is not None:
        click.echo(f"  against {result.comparison.base_run_id}: {result.comparison.sentence}")
    click.echo(f"{result.verdict.upper()}: {result.headline}")
    click.echo(f"report: {_short(folder / 'report.html')}")


def _short(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def find_files() -> Project:
    """Return the project that the working directory belongs to.

    Raises:
        ProjectError: it belongs to none.
    """
    return find_project(Path.cwd(), Path(flametest.__file__).parent)


def find_cluster(where: Where, project: Project) -> Cluster:
    """Return the provider that the options name; nothing is started or asked yet.

    Raises:
        ClusterError: there is none of that name, or an option of Minikube's goes with another one.
    """
    if where.options_of_minikube and where.cluster != "minikube":
        message = f"{', '.join(where.options_of_minikube)} belongs to Minikube, and the cluster is {where.cluster}"
        raise ClusterError(message, "leave it out, or add --cluster minikube")
    return provide(where.cluster, _options(project, where))


def _options(project: Project, where: Where | None = None) -> ClusterOptions:
    named = where or Where("sandbox", DEFAULT_NAMESPACE, "", "")
    return ClusterOptions(
        images_file=project.images_file,
        node_port_address=os.environ.get("FLAMETEST_NODE_PORT_ADDRESS", "127.0.0.1"),
        namespace=named.namespace,
        url=named.url,
        kubeconfig=os.environ.get("KUBECONFIG", ""),
        allow_list=config_home(os.environ) / "allowed-contexts.toml",
        known_context=named.known,
        state=state_home(os.environ),
        nodes=named.nodes,
        images=named.images,
        driver=named.driver,
        delete=named.delete,
    )


def _cluster_option(where: Where) -> str:
    """Return what to add to other commands so that they mean the same system."""
    options = [("--cluster", where.cluster, "sandbox"), ("--namespace", where.namespace, DEFAULT_NAMESPACE)]
    options += [("--url", where.url, ""), ("--i-know-this-cluster", where.known, "")]
    return "".join(f" {option} {shlex.quote(value)}" for option, value, default in options if value != default)
