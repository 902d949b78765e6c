"""Several edges of one Service at a time: they share its proxy, each with its own rules, callers and counts.

Who they are is written on the Service by which the proxy reaches the pods, so that any later process knows whether it
heals the last of them: only that one leads the Service back and removes the proxy. In the proxy they stand one behind
the other, the oldest in front, and what one ends does not come to those behind it.
"""

import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass

from flametest.faults.errors import FaultError
from flametest.faults.proxy_parts import Front
from flametest.faults.readback import change, standing
from flametest.faults.workloads import existing
from flametest.kube import KubeClient
from flametest.kube.resources import SERVICES, Object
from flametest.kube.snapshots import find

__all__ = ["Sharer", "annotation", "check_beside", "join", "leave", "sharers_of", "without_proxy"]

ANNOTATION = "flametest.dev/edges"


@dataclass(frozen=True, slots=True)
class Sharer:
    """One edge of a Service, as others have to know it.

    Attributes:
        key: tells it from others, in the proxy too.
        title: what it does, for people.
        ports: the Service's ports that it is about.
        protocol: what it takes them for, ``tcp`` or ``http``.
        caller: whom it means; empty for everybody.
        ends: whether nothing of what it means is passed on.
    """

    key: str
    title: str
    ports: tuple[int, ...]
    protocol: str
    caller: str = ""
    ends: bool = False


def annotation(sharers: Mapping[str, Sharer]) -> dict[str, str]:
    """Return the annotation that tells of edges."""
    return {ANNOTATION: json.dumps([asdict(one) for one in sharers.values()])}


def sharers_of(origin: Object | None) -> dict[str, Sharer]:
    """Return the edges that the Service tells of by which a proxy reaches the pods, by their keys."""
    annotations = ((origin or {}).get("metadata") or {}).get("annotations") or {}
    found = [Sharer(**(one | {"ports": tuple(one["ports"])})) for one in json.loads(annotations.get(ANNOTATION, "[]"))]
    return {one.key: one for one in found}


def check_beside(wanted: Sharer, others: Mapping[str, Sharer]) -> None:
    """Return if an edge may come beside others of the same Service.

    Raises:
        FaultError: it could not be told from one of them, or nothing would come to it.
    """
    if wanted.key in others:
        raise FaultError(
            f"the same edge is already active ({wanted.title}), and its requests could not be distinguished from those "
            "of another",
            "heal that one first, or choose other rules or another caller",
        )
    for one in others.values():
        if not set(one.ports) & set(wanted.ports):
            continue
        if one.protocol != wanted.protocol:
            raise FaultError(
                f"the proxy takes the same port for {one.protocol} already ({one.title}): it judges either connections "
                "or requests there",
                f'use protocol "{one.protocol}", or heal that one first',
            )
        if one.ends and one.caller in ("", wanted.caller):
            raise FaultError(
                f"nothing would come to it that could be disturbed: another edge lets nothing through ({one.title})",
                "inject this one first, or heal that one",
            )


def join(client: KubeClient, front: Front, wanted: Sharer) -> None:
    """Write an edge beside those that share a proxy already.

    Raises:
        FaultError: the proxy is about to be removed.
        KubeError: the API is unreachable or refused.
    """
    origin = existing(client, SERVICES, front.namespace, front.origin)

    def with_it(found: Object) -> Object | None:
        others = sharers_of(found)
        if not others:
            raise FaultError(f"the fault proxy of Service {front.service} is being removed", "inject it again")
        if wanted.key in others:
            return None
        return {"metadata": {"annotations": annotation(others | {wanted.key: wanted})}}

    change(client, SERVICES, origin, with_it, lambda found: [] if wanted.key in sharers_of(found) else ["it is alone"])


def leave(client: KubeClient, front: Front, key: str) -> list[str]:
    """Take an edge from those that share a proxy, and return what the others are called; none when it was the last.

    Raises:
        HealError: it could not be taken from them.
        KubeError: the API is unreachable or refused.
    """
    origin = standing(client, SERVICES, front.namespace, front.origin)
    if origin is None:
        return []

    def without_it(found: Object) -> Object | None:
        sharers = sharers_of(found)
        if key not in sharers:
            return None
        return {"metadata": {"annotations": annotation({one: sharers[one] for one in sharers if one != key})}}

    read = change(
        client,
        SERVICES,
        origin,
        without_it,
        lambda found: ["its annotation still names it"] if key in sharers_of(found) else [],
    )
    return [one.title for one in sharers_of(read).values()]


def without_proxy(client: KubeClient, front: Front, service: Object) -> tuple[Object, dict[str, Sharer]]:
    """Return a Service that leads to a proxy as it was before, and the edges that share the proxy.

    Raises:
        FaultError: no edge tells of itself there: somebody else's proxy, or one that is being removed.
        KubeError: the API is unreachable or refused.
    """
    origin = find(client.api, SERVICES, front.namespace, front.origin)
    sharers = sharers_of(origin)
    if origin is None or not sharers:
        raise FaultError(f"Service {front.service} already leads to a fault proxy", "run `flametest undo` first")
    targets = {int(port["port"]): port["targetPort"] for port in origin["spec"]["ports"]}
    before = deepcopy(service)
    before["spec"]["selector"] = origin["spec"]["selector"]
    for port in before["spec"]["ports"]:
        port["targetPort"] = targets[int(port["port"])]
    return before, sharers
