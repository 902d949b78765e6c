"""Deploying the system under test: start the cluster, apply the manifests, wait until every pod is Ready."""

from collections.abc import Iterator
from contextlib import contextmanager

from flametest.clusters import Access, Cluster
from flametest.kube import connect
from flametest.run.progress import Progress
from flametest.run.project import Project

__all__ = ["NAMESPACE", "deploy", "deployed"]

NAMESPACE = "flametest"
READY_SECONDS = 120.0  # a slow machine that has to make a database cluster first; a broken manifest is told earlier


def deploy(cluster: Cluster, project: Project, progress: Progress) -> Access:
    """Bring the system up on ``cluster`` and return how it is reached; what runs already is brought up to date.

    Raises:
        FlametestError: the cluster or a manifest is at fault. A cluster that this call started is ended again.
    """
    running = cluster.find() is not None
    try:
        with progress.step(f"start the {cluster.name}") as step:
            access = cluster.up()
            step.saw("it runs already" if running else f"context {access.context}")
        client = connect(access.kubeconfig, access.context)
        with progress.step("apply the manifests") as step:
            changes = client.apply(project.manifests)
            step.saw(changes.summary())
        with progress.step("wait for every pod to be Ready") as step:
            client.wait_ready(NAMESPACE, timeout_seconds=READY_SECONDS, saw=step.saw)
    except BaseException:
        if not running:
            cluster.down()
        raise
    return access


@contextmanager
def deployed(cluster: Cluster, project: Project, progress: Progress, *, keep: bool) -> Iterator[Access]:
    """Deploy for the time of a run: what was not running before is ended afterwards, unless ``keep``."""
    running = cluster.find() is not None
    access = deploy(cluster, project, progress)
    try:
        yield access
    finally:
        if not running and not keep:
            with progress.step(f"end the {cluster.name}"):
                cluster.down()
