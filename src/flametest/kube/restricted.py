"""What a pod of Flametest's own may do: the profile "restricted" of Kubernetes' Pod Security Standards, and no more.

Written in one place, so that every pod that is made beside a system is admitted to a namespace that enforces it.
"""

from flametest.kube.resources import Object

__all__ = ["container_security", "pod_security"]


def pod_security(user: int) -> Object:
    """Return the securityContext of a pod that runs as ``user``, who is not root."""
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security() -> Object:
    """Return the securityContext of a container that writes to volumes only."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
