"""Random errors and latency inside a service, by its own code hook: the fault switch on each pod's port 9090.

The switch is reached by the API server's pod proxy only; a NetworkPolicy shuts its port to all pods. Pods that start
while the fault lasts get it too. The proof is requests of its own, sent to the pods in the same way.
"""

import random
import time
from dataclasses import asdict, dataclass, field
from typing import ClassVar

from flametest.faults.errors import FaultError
from flametest.faults.evidence import LATENCY_REQUESTS, Latency
from flametest.faults.http_faults import HttpFaults
from flametest.faults.protocol import Proof, State
from flametest.faults.soundings import PATH, pod_proxy, proof_of, sound
from flametest.faults.switches import ADMIN_PORT, Follower, read, running, turn_off, turn_on
from flametest.faults.workloads import WORKLOADS, existing, pods_of, selects, target_of
from flametest.kube import KubeClient
from flametest.kube.errors import ApiRejectedError
from flametest.kube.resources import PODS, Object
from flametest.model.events import Target
from flametest.model.plurals import all_of

__all__ = ["RandomErrors"]

# What turns on switches in this process; another process that heals needs none of them.
_followers: dict[tuple[str, str, str, str], Follower] = {}


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
        workload = self._workload(client)
        for pod in self._running(client):
            self._check_switch(client, pod["metadata"]["name"])
        before = sound(client, self._paths(client), LATENCY_REQUESTS)
        if before.failed:
            raise FaultError(
                f"{before.failed} of {before.requests} requests to {self.kind} {self.workload} fail without the fault, "
                "so it would prove nothing",
                "fix the system first",
            )
        place = {"namespace": self.namespace, "kind": self.kind, "workload": self.workload}
        return place | {"labels": workload["spec"]["selector"]["matchLabels"], "before": asdict(before.latency)}

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
        _followers[_key(client, self.namespace, self.kind, self.workload)] = follower
        follower.start()

    def prove(self, client: KubeClient, targets: tuple[Target, ...], state: State) -> Proof:
        """Send requests to the pods until they show the faults, or enough of them do not."""
        paths = self._paths(client)
        return proof_of(
            self.faults, Latency(**state["before"]), lambda requests, senders: sound(client, paths, requests, senders)
        )

    @staticmethod
    def heal(client: KubeClient, state: State) -> str:
        """Turn the switches of all pods off."""
        namespace, kind, workload = state["namespace"], state["kind"], state["workload"]
        follower = _followers.pop(_key(client, namespace, kind, workload), None)
        if follower is not None:
            follower.stop()
        pods = client.api.listed(PODS.path(namespace)).items
        # Those that are terminating included: they still answer.
        ours = [pod for pod in pods if selects(state["labels"], pod["metadata"].get("labels"))]
        told = [
            turn_off(client, namespace, pod["metadata"]["name"]) for pod in ours if pod.get("status", {}).get("podIP")
        ]
        failed = sum(int((one or {}).get("requests_failed", 0)) for one in told)
        delayed = sum(int((one or {}).get("requests_delayed", 0)) for one in told)
        missed = "".join(
            f"; pod {pod} never had it: {why}" for pod, why in (follower.missed if follower else {}).items()
        )
        return (
            f"the fault switches of {all_of(len(told), 'pod')} of {kind} {workload} are off; "
            f"they had failed {failed} requests and delayed {delayed}{missed}"
        )

    def _workload(self, client: KubeClient) -> Object:
        return existing(client, WORKLOADS[self.kind], self.namespace, self.workload)

    def _running(self, client: KubeClient) -> list[Object]:
        return running(pods_of(client, self._workload(client)))

    def _paths(self, client: KubeClient) -> list[str]:
        pods = self._running(client)
        return [pod_proxy(self.namespace, pod["metadata"]["name"], _service_port(pod), PATH) for pod in pods]

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


def _service_port(pod: Object) -> int:
    """Return the first port of a pod that is not the switch's."""
    ports = [port["containerPort"] for one in pod["spec"]["containers"] for port in one.get("ports") or []]
    return int(next((port for port in ports if port != ADMIN_PORT), 80))
