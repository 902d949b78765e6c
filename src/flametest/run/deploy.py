"""Deploying the system under test: start the cluster, apply the manifests, wait until every pod is Ready."""

import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from flametest.clusters import Access, Cluster, ClusterError
from flametest.kube import KubeClient, connect
from flametest.run.progress import Progress
from flametest.run.project import Project

__all__ = ["NAMESPACE", "deploy", "deployed"]

NAMESPACE = "flametest"
ENTRY_SECONDS = 15.0  # pods are Ready by then; what is left is for the node port to follow
POLL_SECONDS = 0.1
READY_SECONDS = 120.0  # a slow machine that has to make a database cluster first; a broken manifest is told earlier


def deploy(cluster: Cluster, project: Project, progress: Progress) -> Access:
    """Bring the system up on ``cluster`` and return how it is reached; what runs already is brought up to date.

    Raises:
        FlametestError: the cluster or a manifest is at fault, or the system does not get Ready. A cluster that this
            call started is ended again.
    """
    fresh = cluster.find() is None
    with _ended_on_failure(cluster, fresh):
        access = _apply(cluster, project, progress, fresh=fresh)
        with connect(access.kubeconfig, access.context) as client:
            with progress.step("wait for every pod to be Ready") as step:
                client.wait_ready(NAMESPACE, timeout_seconds=READY_SECONDS, saw=step.saw)
            with progress.step("reach the entry") as step:
                _await_entry(client, access.url, fresh=fresh)
                step.saw(access.url)
    return access


@contextmanager
def deployed(cluster: Cluster, project: Project, progress: Progress, *, keep: bool) -> Iterator[Access]:
    """Deploy for the time of a run: what was not running before is ended afterwards, unless ``keep``.

    A system that was running before is brought up to date, but need not be healthy: that is the experiments' to judge.
    """
    fresh = cluster.find() is None
    if not fresh:
        yield _apply(cluster, project, progress, fresh=False)
        return
    access = deploy(cluster, project, progress)
    try:
        yield access
    finally:
        if not keep:
            with progress.step(f"end the {cluster.name}"):
                cluster.down()


def _apply(cluster: Cluster, project: Project, progress: Progress, *, fresh: bool) -> Access:
    with progress.step(f"start the {cluster.name}") as step:
        access = cluster.up()
        step.saw(f"context {access.context}" if fresh else "it runs already")
    with (
        progress.step("apply the manifests") as step,
        connect(access.kubeconfig, access.context) as client,
    ):
        step.saw(client.apply(project.manifests).summary())
    return access


@contextmanager
def _ended_on_failure(cluster: Cluster, fresh: bool) -> Iterator[None]:
    try:
        yield
    except BaseException:
        if fresh:
            cluster.down()
        raise


def _await_entry(client: KubeClient, url: str, *, fresh: bool) -> None:
    """Return when the entry answers.

    On a cluster that has just been started, an answer from a port that another program holds does not count; on one
    that was running, the warning about the port may be an old one.

    Raises:
        ClusterError: it does not, with what the cluster says about its Services.
    """
    end = time.monotonic() + ENTRY_SECONDS
    while True:
        warned = client.warnings(NAMESPACE, "Service")
        taken = fresh and any(one.reason == "NodePortUnavailable" for one in warned)
        if taken or time.monotonic() >= end:
            said = "; ".join(f"Service {one.name}: {one.message}" for one in warned)
            raise ClusterError(
                f"the entry {url} does not answer{': ' if said else ''}{said}",
                "free its address and port, or mend the entry Service, and try again",
            )
        if _answers(url):
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
