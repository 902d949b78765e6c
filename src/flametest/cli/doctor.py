"""``flametest doctor``: what this machine, or a cluster of the user's, has, what is missing, and what that prevents."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import click

from flametest.cli.commands import find_cluster, find_files
from flametest.cli.progress import make_progress
from flametest.cli.where import Where
from flametest.clusters import Access, Cluster
from flametest.clusters.entry import ask_entry
from flametest.model.proxies import without_secret
from flametest.run.exitcodes import ExitCode
from flametest.run.interrupt import interruptible
from flametest.run.project import Project
from flametest.sandbox import controlgroups, idmaps, namespaces, requirements

__all__ = ["diagnose"]

ENTRY_SECONDS = 5.0
_OPTIONAL_PROGRAMS = (
    ("kubectl", "inspect a running system by hand; Flametest itself does not use it"),
    ("minikube", "deploy to Minikube (`--cluster minikube`), with a driver such as Docker"),
    ("chromium", "browser tests of the report (`nox -s tests`)"),
)


def diagnose(where: Where, suite: str, skip: tuple[str, ...] = ()) -> int:
    """Print a line for each requirement and, at the end, the remedy; 0 when a suite can run, else 2.

    On a cluster that is not Flametest's own, the preflight of a run is carried out, and nothing else.

    Raises:
        FlametestError: what the preflight found.
    """
    if where.cluster == "sandbox":
        return _diagnose_machine()
    project = find_files()
    cluster = find_cluster(where, project)
    if cluster.is_own:
        cluster.find()
        click.echo(f"{cluster.name} can be asked; `flametest up --cluster {cluster.name}` starts it")
    else:
        with interruptible():
            _diagnose_cluster(cluster, project, suite, skip)
    return ExitCode.PASSED


def _diagnose_cluster(cluster: Cluster, project: Project, suite: str, skip: tuple[str, ...]) -> None:
    # All of these import the official client.
    from flametest.kube import connect  # noqa: PLC0415
    from flametest.manifests import placed  # noqa: PLC0415
    from flametest.run.choice import choose  # noqa: PLC0415
    from flametest.run.experiment import load_experiment  # noqa: PLC0415
    from flametest.run.needs import Plan  # noqa: PLC0415
    from flametest.run.preflight import preflight  # noqa: PLC0415

    progress = make_progress(sys.stdout)
    experiments = tuple(load_experiment(file) for file in choose(project, suite, skipped=skip).files)
    with progress.step(f"reach {cluster.name}") as step:
        access = cluster.up()
        step.saw(str(access.kubeconfig))
    with connect(access.kubeconfig, access.context) as client:
        preflight(client, access, placed(project.read(), access.namespace).manifests, Plan(experiments), progress)
    if access.is_url_named:
        with progress.step("ask the entry") as step:
            step.saw(_entry(access))
    click.echo(f"the suite {suite} can be deployed to {cluster.name} and run there; nothing was changed")


def _entry(access: Access) -> str:
    """Return what the entry answers, in words; that it does not is no fault as long as the system is not there.

    Raises:
        ClusterError: its certificate is not to be trusted, or a proxy answers in its place.
    """
    route = access.route(os.environ)
    answer = ask_entry(access.url, route, ENTRY_SECONDS)
    way = f" through the proxy {without_secret(route.proxy)}" if route.proxy else ""
    told = "does not answer, which it has to once the system is there" if answer is None else f"answers {answer.status}"
    return f"{access.url} {told}{way}"


def _diagnose_machine() -> int:
    statuses = requirements.check()
    for status in statuses:
        _line("ok" if status.met else "missing", status.requirement.name, status.detail)
        if not status.met:
            _line("", "", f"without it {status.requirement.prevents}")
    for name, purpose in _OPTIONAL_PROGRAMS:
        path = shutil.which(name)
        _line("ok" if path else "optional", name, path or f"only needed to {purpose}")
    for status in requirements.check(requirements.OPTIONAL):
        wanted = status.requirement
        missing = f"{wanted.purpose}; without it {wanted.prevents} (package {wanted.debian_package})"
        _line("ok" if status.met else "optional", wanted.name, status.detail if status.met else missing)
    _tell_ids()
    if _makes_control_groups():
        _line("ok", "control groups", "limits of containers are enforced")
    else:
        _line("optional", "control groups", "only needed to enforce limits of containers; root may make them")
    if all(status.met for status in statuses):
        click.echo("the sandbox can run on this machine")
        return ExitCode.PASSED
    click.echo(f"remedy: {requirements.remedy(statuses)}")
    return ExitCode.USAGE


def _tell_ids() -> None:
    """Print whether images can run that change their user."""
    number, refusal = namespaces.try_user_namespace()
    if number > 1:
        whose = "those of the machine" if namespaces.privileged() else "by /etc/subuid and /etc/subgid"
        _line("ok", "users of images", f"{number} ids, {whose}")
    else:
        why = f" ({refusal})" if refusal else ""
        _line("optional", "users of images", f"only needed by images that change their user{why}: {idmaps.remedy()}")


def _makes_control_groups() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        made = controlgroups.make(Path(folder)) is not None
        controlgroups.remove(Path(folder))
    return made


def _line(state: str, name: str, detail: str) -> None:
    click.echo(f"{state:9} {name:20} {detail}")
