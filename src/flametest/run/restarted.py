"""Pods whose containers were restarted are replaced, so that the next fault meets what the last one met.

Before each restart of a container a kubelet waits twice as long as before the last one, from ten seconds to five
minutes, and forgets that after ten minutes only. So a crash would cost users more each time that it is tried.
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy
"""

from collections.abc import Mapping
from contextlib import suppress

from flametest.faults.waiting import wait_for
from flametest.kube import KubeClient
from flametest.kube.errors import NotFoundError, NotReadyError
from flametest.kube.pods import controller_uid, restarts
from flametest.kube.resources import PODS, Object

__all__ = ["replace_restarted", "restarts_of"]

GONE_SECONDS_MAX = 40.0  # pods have a time to end, of 30 seconds by default


def restarts_of(client: KubeClient, namespace: str) -> dict[str, int]:
    """Return how often containers were restarted, by the uids of their pods.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    return {_uid(pod): restarts(pod) for pod in client.api.listed(PODS.path(namespace)).items}


def replace_restarted(client: KubeClient, namespace: str, before: Mapping[str, int]) -> int:
    """Delete the pods of controllers whose containers were restarted; return how many, once they are gone.

    Args:
        client: the cluster.
        namespace: where the pods are.
        before: what `restarts_of` told before; what is in it is nobody's fault.

    Raises:
        NotReadyError: one is still there after `GONE_SECONDS_MAX`.
        KubeError: the API is unreachable or refused.
    """
    pods = client.api.listed(PODS.path(namespace)).items
    restarted = [pod for pod in pods if controller_uid(pod) and restarts(pod) > before.get(_uid(pod), 0)]
    for pod in restarted:
        with suppress(NotFoundError):
            client.api.send("DELETE", PODS.path(namespace, pod["metadata"]["name"]))
    leaving = {_uid(pod): str(pod["metadata"]["name"]) for pod in restarted}
    if leaving and not wait_for(lambda: not leaving.keys() & restarts_of(client, namespace).keys(), GONE_SECONDS_MAX):
        raise NotReadyError(
            f"a pod whose containers were restarted is still there {GONE_SECONDS_MAX:g} s after it was deleted, of "
            f"{', '.join(leaving.values())}",
            "check its finalizers and its terminationGracePeriodSeconds",
        )
    return len(restarted)


def _uid(pod: Object) -> str:
    return str(pod["metadata"]["uid"])
