"""Remove a Service, and create it again as it was: same address, same node ports, same everything that it specifies.

A Service that could not come back as it was is refused before anything is touched: the cluster gives the address of a
load balancer away with its Service, and deletes endpoints that were written by hand
(https://kubernetes.io/docs/concepts/services-networking/service/#services-without-selectors).
"""

from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from flametest.faults.connection import Reach, Reached
from flametest.faults.errors import FaultError, HealError
from flametest.faults.protocol import Proof, State
from flametest.faults.readback import same, standing
from flametest.faults.vantage_pod import VantagePod
from flametest.faults.waiting import wait_for
from flametest.faults.workloads import existing, target_of
from flametest.kube import KubeClient
from flametest.kube.errors import ConflictError
from flametest.kube.resources import SERVICES, Object
from flametest.kube.snapshots import differences, find, restore, snapshot
from flametest.model.events import Target

__all__ = ["ServiceRemoval"]

PROOF_SECONDS_MAX = 15.0
CREATE_TRIES_MAX = 5
NOT_AS_IT_WAS = (
    "callers that use its name find it; free what it had before and recreate it, or accept it as it is: "
    "`flametest undo --forget`"
)
_ASSIGNED = ("clusterIP", "clusterIPs", "healthCheckNodePort")


@dataclass(frozen=True, slots=True)
class ServiceRemoval:
    """Remove the Service ``service``."""

    name: ClassVar[str] = "service_removal"
    lasts: ClassVar[bool] = True

    namespace: str
    service: str

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"remove Service {self.service}"

    def targets(self, client: KubeClient) -> tuple[Target, ...]:
        """Return the Service.

        Raises:
            FaultError: it would not come back as it was.
        """
        found = existing(client, SERVICES, self.namespace, self.service)
        _check_comes_back(found)
        return (target_of(found),)

    def record(self, client: KubeClient, targets: tuple[Target, ...]) -> State:
        """Return the Service as it is.

        Raises:
            FaultError: something bears the name of the pod that is to connect to it.
        """
        found = existing(client, SERVICES, self.namespace, self.service)
        self._vantage.check_free(client)
        address, port = _place(found) or ("", 0)
        return {
            "service": snapshot(found),
            "uid": targets[0].uid,
            "address": address,
            "port": port,
            "vantage": self._vantage.subject,
        }

    def prepare(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Start a pod that connects to it; where that cannot, what the API says is the proof."""
        found = existing(client, SERVICES, self.namespace, self.service)
        if place := _place(found):
            self._vantage.start(client, place, {"matchLabels": found["spec"].get("selector") or {}})

    def inject(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Delete it."""
        client.api.send("DELETE", SERVICES.path(self.namespace, self.service))

    def prove(self, client: KubeClient, targets: tuple[Target, ...], state: State) -> Proof:
        """Wait until the API answers 404 and a pod of Flametest's own, which could connect, cannot any more.

        Where the network accepts connections that nobody serves, what the API says is the proof.
        """
        if (
            wait_for(lambda: find(client.api, SERVICES, self.namespace, self.service) is None, PROOF_SECONDS_MAX)
            is None
        ):
            return Proof(False, f"the API still has Service {self.service} after {PROOF_SECONDS_MAX:g} s")
        absent = f"the API answers 404 for Service {self.service}"
        if not state["port"]:
            return Proof(True, f"{absent}; no connection was tried, since it had no address or no port")
        pod, place = self._vantage.name, f"{state['address']}:{state['port']}"
        last = [Reached(Reach.UNKNOWN)]

        def decided() -> bool:
            last[0] = self._vantage.seen(client)
            return last[0].outcome is not Reach.CONNECTED or last[0].by_anybody

        if not wait_for(decided, PROOF_SECONDS_MAX):
            return Proof(False, f"{absent}, but pod {pod} still connects to {place}")
        if last[0].by_anybody:
            return Proof(
                True, f"{absent}; a connection would prove nothing: this network accepts those that nobody serves, too"
            )
        if last[0].outcome is Reach.UNKNOWN:
            return Proof(True, f"{absent}; no connection was tried, since none was seen before ({last[0].reason})")
        return Proof(True, f"{absent}, and pod {pod}, which could before, cannot connect to {place}")

    @staticmethod
    def heal(client: KubeClient, state: State) -> str:
        """Create it again, unless somebody else has done so; then read it, and compare it with what it was."""
        try:
            return _recreated(client, state)
        finally:
            if subject := str(state.get("vantage", "")):  # old records know none
                VantagePod(state["service"]["metadata"]["namespace"], subject).remove(client)

    @property
    def _vantage(self) -> VantagePod:
        return VantagePod(self.namespace, f"{self.name.replace('_', '-')}-{self.service}")


def _recreated(client: KubeClient, state: State) -> str:
    """Create a Service again, and return what was done; raises as `ServiceRemoval.heal` does."""
    kept, uid = state["service"], str(state["uid"])
    namespace, name = kept["metadata"]["namespace"], kept["metadata"]["name"]
    title = f"Service {name}"
    for _ in range(CREATE_TRIES_MAX):
        found = standing(client, SERVICES, namespace, name)
        if found is not None:
            return _told_existing(kept, uid, found)
        with suppress(ConflictError):  # somebody else was quicker, or an older one is not quite gone
            made = restore(client.api, SERVICES, kept)
            read = find(client.api, SERVICES, namespace, name)
            if read is not None and same(read, made["metadata"]["uid"]):
                return _told_created(kept, read)
    raise HealError(f"{title} could not be created again: it was deleted each time", "see who deletes it")


def _place(service: Object) -> tuple[str, int] | None:
    """Return where a Service is connected to; None where it has no address or no port."""
    address, ports = service["spec"].get("clusterIP", ""), service["spec"].get("ports") or []
    tcp = [int(one["port"]) for one in ports if one.get("protocol", "TCP") == "TCP"]
    return (str(address), tcp[0]) if tcp and address not in (None, "", "None") else None


def _check_comes_back(service: Object) -> None:
    name, spec = service["metadata"]["name"], service["spec"]
    balancer = [one.get("ip") or one.get("hostname") for one in _ingress(service)]
    if spec.get("type") == "LoadBalancer" and balancer:
        raise FaultError(
            f"Service {name} has the load balancer address {', '.join(map(str, balancer))}, which the cluster releases "
            "when the Service is removed, so that healing could not restore it",
            "make its workload unavailable with inject_dependency_outage, disturb its requests with inject_edge, or "
            "remove a Service without a load balancer",
        )
    if not spec.get("selector") and spec.get("type") != "ExternalName":
        raise FaultError(
            f"Service {name} has no selector: its endpoints were written by hand, and the cluster deletes them with "
            "the Service, so that healing could not restore them",
            "remove a Service with a selector",
        )


def _ingress(service: Object) -> list[Object]:
    return list(((service.get("status") or {}).get("loadBalancer") or {}).get("ingress") or [])


def _told_created(kept: Object, read: Object) -> str:
    """Return what a Service is that was created just now, as it was read.

    Raises:
        HealError: it is not as it was.
    """
    title = f"Service {kept['metadata']['name']}"
    if differing := (*differences(_written(kept), _written(read)), *_assigned_anew(kept, read)):
        raise HealError(f"{title} was created again, but not as it was: {'; '.join(differing)}", NOT_AS_IT_WAS)
    return f"{title} was created again as it was, {_where(read)}"


def _told_existing(kept: Object, uid: str, found: Object) -> str:
    """Return what a Service is that stands: the one of before, or one that somebody else, or an earlier try, has made.

    Raises:
        HealError: it is as it was but for what the cluster assigns, so that it answers elsewhere than before.
    """
    title = f"Service {kept['metadata']['name']}"
    anew = not same(found, uid)
    changed = differences(_written(kept), _written(found))
    if changed:
        did = "recreated" if anew else "changed"
        return f"{title} was {did} by somebody else in the meantime, and is left as it is: {'; '.join(changed)}"
    if differing := _assigned_anew(kept, found):
        raise HealError(f"{title} is there, but not as it was: {'; '.join(differing)}", NOT_AS_IT_WAS)
    return f"{title} is there{' again' if anew else ''}, as it was, {_where(found)}"


def _assigned_anew(kept: Object, found: Object) -> tuple[str, ...]:
    """Return how what the cluster assigns, when nobody names it, differs."""
    return differences(_assigned(kept), _assigned(found))


def _where(service: Object) -> str:
    address = service["spec"].get("clusterIP")
    return f"at its address {address}" if address not in (None, "", "None") else "without an address, as before"


def _assigned(service: Object) -> Object:
    """Return the fields of the specification that the cluster assigns, when nobody names them."""
    spec = service["spec"]
    node_ports = [{"nodePort": port.get("nodePort")} for port in spec.get("ports") or []]
    return {key: spec.get(key) for key in _ASSIGNED} | {"ports": node_ports}


def _written(service: Object) -> Object:
    """Return the other fields: what people write."""
    spec = {key: value for key, value in service["spec"].items() if key not in _ASSIGNED}
    ports = [{key: value for key, value in port.items() if key != "nodePort"} for port in spec.get("ports") or []]
    return spec | {"ports": ports}
