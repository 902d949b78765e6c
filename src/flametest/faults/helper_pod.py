"""A pod of Flametest's own beside a system: one container, least privilege, and an end that the cluster itself sets."""

from flametest.kube.resources import PODS, Object
from flametest.kube.restricted import container_security, pod_security

__all__ = ["HELPER_USER", "helper_pod"]

HELPER_USER = 10001  # any that is not root serves


def helper_pod(metadata: Object, container: Object, seconds_max: int) -> Object:
    """Return the manifest of a pod that runs once, ends at the latest after ``seconds_max``, and has no token.

    ``container`` is its container but for the security context; ``metadata`` names it and its namespace.
    """
    spec = {
        "restartPolicy": "Never",
        "activeDeadlineSeconds": seconds_max,
        "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(HELPER_USER),
        "containers": [container | {"securityContext": container_security()}],
    }
    return {"apiVersion": PODS.api_version, "kind": PODS.kind, "metadata": metadata, "spec": spec}
