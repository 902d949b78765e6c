"""Asks the cluster what the gate needs to know about a fault's targets."""

from collections import Counter
from collections.abc import Sequence

from flametest.faults.safety import Hit, Surroundings
from flametest.kube import KubeClient
from flametest.kube.pods import controller_uid, is_live, is_ready
from flametest.kube.resources import NAMESPACES, PODS
from flametest.kube.snapshots import find
from flametest.model.events import Target

__all__ = ["outstanding", "survey"]


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


def outstanding(client: KubeClient, hits: Sequence[Hit]) -> list[Hit]:
    """Return those of the hits on pods from which the system has not recovered.

    It has when the pods' controllers have as many ready pods again as they had before; a pod without a controller has
    to be ready itself.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    pods = [target for hit in hits for target in hit.targets if target.kind == "Pod"]
    ready: Counter[str] = Counter()
    for namespace in sorted({target.namespace for target in pods}):
        for pod in client.api.listed(PODS.path(namespace)).items:
            if is_live(pod) and is_ready(pod):
                ready[controller_uid(pod) or str(pod["metadata"]["uid"])] += 1
    return [hit for hit in hits if not all(_is_back(target, hit.around, ready) for target in hit.targets)]


def _is_back(target: Target, around: Surroundings, ready: Counter[str]) -> bool:
    controller = around.controllers.get(target.uid, "")
    return ready[controller] >= around.populations.get(controller, 1) if controller else ready[target.uid] > 0
