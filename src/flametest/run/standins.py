"""Which images a run did not really run: what a report says of stand-ins is what this sandbox ran.

The sandbox puts ``stand-in://`` before the image in a container's status where binaries of the machine stood for it.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from flametest.kube import KubeClient, KubeError
from flametest.kube.resources import PODS

__all__ = ["stand_ins", "stand_ins_note"]

_MARK = "stand-in://"


def stand_ins(pods: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Return the images that stand-ins ran for in these pods, sorted, each once."""
    found = set()
    for pod in pods:
        status = pod.get("status") or {}
        for key in ("initContainerStatuses", "containerStatuses"):
            identifiers = (str(one.get("imageID", "")) for one in status.get(key) or ())
            found |= {one.removeprefix(_MARK) for one in identifiers if one.startswith(_MARK)}
    return tuple(sorted(found))


def stand_ins_note(client: KubeClient, namespace: str) -> str:
    """Return a sentence on the stand-ins of a namespace, with a space before it; empty where there are none.

    A cluster that does not say is no reason to end a run.
    """
    try:
        found = stand_ins(client.api.listed(PODS.path(namespace)).items)
    except KubeError:
        return ""
    return f" Binaries of this machine stood in for the images {', '.join(found)}." if found else ""
