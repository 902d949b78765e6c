"""Random errors and latency inside a service, by its own code hook: the fault switch on each pod's port 9090.

The switch is reached by the API server's pod proxy only; a NetworkPolicy shuts its port to all pods. Pods that start
while the fault lasts get it too. The proof is requests of its own, sent to the pods in the same way. Where policies
shut the API server out as well, as they may where it is on none of the pods' nodes, one of its own admits it meanwhile.
"""

import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import ClassVar

from flametest.faults.errors import FaultError
from flametest.faults.evidence import LATENCY_REQUESTS, Latency
from flametest.faults.http_faults import HttpFaults
from flametest.faults.protocol import Proof, State
from flametest.faults.server_access import ServerAccess, unreached
from flametest.faults.soundings import PATH, pod_proxy, proof_of, sound
from flametest.faults.switches import ADMIN_PORT, SWITCH, Follower, read, running, turn_off, turn_on
from flametest.faults.workloads import WORKLOADS, existing, pods_of, selects, target_of
from flametest.kube import KubeClient
from flametest.kube.errors import ApiRejectedError
from flametest.kube.resources import PODS, Object
from flametest.model.events import Target
from flametest.model.plurals import all_of

__all__ = ["RandomErrors"]

# What turns on switches in this process; another process that heals needs none of them.
_followers: dict[tuple[str, str, str, str], Follower] = {}
# The policies that are to admit the API server for faults whose switches this process has not touched yet: until then
# it must not turn them off, since they may be on by somebody else.
_access: dict[tuple[str, str, str, str], ServerAccess] = {}
# How quickly pods answered before, where that could be asked only once the API server was admitted.
_before: dict[tuple[str, str, str, str], Latency] = {}


