"""Deploying the system under test: start the cluster, apply the manifests, wait until every pod is Ready.

On a cluster that is not Flametest's own a preflight comes before anything is applied, and what is applied goes into one
namespace, which Flametest makes and marks. With ``deploying`` False nothing is applied and nothing is ended: the system
is there already.
"""

import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from flametest.clusters import DEFAULT_NAMESPACE as NAMESPACE
from flametest.clusters import Access, Cluster, ClusterError, running
from flametest.clusters.ownership import claim
from flametest.kube import KubeClient, connect
from flametest.manifests import Manifest, Reading, placed
from flametest.run.needs import Plan
from flametest.run.preflight import preflight
from flametest.run.progress import Progress
from flametest.run.project import Project, ProjectError

__all__ = ["NAMESPACE", "deploy", "deployed", "located"]

ENTRY_SECONDS = 15.0  # pods are Ready by then; what is left is for the node port to follow
POLL_SECONDS = 0.1
NOTHING_MORE = Plan()
READY_SECONDS = 120.0  # a slow machine that has to make a database cluster first; a broken manifest is told earlier
PULL_SECONDS = 300.0  # public images by a slow connection; afterwards the nodes have them


def deploy(cluster: Cluster, project: Project, progress: Progress, plan: Plan = NOTHING_MORE) -> Access:
    """Bring the system up on ``cluster`` and return how it is reached; what runs already is brought up to date.

    Args:
        cluster: where.
        project: whose manifests.
        progress: is told each step.
        plan: what is to be done then, for whose rights a preflight asks.

    Raises:
        FlametestError: the cluster or a manifest is at fault, or the system does not get Ready. A cluster, or
            namespace, that this call has made is ended again.
    """
    reading = _checked(cluster, project, progress, plan)
    return _deploy(cluster, reading, progress, fresh=cluster.find() is None)


@contextmanager
def deployed(
    cluster: Cluster,
    project: Project,
    progress: Progress,
    *,
    keep: bool,
    deploying: bool = True,
    plan: Plan = NOTHING_MORE,
) -> Iterator[Access]:
    """Deploy for the time of a run: what was not running before is ended afterwards, unless ``keep``.

    A system that was running before is brought up to date, but need not be healthy: that is the experiments' to judge.
    Without ``deploying`` it is taken as it is.
    """
    if not deploying:
        yield _found(cluster, progress, plan)
        return
    reading = _checked(cluster, project, progress, plan)
    if cluster.find() is not None:
        _apply(cluster, reading, progress, fresh=False)
        yield located(cluster)
        return
    access = _deploy(cluster, reading, progress, fresh=True)
    try:
        yield access
    finally:
        if not keep:
            with progress.step(f"end the {cluster.name if cluster.is_own else f'system on {cluster.name}'}"):
                cluster.down()


def located(cluster: Cluster) -> Access:
    """Return how the running system is reached, its entry included.

    Raises:
        ClusterError: it is not running, or its entry cannot be found.
    """
    access = running(cluster)
    if not access.url:
        raise ClusterError(
            f"no entry of namespace {access.namespace!r} can be reached from this machine: there is no Service of type "
            "NodePort or LoadBalancer whose address answers with one of its pods",
            "name it by --url; a port forward will do: "
            f"kubectl --context {access.context} --namespace {access.namespace} port-forward service/NAME 8080:80",
        )
    return access


def _checked(cluster: Cluster, project: Project, progress: Progress, plan: Plan) -> Reading:
    """Return the manifests; where others use the cluster as well, after a preflight, before anything is asked for."""
    reading = project.read()
    if not cluster.is_own:
        _preflight(cluster, reading, progress, plan)
    return reading


def _preflight(cluster: Cluster, reading: Reading | None, progress: Progress, plan: Plan) -> None:
    with progress.step(f"reach {cluster.name}") as step:
        access = cluster.up()
        manifests = placed(reading, access.namespace).manifests if reading is not None else ()
        _check_namespaces(manifests, access.namespace)
        step.saw(f"namespace {access.namespace}")
    with connect(access.kubeconfig, access.context) as client:
        preflight(client, access, manifests, plan, progress)


