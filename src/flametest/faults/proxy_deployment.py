"""The fault proxy on a cluster: deployed beside a Service, led to, led back from, and removed; see `proxy_parts`.

Making comes before anybody is led to it. Removing is the reverse: the Service is led back to where it led, it is waited
until nothing comes to the proxy any more, and all of it is removed.
"""

from collections.abc import Sequence

from flametest.faults import switches
from flametest.faults.edge_sharing import Sharer, annotation
from flametest.faults.egress import companions
from flametest.faults.errors import FaultError, HealError
from flametest.faults.policies import isolating
from flametest.faults.proxy_parts import Front, Route, own_name
from flametest.faults.readback import change, remove, same, standing
from flametest.faults.waiting import wait_for
from flametest.faults.workloads import selects
from flametest.kube import KubeClient
from flametest.kube.api import MERGE
from flametest.kube.errors import ConflictError
from flametest.kube.resources import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    NETWORK_POLICIES,
    PODS,
    SERVICES,
    Object,
    Resource,
)
from flametest.kube.snapshots import differences, find
from flametest.model.helperimage import helper_image

__all__ = ["check_free", "deploy", "lead", "lead_back", "pods_behind", "pods_of_proxy", "ready_proxy", "take_away"]

READY_SECONDS_MAX = 60.0
ROUTED_SECONDS_MAX = 15.0
GONE_SECONDS_MAX = 25.0


def pods_behind(client: KubeClient, namespace: str, selector: Object | None) -> list[Object]:
    """Return the pods that a Service's selector selects, and that run."""
    pods = client.api.listed(PODS.path(namespace)).items
    return switches.running([pod for pod in pods if selects(selector, pod["metadata"].get("labels"))])


def pods_of_proxy(client: KubeClient, front: Front) -> list[Object]:
    """Return the proxy's pods."""
    return client.api.listed(PODS.path(front.namespace), {"labelSelector": f"app={front.proxy}"}).items


def ready_proxy(client: KubeClient, front: Front) -> str:
    """Return the name of a proxy's pod that is ready; empty for none."""
    for pod in switches.running(pods_of_proxy(client, front)):
        if any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions") or []):
            return str(pod["metadata"]["name"])
    return ""


def check_free(client: KubeClient, front: Front) -> None:
    """Return if nothing bears a name of the proxy's: it would be nobody's, so healing must not remove it.

    Raises:
        FaultError: something does.
        KubeError: the API is unreachable or refused.
    """
    policies = [(NETWORK_POLICIES, name) for name in (front.proxy, front.origin)]
    own = [(DEPLOYMENTS, front.proxy), (CONFIG_MAPS, front.proxy), (SERVICES, front.origin)]
    for resource, name in (*own, *policies):
        if find(client.api, resource, front.namespace, name) is not None:
            raise FaultError(
                f"{resource.kind} {name} is there already",
                f"run `flametest undo`, or kubectl -n {front.namespace} delete {resource.plural} {name}",
            )


def deploy(client: KubeClient, front: Front, service: Object, routes: Sequence[Route], sharer: Sharer) -> str:
    """Deploy the proxy, wait until it is ready, and return its pod's name; the Service does not lead to it yet.

    Args:
        client: the cluster.
        front: what it is made of.
        service: the Service that it stands before.
        routes: its ports.
        sharer: the edge that needs it first.

    Raises:
        FaultError: it did not get ready.
        KubeError: the API is unreachable or refused.
    """
    pods = pods_behind(client, front.namespace, service["spec"]["selector"])
    hostname = own_name(service, pods)
    guarded = isolating(client, front.namespace, {str(pod["metadata"]["uid"]) for pod in pods}, "Ingress")
    told = front.origin_service(service, routes)
    told["metadata"]["annotations"] = annotation({sharer.key: sharer})
    origin = _make(client, front, SERVICES, told)
    for policy in (*front.policies(service, routes, guarded), *companions(client, front, pods, routes)):
        _make(client, front, NETWORK_POLICIES, policy)
    _make(client, front, CONFIG_MAPS, front.program())
    image = helper_image()
    _make(client, front, DEPLOYMENTS, front.deployment(routes, origin["spec"]["clusterIP"], image, hostname))
    proxy = wait_for(lambda: ready_proxy(client, front), READY_SECONDS_MAX)
    if proxy is None:
        raise FaultError(
            f"the fault proxy was not ready within {READY_SECONDS_MAX:g} s",
            f"see its pod's events; image {image} has to have python3 of 3.11 or newer: "
            "name another with --helper-image",
        )
    return proxy


