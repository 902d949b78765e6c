"""Random errors, latency and aborts in front of any HTTP Service, by a proxy that is deployed beside it.

The app knows nothing of it and needs nothing for it. The proxy is made ready first; then the Service is led to it, in
one request, and that is the moment of the fault. Healing leads the Service back to where it led, port by port, waits
until nothing comes to the proxy any more, and removes all of it. See `flametest.faults.proxy_parts`.
"""

import random
from dataclasses import asdict, dataclass, field
from typing import ClassVar

from flametest.faults import switches
from flametest.faults.connection import Reach, reach, vantage
from flametest.faults.errors import FaultError, HealError
from flametest.faults.http_faults import LATENCY_REQUESTS, HttpFaults, Latency, Sounding
from flametest.faults.policies import isolating
from flametest.faults.protocol import Proof, State
from flametest.faults.proxy_parts import IMAGE, Front, routes_of
from flametest.faults.readback import change, remove, same, standing
from flametest.faults.soundings import proof_of, service_proxy, sound
from flametest.faults.waiting import wait_for
from flametest.faults.workloads import existing, selects, target_of
from flametest.kube import KubeClient
from flametest.kube.api import MERGE
from flametest.kube.errors import ConflictError
from flametest.kube.resources import DEPLOYMENTS, ENDPOINT_SLICES, NETWORK_POLICIES, PODS, SERVICES, Object, Resource
from flametest.kube.snapshots import differences, find, snapshot
from flametest.model.events import Target

__all__ = ["FaultProxy"]

READY_SECONDS_MAX = 60.0
ROUTED_SECONDS_MAX = 15.0
GONE_SECONDS_MAX = 25.0


