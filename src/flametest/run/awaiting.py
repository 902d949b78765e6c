"""Waiting for a system that was just applied, as a step that people follow, with all that was found out meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from flametest.clusters import Cluster
from flametest.kube import KubeClient
from flametest.kube.apply import Applied
from flametest.kube.hopeless import Setting
from flametest.run.differing import differences
from flametest.run.progress import Progress
from flametest.run.settling import Patience, await_settled

__all__ = ["Deployed", "await_ready"]

READY_SECONDS = 120.0  # a slow machine that has to make a database cluster first; what is hopeless is told earlier
PULL_SECONDS = 300.0  # public images by a slow connection; afterwards the nodes have them


@dataclass(frozen=True, slots=True)
class Deployed:
    """What is waited for: the namespaces, the objects that were applied to them, and since when that was done."""

    namespaces: Sequence[str]
    objects: Sequence[Applied]
    since: datetime


def await_ready(client: KubeClient, cluster: Cluster, deployed: Deployed, progress: Progress) -> None:
    """Wait until everything is ready, and tell what was found out about images, whether it got so or not.

    Raises:
        NotReadyError: something cannot get ready, or was not in time.
        KubeError: the API is unreachable or refused.
    """
    setting = Setting(pulls_images=cluster.pulls_images, grows=not cluster.is_own)
    seconds_max = READY_SECONDS + (PULL_SECONDS if cluster.pulls_images else 0)
    patience = Patience(seconds_max, setting, deployed.since)
    left: tuple[str, ...] = ()
    try:
        with progress.step("wait for every pod to be Ready") as step:
            left = await_settled(client, deployed.namespaces, patience, step.saw, deployed.objects)
    finally:
        # Clusters of others do not tell this, and reading events takes a right.
        for line in differences(client, deployed.namespaces) if cluster.is_own else ():
            progress.say(f"warning: {line}")
    for name in left:
        progress.say(f"note: Job {name} still runs, and is not waited for")
