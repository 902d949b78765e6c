"""Whose a namespace is: one that Flametest makes bears a mark from its first moment, and only that is its to end."""

from flametest.clusters.protocol import ClusterError
from flametest.kube import KubeClient
from flametest.kube.namespaces import await_namespace
from flametest.kube.resources import NAMESPACES
from flametest.kube.snapshots import find

__all__ = ["claim", "is_ours"]

# https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
MARK, MADE_BY = "app.kubernetes.io/managed-by", "flametest"
_MANAGER = "flametest-namespace"  # a name of its own: what the manifests' manager does not name, it would take away
_ENDING_SECONDS_MAX = 120.0


def claim(client: KubeClient, namespace: str) -> None:
    """Make the namespace with its mark, or make sure that the one there is has it.

    Raises:
        ClusterError: somebody else has made it.
        KubeError: the API is unreachable or refused.
    """
    if await_namespace(client.api, namespace, ("", "Active"), _ENDING_SECONDS_MAX):
        if not is_ours(client, namespace):
            raise ClusterError(
                f"namespace {namespace!r} of context {client.api.context!r} is there already, "
                "and was not made by Flametest",
                "test what is in it by --no-deploy, or remove it, if it may go",
            )
        return
    body = {
        "apiVersion": NAMESPACES.api_version,
        "kind": NAMESPACES.kind,
        "metadata": {"name": namespace, "labels": {MARK: MADE_BY}},
    }
    client.api.send("POST", NAMESPACES.path(), body, query={"fieldManager": _MANAGER})


def is_ours(client: KubeClient, namespace: str) -> bool:
    """Return whether Flametest has made a namespace.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    found = find(client.api, NAMESPACES, "", namespace)
    return found is not None and (found["metadata"].get("labels") or {}).get(MARK) == MADE_BY
