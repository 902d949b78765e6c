"""What each command does once its options are parsed; imported only when a command runs."""

import os
import shlex
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

import flametest
from flametest.cli.ending import NotHealedError
from flametest.cli.progress import make_progress
from flametest.cli.where import Where
from flametest.clusters import DEFAULT_NAMESPACE, Cluster, ClusterError, ClusterOptions, provide
from flametest.manifests import BuildContext, Reading
from flametest.model.harm import ABORT_WHEN_VARIABLE
from flametest.model.helperimage import HELPER_IMAGE_VARIABLE
from flametest.model.homes import config_home, state_home
from flametest.model.requestids import LINK_PLACEHOLDER, LINK_VARIABLE, is_link_template
from flametest.model.result import Result
from flametest.model.search import SEARCH_FILE
from flametest.model.verdict import Verdict
from flametest.run.exitcodes import ExitCode, exit_code
from flametest.run.interrupt import interruptible
from flametest.run.project import Project, build_contexts, find_project, nearest_project
from flametest.run.systems import recall
from flametest.run.telling import result_lines

if TYPE_CHECKING:
    from flametest.chaos.preview import Aimed
    from flametest.run.leftovers import Leftovers
    from flametest.run.scene import LoadSize

__all__ = [
    "cluster_option",
    "find_cluster",
    "find_contexts",
    "find_files",
    "heal_first",
    "in_namespace_of",
    "is_stopped",
    "load_size",
    "recalled",
    "render_again",
    "run_suite",
    "state_files",
    "tell",
    "tell_contexts",
    "undo",
]

_OWN_CLUSTERS = ("sandbox", "minikube")


def run_suite(where: Where, **options: Any) -> int:
    """Carry out a run and print its verdict."""
    from flametest.run.run import RunOptions, execute, rehearse  # noqa: PLC0415 (imports the official client)

    project = find_files()
    if options["helper_image"]:
        # Experiments run in processes of their own, and stock Chaos Toolkit reads the same variable.
        os.environ[HELPER_IMAGE_VARIABLE] = options["helper_image"]
    if options["abort_when"]:
        os.environ[ABORT_WHEN_VARIABLE] = shlex.join(options["abort_when"])
    _set_trace_link(options["trace_link"])
    wanted = RunOptions(
        suite=options["suite"],
        experiments=options["experiments"],
        skip=options["skip"],
        out=options["out"],
        limits=options["limits"],
        load=load_size(project, options),
        ledger=options["ledger"],
        seed=options["seed"],
        trials=options["trials"],
        baseline=options["baseline"],
        margin_ratio=options["margin_ratio"],
        keep=options["keep"],
        deploying=not options["no_deploy"],
        command=["flametest", *(one.encode(errors="backslashreplace").decode() for one in sys.argv[1:])],
        url=where.url,
        parallel=options["parallel"],
    )
    where = recalled(where) if options["no_deploy"] else in_namespace_of(where, project)
    progress = make_progress(sys.stdout)
    contexts = [] if options["no_deploy"] else find_contexts(where, project, project.read())
    for line in tell_contexts(contexts):
        progress.say(f"note: {line}")
    cluster = find_cluster(where, project, contexts)
    with interruptible():
        if heal_first(cluster, project):
            return ExitCode.NOT_HEALED
        if options["dry_run"]:
            _show_targets(rehearse(wanted, project, cluster, progress))
            return ExitCode.PASSED
        try:
            result, folder = execute(wanted, project, cluster, progress)
        except BaseException as error:
            if heal_first(cluster, project):
                raise NotHealedError from error
            raise
    tell(result, folder)
    return ExitCode.NOT_HEALED if heal_first(cluster, project) else _code(result)


def _set_trace_link(link: str) -> None:
    """Have traces kept and linked; requests are sent by processes of their own.

    Raises:
        UsageError: it is no such address.
    """
    if link and not is_link_template(link):
        raise click.UsageError(
            f"--trace-link {link!r} is no http or https address with {LINK_PLACEHOLDER} in it, "
            "such as https://jaeger.example/trace/{trace_id}"
        )
    if link:
        os.environ[LINK_VARIABLE] = link


def load_size(project: Project, options: Mapping[str, Any]) -> "LoadSize":
    """Return how much load is offered, by which load test.

    Raises:
        LoadError: the load test cannot be read, or an option of Locust's cannot be taken.
    """
    from flametest.run.loadtest import chosen_rate, parse_load_options, read_load_test  # noqa: PLC0415
    from flametest.run.scene import LoadSize  # noqa: PLC0415

    load_test = (options["load_test"] or project.locustfile).absolute()
    # A project without one is told so when load is started; a dry run needs none.
    text = read_load_test(load_test) if options["load_test"] or load_test.exists() else None
    return LoadSize(
        users=options["users"],
        rate_per_user=chosen_rate(options["rate"], text),
        workers=options["load_workers"],
        entry=options["load_url"],
        load_test=load_test,
        arguments=parse_load_options(options["load_options"]),
    )


def undo(where: Where, *, forgetting: bool) -> int:
    """Heal what earlier processes have left behind, and tell what was done; 4 when something could not be healed.

    Each record says by itself in which cluster it is.
    """
    from flametest.run.leftovers import forget, heal_leftovers  # noqa: PLC0415 (imports the official client)

    home, project = state_home(os.environ), state_files()
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


def render_again(folder: Path) -> int:
    """Render an earlier run again and print its verdict."""
    from flametest.run.analyse import analyse, render  # noqa: PLC0415
    from flametest.run.folder import RunFolder  # noqa: PLC0415

    if (folder / SEARCH_FILE).is_file():
        from flametest.cli.searching import render_search_again  # noqa: PLC0415

        return render_search_again(folder)
    run = RunFolder.open(folder)
    result = render(run) if (run.path / "result.json").exists() else analyse(run, state_files())
    tell(result, run.path)
    return _code(result)