def lead(client: KubeClient, front: Front, service: Object, routes: Sequence[Route]) -> None:
    """Lead a Service to the proxy, and wait until it leads nowhere else.

    Raises:
        FaultError: it did not within a bound.
        KubeError: the API is unreachable or refused.
    """
    body = front.repointed(service, routes)
    client.api.send("PATCH", SERVICES.path(front.namespace, front.service), body, content_type=MERGE)
    if not wait_for(lambda: _leads_to_proxy(client, front, only=True), ROUTED_SECONDS_MAX):
        raise FaultError(f"Service {front.service} did not lead to the proxy within {ROUTED_SECONDS_MAX:g} s")


def lead_back(client: KubeClient, front: Front, kept: Object, uid: str) -> str:
    """Lead a Service back to where its snapshot does, unless it is somebody else's by now; return what was done.

    Raises:
        HealError: it leads to the proxy still.
        KubeError: the API is unreachable or refused.
    """
    told = _led_back(client, front, kept, uid)
    if not wait_for(lambda: not _leads_to_proxy(client, front, only=False), ROUTED_SECONDS_MAX):
        raise HealError(
            f"{told}; but its endpoints are still the proxy's after {ROUTED_SECONDS_MAX:g} s", "run `flametest undo`"
        )
    return told


def take_away(client: KubeClient, front: Front) -> None:
    """Remove the proxy and all that was made for it.

    Raises:
        HealError: something is still there after a bound.
        KubeError: the API is unreachable or refused.
    """
    remove(client, DEPLOYMENTS, front.namespace, front.proxy, seconds_max=GONE_SECONDS_MAX)
    if not wait_for(lambda: not pods_of_proxy(client, front), GONE_SECONDS_MAX):
        raise HealError(f"the proxy's pods are still there after {GONE_SECONDS_MAX:g} s", "run `flametest undo`")
    own = {"labelSelector": f"app.kubernetes.io/name={front.proxy}"}
    listed = client.api.listed(NETWORK_POLICIES.path(front.namespace), own).items
    policies = {front.proxy, front.origin, *(str(one["metadata"]["name"]) for one in listed)}
    rest = [(CONFIG_MAPS, front.proxy), (SERVICES, front.origin)]
    for resource, name in (*rest, *((NETWORK_POLICIES, name) for name in sorted(policies))):
        remove(client, resource, front.namespace, name, seconds_max=GONE_SECONDS_MAX)


def _make(client: KubeClient, front: Front, resource: Resource, obj: Object) -> Object:
    try:
        return client.api.send("POST", resource.path(front.namespace), obj)
    except ConflictError as error:
        raise FaultError(
            f"{resource.kind} {obj['metadata']['name']} is there already: {error.told}", "run `flametest undo` first"
        ) from error


def _led_back(client: KubeClient, front: Front, kept: Object, uid: str) -> str:
    title = f"Service {front.service}"
    found = standing(client, SERVICES, front.namespace, front.service)
    if found is None:
        return f"{title} is gone"
    # One that was removed and created again by a later fault leads to the proxy still, under another uid.
    if not same(found, uid) and not front.leads(found):
        return f"{title} was recreated by somebody else in the meantime, and is left as it is"
    if found["spec"] == kept["spec"]:
        return f"{title} leads to where it did"
    if not front.leads(found):
        return f"{title} was changed by somebody else in the meantime, and is left as it is"
    read = change(
        client,
        SERVICES,
        found,
        lambda service: front.restored(kept) if front.leads(service) else None,
        lambda service: ["it leads to the fault proxy"] if front.leads(service) else [],
    )
    if others := differences(kept["spec"], read["spec"]):
        return f"{title} leads to its own pods again; somebody else has changed it in the meantime: {'; '.join(others)}"
    return f"{title} leads to its own pods again"


def _leads_to_proxy(client: KubeClient, front: Front, *, only: bool) -> bool:
    """Return whether the endpoints of the Service are the proxy's: some of them, or with ``only`` none but them."""
    query = {"labelSelector": f"kubernetes.io/service-name={front.service}"}
    pieces = client.api.listed(ENDPOINT_SLICES.path(front.namespace), query).items
    names = [
        str((endpoint.get("targetRef") or {}).get("name", ""))
        for one in pieces
        for endpoint in one.get("endpoints") or []
    ]
    ours = [name.startswith(f"{front.proxy}-") for name in names]
    return bool(ours) and all(ours) if only else any(ours)