@dataclass(frozen=True, slots=True)
class RandomErrors:
    """Do ``faults`` to the requests of every pod of ``workload``; ``kind`` is Deployment or StatefulSet."""

    name: ClassVar[str] = "random_errors"
    lasts: ClassVar[bool] = True

    namespace: str
    workload: str
    faults: HttpFaults = field(default_factory=HttpFaults)
    kind: str = "Deployment"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"{self.faults} in every pod of {self.kind} {self.workload}"

    def targets(self, client: KubeClient) -> tuple[Target, ...]:
        """Return the workload: all its pods are meant, those included that it will have."""
        self.faults.check()
        if self.faults.abort_rate or self.faults.error_statuses != (500,):
            raise FaultError(
                "a service's own switch knows errors of status 500 and latency only", "use the fault proxy"
            )
        workload = self._workload(client)
        if not running(pods_of(client, workload)):
            raise FaultError(f"{self.kind} {self.workload} has no pod that runs", "scale it up")
        return (target_of(workload),)

    def record(self, client: KubeClient, targets: tuple[Target, ...]) -> State:
        """Return which pods may have to be healed, and how quickly they answer now.

        Raises:
            FaultError: a pod has no switch, or one that is on already, or fails without it.
        """
        workload, pods = self._workload(client), self._running(client)
        _access.pop(self._key(client), None)  # of a fault that was not journalled
        access = self._wanted_access(client, workload, pods)
        place = {"namespace": self.namespace, "kind": self.kind, "workload": self.workload}
        state = place | {"labels": workload["spec"]["selector"]["matchLabels"]}
        if access is not None:
            _access[self._key(client)] = access
            return state | {"access": access.state}
        return state | {"before": asdict(self._looked_at(client, pods))}

    def prepare(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Admit the API server where policies shut it out.

        Raises:
            FaultError: it does not reach the pods even so; otherwise as `record`.
        """
        access = _access.get(self._key(client))
        if access is None:
            return
        pods = self._running(client)
        access.open(client)
        access.await_reached(client, [str(pod["metadata"]["name"]) for pod in pods], SWITCH)
        _before[self._key(client)] = self._looked_at(client, pods)

    def inject(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Turn the switches on, and those of pods that start later."""
        seed = random.randrange(2**31) if self.faults.seed is None else self.faults.seed  # noqa: S311
        until = time.monotonic() + self.faults.seconds_max
        seeds = iter(range(seed, 2**63))

        def switch(pod: Object) -> None:
            # Each pod draws for itself: pods that fail in step would not be what users meet.
            body = self.faults.body(next(seeds), max(until - time.monotonic(), 0.1))
            turn_on(client, self.namespace, pod["metadata"]["name"], body)

        follower = Follower(lambda: self._running(client), switch, until)
        _access.pop(self._key(client), None)
        _followers[self._key(client)] = follower
        follower.start()

    def prove(self, client: KubeClient, targets: tuple[Target, ...], state: State) -> Proof:
        """Send requests to the pods until they show the faults, or enough of them do not."""
        paths = self._paths(client)
        before = Latency(**state["before"]) if "before" in state else _before.pop(self._key(client))
        return proof_of(self.faults, before, lambda requests, senders: sound(client, paths, requests, senders))

    @staticmethod
    def heal(client: KubeClient, state: State) -> str:
        """Turn the switches of all pods off, and shut the API server out again where it was."""
        access = ServerAccess.of(state["access"]) if "access" in state else None
        key = _key(client, state["namespace"], state["kind"], state["workload"])
        if _access.pop(key, None) is not None:
            done = f"no fault switch of {state['kind']} {state['workload']} was turned on"
        else:
            if access is not None:
                access.open(client)  # somebody may have removed it
            done = _turned_off(client, state, _followers.pop(key, None))
        if access is not None:
            access.close(client)
            done += f"; NetworkPolicy {access.name} is removed"
        return done

    def _workload(self, client: KubeClient) -> Object:
        return existing(client, WORKLOADS[self.kind], self.namespace, self.workload)

    def _running(self, client: KubeClient) -> list[Object]:
        return running(pods_of(client, self._workload(client)))

    def _paths(self, client: KubeClient) -> list[str]:
        pods = self._running(client)
        return [pod_proxy(self.namespace, pod["metadata"]["name"], _service_port(pod), PATH) for pod in pods]

    def _key(self, client: KubeClient) -> tuple[str, str, str, str]:
        return _key(client, self.namespace, self.kind, self.workload)

    def _wanted_access(self, client: KubeClient, workload: Object, pods: Sequence[Object]) -> ServerAccess | None:
        """Return the policy that admits the API server, where it does not reach a pod because of others."""
        names = [str(pod["metadata"]["name"]) for pod in pods]
        if not any(unreached(client, self.namespace, name, ADMIN_PORT, SWITCH) for name in names):
            return None
        return ServerAccess.wanted(client, workload, pods, (ADMIN_PORT, *sorted({_service_port(pod) for pod in pods})))

    def _looked_at(self, client: KubeClient, pods: Sequence[Object]) -> Latency:
        """Return how quickly pods answer now, which must have switches that are off, and answer well."""
        for pod in pods:
            self._check_switch(client, pod["metadata"]["name"])
        before = sound(client, self._paths(client), LATENCY_REQUESTS)
        if before.failed:
            raise FaultError(
                f"{before.failed} of {before.requests} requests to {self.kind} {self.workload} fail without the fault, "
                "so it would prove nothing",
                "fix the system first",
            )
        return before.latency

    def _check_switch(self, client: KubeClient, pod: str) -> None:
        try:
            state = read(client, self.namespace, pod)
        except ApiRejectedError as error:
            raise FaultError(
                f"pod {pod} has no fault switch at port {ADMIN_PORT}: {error.told}",
                'set FAULTS_ENABLED to "true" in its manifest, and let the API server reach that port',
            ) from error
        if state.get("active"):
            raise FaultError(f"the fault switch of pod {pod} is on already", "run `flametest undo` first")


def _key(client: KubeClient, namespace: str, kind: str, workload: str) -> tuple[str, str, str, str]:
    return client.api.server, namespace, kind, workload


def _turned_off(client: KubeClient, state: State, follower: Follower | None) -> str:
    """Turn off the switches of all pods, and return what was done."""
    if follower is not None:
        follower.stop()
    namespace = state["namespace"]
    pods = client.api.listed(PODS.path(namespace)).items
    # Those that are terminating included: they still answer.
    ours = [pod for pod in pods if selects(state["labels"], pod["metadata"].get("labels"))]
    told = [turn_off(client, namespace, pod["metadata"]["name"]) for pod in ours if pod.get("status", {}).get("podIP")]
    failed = sum(int((one or {}).get("requests_failed", 0)) for one in told)
    delayed = sum(int((one or {}).get("requests_delayed", 0)) for one in told)
    missed = "".join(f"; pod {pod} never had it: {why}" for pod, why in (follower.missed if follower else {}).items())
    return (
        f"the fault switches of {all_of(len(told), 'pod')} of {state['kind']} {state['workload']} are off; "
        f"they had failed {failed} requests and delayed {delayed}{missed}"
    )


def _service_port(pod: Object) -> int:
    """Return the first port of a pod that is not the switch's."""
    ports = [port["containerPort"] for one in pod["spec"]["containers"] for port in one.get("ports") or []]
    return int(next((port for port in ports if port != ADMIN_PORT), 80))