def _code(result: Result) -> ExitCode:
    """Return the exit code of a result; a regression against its baseline counts as a limit that was missed."""
    if result.comparison is not None and result.comparison.regressions and result.verdict is Verdict.PASSED:
        return ExitCode.LIMIT_MISSED
    return exit_code(result.verdict)


def heal_first(cluster: Cluster, project: Project) -> bool:
    """Heal what earlier processes have left behind, tell what was done, and return whether something is left."""
    from flametest.run.leftovers import heal_leftovers  # noqa: PLC0415 (imports the official client)

    found = heal_leftovers(state_home(os.environ), _enders(cluster, project))
    _tell_leftovers(found)
    return bool(found.unhealed)


def is_stopped(cluster: Cluster) -> bool:
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
        click.echo("remedy: fix that and run `flametest undo`, or heal by hand and run `flametest undo --forget`")


def _show_targets(aimed: "Mapping[str, tuple[Aimed, ...]]") -> None:
    from flametest.chaos.injections import told  # noqa: PLC0415

    for experiment, faults in aimed.items():
        click.echo(experiment)
        for fault in faults:
            targets = f": {told(fault.targets)}" if fault.is_looked_into else ""
            click.echo(f"  {fault.activity}: {fault.title}{targets}")
    click.echo("nothing was injected; what is drawn at random is drawn again in a run")


def tell(result: Result, folder: Path) -> None:
    """Print the verdict of a run, scenario by scenario, and where its report is."""
    for line in result_lines(result, folder):
        click.echo(line)


def find_files() -> Project:
    """Return the project that the working directory belongs to; says so when that is the one that Flametest ships.

    Raises:
        ProjectError: it belongs to none.
    """
    project = find_project(Path.cwd(), Path(flametest.__file__).parent)
    if project.is_shipped:
        click.echo(
            f"nothing of yours was found in {Path.cwd()} or above: this is Flametest's own system, {project.root}"
        )
    return project


def state_files() -> Project:
    """Return the project that the working directory belongs to, or the directory: for what needs no project."""
    return nearest_project(Path.cwd())


def in_namespace_of(where: Where, project: Project) -> Where:
    """Return where with the namespace of the project's manifests, unless the user has named one."""
    return where if where.is_namespace_named else replace(where, namespace=project.read().namespace(where.namespace))


def recalled(where: Where) -> Where:
    """Return where with namespace and entry of what was deployed last, unless the user has named a namespace."""
    found = None if where.is_namespace_named else recall(state_home(os.environ), where.cluster)
    return where if found is None else replace(where, namespace=found.namespace, url=where.url or found.url)


def find_cluster(where: Where, project: Project, contexts: Sequence[BuildContext] = ()) -> Cluster:
    """Return the provider that the options name; nothing is started or asked yet.

    ``contexts`` are what images are built from that no images.toml names.

    Raises:
        ClusterError: there is none of that name, or an option of Minikube's goes with another one.
    """
    if where.options_of_minikube and where.cluster != "minikube":
        message = f"{', '.join(where.options_of_minikube)} belongs to Minikube, and the cluster is {where.cluster}"
        raise ClusterError(message, "leave it out, or add --cluster minikube")
    if where.build == "always" and where.cluster != "sandbox":
        message = f"--build always belongs to the sandbox, and the cluster is {where.cluster}"
        raise ClusterError(
            message, "leave it out: Minikube builds the project's images always, other clusters pull them"
        )
    return provide(where.cluster, replace(_options(project, where), contexts=tuple(contexts)))


def find_contexts(where: Where, project: Project, reading: Reading) -> list[BuildContext]:
    """Return what images are built from that no images.toml names; only the sandbox reads these."""
    return build_contexts(project, reading) if where.cluster == "sandbox" else []


def tell_contexts(contexts: Iterable[BuildContext]) -> list[str]:
    """Return a line for each build context that was found, and not named."""
    return [
        f"image {one.image} is made from {os.path.relpath(one.dockerfile)} ({one.reason})"
        f"{', unless its registry has it' if one.has_registry else ''}; images.toml can name another"
        for one in contexts
    ]


def _options(project: Project, where: Where | None = None) -> ClusterOptions:
    named = where or Where("sandbox", DEFAULT_NAMESPACE, "", "")
    return ClusterOptions(
        images_file=project.images_file,
        node_port_address=os.environ.get("FLAMETEST_NODE_PORT_ADDRESS", "127.0.0.1"),
        namespace=named.namespace,
        url=named.url,
        trust=named.trust,
        kubeconfig=os.environ.get("KUBECONFIG", ""),
        allow_list=config_home(os.environ) / "allowed-contexts.toml",
        known_context=named.known,
        state=state_home(os.environ),
        nodes=named.nodes,
        images=named.images,
        driver=named.driver,
        build=named.build,
        delete=named.delete,
    )


def cluster_option(where: Where) -> str:
    """Return what to add to other commands so that they mean the same system."""
    options = [("--cluster", where.cluster, "sandbox"), ("--namespace", where.namespace, DEFAULT_NAMESPACE)]
    options += [("--url", where.url, ""), ("--i-know-this-cluster", where.known, "")]
    options += [("--ca-file", where.trust.ca_file, "")]
    named = "".join(f" {option} {shlex.quote(value)}" for option, value, default in options if value != default)
    return f"{named} --insecure" if where.trust.insecure else named