def _found(cluster: Cluster, progress: Progress, plan: Plan) -> Access:
    """Return how a system that is there already is reached, once it answers."""
    if not cluster.is_own:
        _preflight(cluster, None, progress, plan)
    with progress.step(f"find the system on {cluster.name}") as step:
        access = located(cluster)
        with connect(access.kubeconfig, access.context) as client:
            _await_entry(client, access, fresh=False)
        step.saw(f"namespace {access.namespace}, entry {access.url}")
    return access


def _deploy(cluster: Cluster, reading: Reading, progress: Progress, *, fresh: bool) -> Access:
    with _ended_on_failure(cluster, fresh):
        access = _apply(cluster, reading, progress, fresh=fresh)
        with connect(access.kubeconfig, access.context) as client:
            with progress.step("wait for every pod to be Ready") as step:
                seconds_max = READY_SECONDS + (PULL_SECONDS if cluster.pulls_images else 0)
                client.wait_ready(access.namespace, timeout_seconds=seconds_max, saw=step.saw)
            with progress.step("reach the entry") as step:
                access = located(cluster)
                _await_entry(client, access, fresh=fresh)
                step.saw(access.url)
    return access


def _apply(cluster: Cluster, reading: Reading, progress: Progress, *, fresh: bool) -> Access:
    access = _started(cluster, progress, fresh=fresh) if cluster.is_own else cluster.up()
    manifests = placed(reading, access.namespace).manifests
    if cluster.is_own:
        _check_named(manifests, access.namespace)
    with connect(access.kubeconfig, access.context) as client, progress.step("apply the manifests") as step:
        if not cluster.is_own:
            claim(client, access.namespace)
        step.saw(client.apply(manifests).summary())
    return access


def _started(cluster: Cluster, progress: Progress, *, fresh: bool) -> Access:
    with progress.step(f"start the {cluster.name}") as step:
        access = cluster.up()
        step.saw(f"context {access.context}" if fresh else "it runs already")
    return access


def _check_named(manifests: Sequence[Manifest], namespace: str) -> None:
    """Make sure that something is deployed to the namespace that is waited for.

    Raises:
        ProjectError: all of it goes elsewhere.
    """
    found = {str(manifest.object["metadata"].get("namespace", "")) for manifest in manifests} - {""}
    if namespace not in found:
        raise ProjectError(
            f"no manifest is in namespace {namespace!r}, but in {', '.join(sorted(found)) or 'none at all'}",
            "name the namespace of the manifests by --namespace",
        )


def _check_namespaces(manifests: Sequence[Manifest], namespace: str) -> None:
    """Make sure that everything that is applied goes into the one namespace.

    Raises:
        ProjectError: a manifest names another one, or changes what all share.
    """
    for manifest in manifests:
        found = manifest.object["metadata"].get("namespace", "")
        if manifest.kind == "Namespace":
            found = manifest.name
        if found != namespace:
            raise ProjectError(
                f"{manifest.source}: {manifest.kind} {manifest.name!r} is "
                f"{f'in namespace {found!r}' if found else 'in no namespace'}, and only {namespace!r} may be changed "
                "on a cluster that others use as well",
                "mend the manifest; or apply it yourself, and test what is there by --no-deploy",
            )


@contextmanager
def _ended_on_failure(cluster: Cluster, fresh: bool) -> Iterator[None]:
    try:
        yield
    except BaseException:
        if fresh:
            cluster.down()
        raise


def _await_entry(client: KubeClient, access: Access, *, fresh: bool) -> None:
    """Return when the entry answers.

    On a cluster that has just been started, an answer from a port that another program holds does not count; on one
    that was running, the warning about the port may be an old one.

    Raises:
        ClusterError: it does not, with what the cluster says about its Services.
    """
    end = time.monotonic() + ENTRY_SECONDS
    while True:
        warned = client.warnings(access.namespace, "Service")
        taken = fresh and any(one.reason == "NodePortUnavailable" for one in warned)
        if taken or time.monotonic() >= end:
            said = "; ".join(f"Service {one.name}: {one.message}" for one in warned)
            raise ClusterError(
                f"the entry {access.url} does not answer{': ' if said else ''}{said}",
                "free its address and port, or mend the entry Service, and try again",
            )
        if _answers(access.url):
            return
        time.sleep(POLL_SECONDS)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=ENTRY_SECONDS) as answer:  # noqa: S310 (the cluster's own entry)
            return bool(answer.status < 500)
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False
