"""``flametest up``, ``status``, ``env`` and ``down``: a system that is deployed and left running, from any folder."""

import os
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import click

from flametest.cli.commands import (
    cluster_option,
    find_cluster,
    find_contexts,
    find_files,
    heal_first,
    in_namespace_of,
    is_stopped,
    recalled,
    state_files,
    tell_contexts,
)
from flametest.cli.progress import make_progress
from flametest.cli.where import Where
from flametest.clusters import Access, Cluster, ClusterError, running
from flametest.kube import KubeClient
from flametest.kube.further import further_readiness, listed_further
from flametest.kube.pods import controller_of, is_live, is_ready
from flametest.kube.resources import PODS, Object
from flametest.model.homes import state_home
from flametest.run.exitcodes import ExitCode
from flametest.run.interrupt import interruptible
from flametest.run.project import Project
from flametest.run.systems import DeployedSystem, forget, recall, remember

__all__ = ["bring_down", "bring_up", "bring_up_bare", "print_environment", "show_status"]


def bring_up(where: Where, sources: tuple[Path, ...], kustomization: Path | None, *, strict: bool) -> int:
    """Deploy what was named, or the project, and tell how to reach it."""
    from flametest.run.deploy import DeployOptions, deploy  # noqa: PLC0415 (imports the official client)

    named = sources or kustomization is not None
    project = Project(Path.cwd(), sources, kustomization) if named else find_files()
    reading = project.read()
    where = in_namespace_of(where, project)
    contexts = find_contexts(where, project, reading)
    reading = replace(reading, notes=(*reading.notes, *tell_contexts(contexts)))
    provider = find_cluster(where, project, contexts)
    options = DeployOptions(strict=strict, entry_needed=project.is_tested, url=where.url, stays=True)
    with interruptible():
        unhealed = heal_first(provider, project)
        if unhealed and not is_stopped(provider):
            return ExitCode.NOT_HEALED
        _remember(provider, where, "")  # also where deploying fails, what is left is looked into from here
        access = deploy(provider, reading, make_progress(sys.stdout), options)
        _remember(provider, where, access.url if provider.is_own else "")
        if unhealed and heal_first(provider, project):
            return ExitCode.NOT_HEALED
    if access.url:
        click.echo(f"entry: {access.url}")
    _tell_next(replace(where, is_namespace_named=False), "kubectl get pods, chaos run, locust")
    return ExitCode.PASSED


def bring_up_bare(where: Where) -> int:
    """Start a cluster of Flametest's own with nothing in it but the namespace, for kubectl."""
    from flametest.run.deploy import start_bare  # noqa: PLC0415 (imports the official client)

    project = state_files()
    provider = find_cluster(where, project)
    if not provider.is_own:
        raise ClusterError(f"{provider.name} is there already", "leave --bare out, and name what to deploy")
    with interruptible():
        unhealed = heal_first(provider, project)
        start_bare(provider, make_progress(sys.stdout))
        _remember(provider, where, "")
        if unhealed and heal_first(provider, project):
            return ExitCode.NOT_HEALED
    _tell_next(where, "kubectl apply, kubectl run")
    return ExitCode.PASSED


def bring_down(where: Where) -> int:
    """End what runs; that nothing runs is no error."""
    where, project = recalled(where), state_files()
    provider = find_cluster(where, project)
    with interruptible():
        # What was injected goes with a cluster that goes; in one that stays it is healed while that can be reached.
        if not provider.forgets and heal_first(provider, project):
            return ExitCode.NOT_HEALED
        ended = provider.down()
        forget(state_home(os.environ), provider.name)
        if provider.is_own:
            click.echo(f"the {provider.name} has been ended" if ended else f"no {provider.name} is running")
        else:
            there = "has been deleted" if ended else "is not there"
            click.echo(f"namespace {where.namespace} of {provider.name} {there}; the cluster itself is left alone")
        return ExitCode.NOT_HEALED if heal_first(provider, project) else ExitCode.PASSED


def show_status(where: Where) -> int:
    """Tell how many pods of each workload are ready; 0 when all are, 3 when not, 2 when nothing runs."""
    from flametest.kube import connect  # noqa: PLC0415 (imports the official client)

    where, project = recalled(where), state_files()
    provider = find_cluster(where, project)
    access = _entered(provider, running(provider))
    unhealed = heal_first(provider, project)
    click.echo(f"cluster    {provider.name}, context {access.context}, namespace {access.namespace}")
    click.echo(f"entry      {access.url or 'not found; name it with --url'}")
    if (memory := provider.memory_bytes()) is not None:
        click.echo(f"memory     {memory / 1e6:.0f} MB for the {provider.name} itself, pods excluded")
    with connect(access.kubeconfig, access.context) as client:
        workloads = [*client.readiness(access.namespace)]
        if provider.is_own:  # elsewhere, listing further kinds might take a right that nobody has given
            workloads += map(further_readiness, listed_further(client.api, access.namespace))
        parts = {f"Job {one}" if one.kind == "Job" else str(one): one.complete for one in workloads}
        parts |= {f"pod {pod['metadata']['name']}": is_ready(pod) for pod in _lone_pods(client, access.namespace)}
    for part, is_complete in parts.items():
        click.echo(f"{'ready' if is_complete else 'NOT READY':10} {part}")
    if unhealed:
        return ExitCode.NOT_HEALED
    return ExitCode.PASSED if parts and all(parts.values()) else ExitCode.INCONCLUSIVE


def _lone_pods(client: KubeClient, namespace: str) -> list[Object]:
    """Return the pods that no workload looks after, and that have not done their work."""
    pods = client.api.listed(PODS.path(namespace)).items
    return [pod for pod in pods if not controller_of(pod) and is_live(pod)]


def print_environment(where: Where) -> int:
    """Print exports for a shell; without the entry where the system has none."""
    from flametest.run.entering import located  # noqa: PLC0415 (imports the official client)

    provider = find_cluster(recalled(where), state_files())
    access = _entered(provider, running(provider)) if provider.is_own else located(provider)
    for name, value in access.environment(os.environ).items():
        if name != "FLAMETEST_URL" or value:
            click.echo(f"export {name}={shlex.quote(value)}")
    return ExitCode.PASSED


def _entered(provider: Cluster, access: Access) -> Access:
    """Return the access without the usual entry where `up` has found that the system has none."""
    known = recall(state_home(os.environ), provider.name)
    has_none = provider.is_own and known == DeployedSystem(access.namespace, "")
    return replace(access, url="") if has_none else access


def _remember(provider: Cluster, where: Where, url: str) -> None:
    remember(state_home(os.environ), provider.name, DeployedSystem(where.namespace, url))


def _tell_next(where: Where, tools: str) -> None:
    option = cluster_option(where)
    click.echo(f'next:  eval "$(flametest env{option})" and then {tools}; `flametest down{option}` ends it')
