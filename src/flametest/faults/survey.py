"""Asks the cluster what the gate needs to know about a fault's targets."""

from collections import Counter
from collections.abc import Sequence

from flametest.faults.safety import Surroundings
from flametest.kube import KubeClient
from flametest.kube.pods import controller_uid, is_live
from flametest.kube.resources import NAMESPACES, PODS
from flametest.kube.snapshots import find
from flametest.model.events import Target

__all__ = ["survey"]


def survey(client: KubeClient, targets: Sequence[Target]) -> Surroundings:
    """Return the labels of the targets' namespaces, and how many pods their pods' controllers have.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    labels = {}
    for namespace in sorted({target.namespace for target in targets if target.namespace}):
        found = find(client.api, NAMESPACES, "", namespace)
        if found is not None:
            labels[namespace] = dict(found["metadata"].get("labels") or {})
    controllers: dict[str, str] = {}
    populations: Counter[str] = Counter()
    for namespace in sorted({target.namespace for target in targets if target.kind == "Pod"}):
        pods = client.api.listed(PODS.path(namespace)).items
        controllers |= {str(pod["metadata"]["uid"]): controller_uid(pod) for pod in pods}
        populations.update(controller_uid(pod) for pod in pods if is_live(pod))
    return Surroundings(labels, controllers, populations)
