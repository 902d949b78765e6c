"""Whose a namespace is: one that Flametest makes bears a mark from its first moment, and only that is its to end."""

from collections.abc import Mapping
from types import MappingProxyType

from flametest.clusters.protocol import ClusterError
from flametest.kube import KubeClient
from flametest.kube.api import MERGE
from flametest.kube.namespaces import await_namespace
from flametest.kube.resources import NAMESPACES
from flametest.kube.snapshots import find

__all__ = ["add_labels", "claim", "is_ours", "make_namespace"]

# https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
MARK, MADE_BY = "app.kubernetes.io/managed-by", "flametest"
_MANAGER = "flametest-namespace"  # a name of its own: what the manifests' manager does not name, it would take away
_ENDING_SECONDS_MAX = 120.0
NO_LABELS: Mapping[str, str] = MappingProxyType({})


def claim(client: KubeClient, namespace: str, labels: Mapping[str, str] = NO_LABELS) -> None:
    """Make the namespace with its mark and further labels, or make sure that the one there is has the mark.

    Raises:
        ClusterError: somebody else has made it.
        KubeError: the API is unreachable or refused.
    """
    if await_namespace(client.api, namespace, ("", "Active"), _ENDING_SECONDS_MAX):
        if not is_ours(client, namespace):
            raise ClusterError(
                f"namespace {namespace!r} of context {client.api.context!r} is there already, "
                "and was not made by Flametest",
                "test what is in it with --no-deploy, or remove it, if it may go",
            )
        return
    make_namespace(client, namespace, labels)


def make_namespace(client: KubeClient, namespace: str, labels: Mapping[str, str] = NO_LABELS) -> None:
    """Make a namespace with the mark of Flametest's own, and further labels.

    Raises:
        KubeError: it is there already, or the API is unreachable or refused.
    """
    body = {
        "apiVersion": NAMESPACES.api_version,
        "kind": NAMESPACES.kind,
        "metadata": {"name": namespace, "labels": {MARK: MADE_BY, **labels}},
    }
    client.api.send("POST", NAMESPACES.path(), body, query={"fieldManager": _MANAGER})


def add_labels(client: KubeClient, namespace: str, labels: Mapping[str, str]) -> None:
    """Add labels to a namespace; a label that it has already keeps its value.

    Raises:
        KubeError: there is no such namespace, or the API is unreachable or refused.
    """
    path = NAMESPACES.path(name=namespace)
    found = client.api.get(path)["metadata"].get("labels") or {}
    missing = {key: value for key, value in labels.items() if key not in found}
    if missing:
        patch = {"metadata": {"labels": missing}}
        client.api.send("PATCH", path, patch, content_type=MERGE, query={"fieldManager": _MANAGER})


def is_ours(client: KubeClient, namespace: str) -> bool:
    """Return whether Flametest has made a namespace.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    found = find(client.api, NAMESPACES, "", namespace)
    return found is not None and (found["metadata"].get("labels") or {}).get(MARK) == MADE_BY
