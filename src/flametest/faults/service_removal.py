"""Remove a Service, and make it again as it was: same node port, and same address if that is still free."""

from dataclasses import dataclass
from typing import ClassVar

from flametest.faults.connection import Reach, reach, vantage
from flametest.faults.protocol import Proof, State
from flametest.faults.waiting import wait_for
from flametest.faults.workloads import existing, target_of
from flametest.kube import KubeClient
from flametest.kube.resources import SERVICES
from flametest.kube.snapshots import find, restore, snapshot
from flametest.model.events import Target

__all__ = ["ServiceRemoval"]

PROOF_SECONDS_MAX = 15.0


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
        """Return the Service."""
        return (target_of(existing(client, SERVICES, self.namespace, self.service)),)

    def record(self, client: KubeClient, targets: tuple[Target, ...]) -> State:
        """Return the Service as it is, and a pod from which it can be reached."""
        found = existing(client, SERVICES, self.namespace, self.service)
        address, ports = found["spec"].get("clusterIP", ""), found["spec"].get("ports") or []
        port = int(ports[0]["port"]) if ports and address not in ("", "None") else 0
        pod = vantage(client, self.namespace, address, port) if port else ""
        return {"service": snapshot(found), "uid": targets[0].uid, "address": address, "port": port, "pod": pod}

    def inject(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Delete it."""
        client.api.send("DELETE", SERVICES.path(self.namespace, self.service))

    def prove(self, client: KubeClient, targets: tuple[Target, ...], state: State) -> Proof:
        """Wait until the API answers 404 and, from inside a pod that could, no connection can be made."""
        if (
            wait_for(lambda: find(client.api, SERVICES, self.namespace, self.service) is None, PROOF_SECONDS_MAX)
            is None
        ):
            return Proof(False, f"the API still has Service {self.service} after {PROOF_SECONDS_MAX:g} s")
        absent = f"the API answers 404 for Service {self.service}"
        if not state["pod"]:
            return Proof(True, f"{absent}; no pod could reach it before, so no connection was tried")
        place = f"{state['address']}:{state['port']}"
        pod = (self.namespace, str(state["pod"]))
        last = [Reach.UNKNOWN]

        def failed() -> bool:
            last[0] = reach(client, pod, state["address"], state["port"])
            return last[0] is not Reach.CONNECTED

        if not wait_for(failed, PROOF_SECONDS_MAX):
            return Proof(False, f"{absent}, but pod {pod[1]} still connects to {place}")
        if last[0] is Reach.UNKNOWN:
            return Proof(True, f"{absent}; pod {pod[1]} could not be asked to connect")
        return Proof(True, f"{absent}, and pod {pod[1]}, which could before, cannot connect to {place}")

    @staticmethod
    def heal(client: KubeClient, state: State) -> str:
        """Make it again, unless it, or one that somebody else has made meanwhile, is there."""
        kept = state["service"]
        made, fresh = restore(client.api, SERVICES, kept)
        title, address = f"Service {kept['metadata']['name']}", made["spec"].get("clusterIP", "")
        if not fresh:
            same = made["metadata"]["uid"] == state["uid"]
            return f"{title} {'is still there' if same else 'was made by somebody else meanwhile, and is left so'}"
        where = (
            f"at its address {address}"
            if address == state["address"]
            else f"at {address}; it was at {state['address']}"
        )
        return f"{title} was made again {where}"
