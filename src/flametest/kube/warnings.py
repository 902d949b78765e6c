"""Warning events: what the cluster itself says is wrong with an object."""

from dataclasses import dataclass

from flametest.kube.api import Api
from flametest.kube.resources import EVENTS

__all__ = ["Warned", "warnings_of"]


@dataclass(frozen=True, slots=True)
class Warned:
    """A warning about one object, as the cluster worded it."""

    kind: str
    name: str
    reason: str
    message: str


def warnings_of(api: Api, namespace: str, kind: str) -> tuple[Warned, ...]:
    """Return the Warning events about objects of ``kind`` in ``namespace``, in the order of the list.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    events = api.listed(EVENTS.path(namespace), {"fieldSelector": f"type=Warning,involvedObject.kind={kind}"})
    return tuple(
        Warned(kind, str(event["involvedObject"].get("name", "")), str(event.get("reason", "")), str(event["message"]))
        for event in events.items
    )
