"""Who calls a Service, told by the addresses of its pods: found, told apart, and followed while pods come and go.

A caller is a workload by its name, or pods by a label selector. The proxy sees a caller's own address only where the
network does not masquerade it on the way to a Service; where it does, a rule for one caller would be one for nobody, or
for all, so it is refused.
"""

from collections.abc import Callable

from flametest.faults.connection import Reach, Reached, try_to_reach
from flametest.faults.errors import FaultError
from flametest.faults.switches import running
from flametest.faults.waiting import wait_for
from flametest.faults.workloads import WORKLOADS, pods_of
from flametest.kube import KubeClient
from flametest.kube.resources import PODS, Object
from flametest.kube.snapshots import find

__all__ = ["addresses_of", "callers_of", "check_told_apart"]

SEEN_SECONDS_MAX = 10.0


def callers_of(client: KubeClient, namespace: str, caller: str) -> list[Object]:
    """Return the pods of a caller that run: of a Deployment or StatefulSet by name, or by a label selector.

    Raises:
        FaultError: there is no such workload.
        KubeError: the API is unreachable or refused.
    """
    if "=" in caller:
        return running(client.api.listed(PODS.path(namespace), {"labelSelector": caller}).items)
    for resource in WORKLOADS.values():
        found = find(client.api, resource, namespace, caller)
        if found is not None:
            return running(pods_of(client, found | {"kind": resource.kind}))
    there = sorted(
        one["metadata"]["name"]
        for resource in WORKLOADS.values()
        for one in client.api.listed(resource.path(namespace)).items
    )
    raise FaultError(
        f"namespace {namespace!r} holds no Deployment or StatefulSet {caller!r}, which is to be the caller",
        f"use one of: {', '.join(there) or 'there is none'}; or a label selector such as app={caller}",
    )


def addresses_of(pods: list[Object]) -> list[str]:
    """Return the addresses of pods, of both families."""
    found = [
        str(one.get("ip", ""))
        for pod in pods
        for one in pod["status"].get("podIPs") or [{"ip": pod["status"].get("podIP", "")}]
    ]
    return sorted(set(found) - {""})


def check_told_apart(
    client: KubeClient, pods: list[Object], place: tuple[str, int], seen: Callable[[], dict[str, int]]
) -> None:
    """Return if the proxy sees the callers' own addresses.

    Args:
        client: the cluster.
        pods: the callers.
        place: the Service's address and port, which leads to the proxy by now.
        seen: how many connections came to the proxy from each address.

    Raises:
        FaultError: it does not, or that cannot be found out.
        KubeError: the API is unreachable or refused.
    """
    pod = pods[0]
    wanted = set(addresses_of([pod]))
    reached = _try(client, pod, place)
    connected = reached.outcome is Reach.CONNECTED
    addresses = wanted if connected else set(addresses_of(pods))
    if wait_for(lambda: bool(addresses & seen().keys()), SEEN_SECONDS_MAX):
        return
    name, found = pod["metadata"]["name"], ", ".join(sorted(seen())) or "nobody"
    if connected:
        raise FaultError(
            f"pod {name} connected to the Service, and the proxy saw {found} instead of {', '.join(sorted(wanted))}: "
            "the network masquerades addresses, so the caller cannot be distinguished",
            "leave the caller out, or distinguish requests by a header",
        )
    raise FaultError(
        f"no connection of the caller was seen within {SEEN_SECONDS_MAX:g} s, so whether it can be distinguished is "
        f"open: {reached.reason or f'pod {name} could not connect'}; the proxy saw {found}",
        "let it call the Service, or leave the caller out",
    )


def _try(client: KubeClient, pod: Object, place: tuple[str, int]) -> Reached:
    return try_to_reach(client, (str(pod["metadata"]["namespace"]), str(pod["metadata"]["name"])), *place)