@dataclass(frozen=True, slots=True)
class FaultProxy:
    """Do ``faults`` to the requests that go through Service ``service``."""

    name: ClassVar[str] = "fault_proxy"
    lasts: ClassVar[bool] = True

    namespace: str
    service: str
    faults: HttpFaults = field(default_factory=HttpFaults)
    image: str = IMAGE

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"{self.faults} by a proxy in front of Service {self.service}"

    @property
    def front(self) -> Front:
        """Return what the proxy is made of."""
        return Front(self.namespace, self.service)

    def targets(self, client: KubeClient) -> tuple[Target, ...]:
        """Return the Service."""
        self.faults.check()
        self.front.check()
        return (target_of(self._existing(client)),)

    def record(self, client: KubeClient, targets: tuple[Target, ...]) -> State:
        """Return the Service as it is, how quickly it answers, and a pod that can connect to it.

        Raises:
            FaultError: a proxy cannot stand in for it, or it fails already.
        """
        service = self._existing(client)
        if self.front.leads(service):
            raise FaultError(f"Service {self.service} leads to a fault proxy already", "run `flametest undo` first")
        self._check_free(client)
        pods = _pods(client, self.namespace, service["spec"].get("selector"))
        if not pods:
            raise FaultError(f"Service {self.service} has no pod that runs", "deploy what it leads to")
        routes = routes_of(service, pods[0])
        if isolating(client, self.namespace, None, "Egress"):
            raise FaultError(
                "a NetworkPolicy limits what pods may connect to, and the fault proxy is not among it",
                "use the service's own fault switch, or an environment without such policies",
            )
        before = self._sound(client, LATENCY_REQUESTS)
        if before.failed:
            raise FaultError(
                f"{before.failed} of {before.requests} requests to Service {self.service} fail without the fault, "
                "so it would prove nothing",
                "mend the system first; the API server has to reach the Service's pods",
            )
        address, port = service["spec"]["clusterIP"], routes[0].port
        return {
            "namespace": self.namespace,
            "service": snapshot(service),
            "uid": targets[0].uid,
            "before": asdict(before.latency),
            "pod": vantage(client, self.namespace, address, port).pod,
            "address": address,
            "port": port,
        }

    def prepare(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Deploy the proxy, wait until it is ready, and turn its switch on; the Service does not lead to it yet.

        Raises:
            FaultError: it did not get ready.
        """
        service, front = self._existing(client), self.front
        pods = _pods(client, self.namespace, service["spec"]["selector"])
        routes = routes_of(service, pods[0])
        guarded = isolating(client, self.namespace, {str(pod["metadata"]["uid"]) for pod in pods}, "Ingress")
        origin = self._make(client, SERVICES, front.origin_service(service, routes))
        for policy in front.policies(service, routes, guarded):
            self._make(client, NETWORK_POLICIES, policy)
        self._make(client, DEPLOYMENTS, front.deployment(routes, origin["spec"]["clusterIP"], self.image))
        proxy = wait_for(lambda: _ready(client, front), READY_SECONDS_MAX)
        if proxy is None:
            raise FaultError(
                f"the fault proxy was not ready within {READY_SECONDS_MAX:g} s",
                f"build image {self.image} from services/fault-proxy, and see its pod's events",
            )
        seed = random.randrange(2**31) if self.faults.seed is None else self.faults.seed  # noqa: S311
        extra = {"abort_rate": self.faults.abort_rate, "error_statuses": list(self.faults.error_statuses)}
        switches.turn_on(client, self.namespace, proxy, self.faults.body(seed, self.faults.seconds_max) | extra)

    def inject(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Lead the Service to the proxy."""
        service = self._existing(client)
        routes = routes_of(service, _pods(client, self.namespace, service["spec"]["selector"])[0])
        body = self.front.repointed(service, routes)
        client.api.send("PATCH", SERVICES.path(self.namespace, self.service), body, content_type=MERGE)

    def prove(self, client: KubeClient, targets: tuple[Target, ...], state: State) -> Proof:
        """Wait until the Service leads to the proxy only, then send requests through it until they show the faults."""
        front = self.front
        if not wait_for(lambda: _leads_to_proxy(client, front, only=True), ROUTED_SECONDS_MAX):
            return Proof(False, f"Service {self.service} did not lead to the proxy within {ROUTED_SECONDS_MAX:g} s")
        shown = proof_of(self.faults, Latency(**state["before"]), lambda requests, _: self._sound(client, requests, _))
        if not shown.proved:
            return shown
        proxy = _ready(client, front)
        counts = switches.read(client, self.namespace, proxy)["counts"] if proxy else {}
        if not proxy or counts.get("unreachable"):
            lost = counts.get("unreachable", "all")
            return Proof(False, f"{shown.evidence}; but the proxy could not pass on {lost} requests")
        source = (self.namespace, str(state["pod"]))
        if source[1] and reach(client, source, state["address"], state["port"]) is Reach.FAILED:
            return Proof(False, f"{shown.evidence}; but pod {source[1]} cannot connect to the Service any more")
        return shown

    @staticmethod
    def heal(client: KubeClient, state: State) -> str:
        """Lead the Service back, wait until nothing comes to the proxy, and remove what was made."""
        kept = state["service"]
        front = Front(state["namespace"], kept["metadata"]["name"])
        told = _lead_back(client, front, kept, state["uid"])
        if not wait_for(lambda: not _leads_to_proxy(client, front, only=False), ROUTED_SECONDS_MAX):
            raise HealError(
                f"{told}; but its endpoints are still the proxy's after {ROUTED_SECONDS_MAX:g} s",
                "run `flametest undo`",
            )
        remove(client, DEPLOYMENTS, front.namespace, front.proxy, seconds_max=GONE_SECONDS_MAX)
        if not wait_for(lambda: not _pods_of_proxy(client, front), GONE_SECONDS_MAX):
            raise HealError(
                f"{told}; but the proxy's pods are still there after {GONE_SECONDS_MAX:g} s", "run `flametest undo`"
            )
        remove(client, SERVICES, front.namespace, front.origin, seconds_max=GONE_SECONDS_MAX)
        for name in (front.proxy, front.origin):
            remove(client, NETWORK_POLICIES, front.namespace, name, seconds_max=GONE_SECONDS_MAX)
        return f"{told}; the fault proxy, its Service and its policies are removed"

    def _existing(self, client: KubeClient) -> Object:
        return existing(client, SERVICES, self.namespace, self.service)

    def _check_free(self, client: KubeClient) -> None:
        """Raise FaultError if something bears a name of the proxy's: it is nobody's, so healing must not remove it."""
        front = self.front
        policies = [(NETWORK_POLICIES, name) for name in (front.proxy, front.origin)]
        for resource, name in ((DEPLOYMENTS, front.proxy), (SERVICES, front.origin), *policies):
            if find(client.api, resource, self.namespace, name) is not None:
                raise FaultError(
                    f"{resource.kind} {name} is there already",
                    f"run `flametest undo`, or kubectl -n {self.namespace} delete {resource.plural} {name}",
                )

    def _sound(self, client: KubeClient, requests: int, senders: int = 4) -> Sounding:
        ports = self._existing(client)["spec"]["ports"]
        # A port without a name is the only one, and is asked for without one.
        name = str(ports[0].get("name") or ports[0]["port"])
        return sound(client, [service_proxy(self.namespace, self.service, name)], requests, senders)

    def _make(self, client: KubeClient, resource: Resource, obj: Object) -> Object:
        try:
            return client.api.send("POST", resource.path(self.namespace), obj)
        except ConflictError as error:
            raise FaultError(
                f"{resource.kind} {obj['metadata']['name']} is there already: {error.told}",
                "run `flametest undo` first",
            ) from error


def _lead_back(client: KubeClient, front: Front, kept: Object, uid: str) -> str:
    title = f"Service {front.service}"
    found = standing(client, SERVICES, front.namespace, front.service)
    if found is None:
        return f"{title} is gone"
    # One that was removed and created again by a later fault leads to the proxy still, under another uid.
    if not same(found, uid) and not front.leads(found):
        return f"{title} was recreated by somebody else meanwhile, and is left so"
    if found["spec"] == kept["spec"]:
        return f"{title} leads to where it did"
    if not front.leads(found):
        return f"{title} was changed by somebody else meanwhile, and is left so"
    read = change(
        client,
        SERVICES,
        found,
        lambda service: front.restored(kept) if front.leads(service) else None,
        lambda service: ["it leads to the fault proxy"] if front.leads(service) else [],
    )
    if others := differences(kept["spec"], read["spec"]):
        return f"{title} leads to its own pods again; somebody else has changed it meanwhile: {'; '.join(others)}"
    return f"{title} leads to its own pods again"


def _pods(client: KubeClient, namespace: str, selector: Object | None) -> list[Object]:
    pods = client.api.listed(PODS.path(namespace)).items
    return switches.running([pod for pod in pods if selects(selector, pod["metadata"].get("labels"))])


def _pods_of_proxy(client: KubeClient, front: Front) -> list[Object]:
    return client.api.listed(PODS.path(front.namespace), {"labelSelector": f"app={front.proxy}"}).items


def _ready(client: KubeClient, front: Front) -> str:
    """Return the name of a proxy's pod that is ready; empty for none."""
    for pod in switches.running(_pods_of_proxy(client, front)):
        if any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions") or []):
            return str(pod["metadata"]["name"])
    return ""


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
