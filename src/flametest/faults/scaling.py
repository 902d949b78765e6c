"""Scale a Deployment or StatefulSet to another number of pods; it heals to the number that it had."""

from dataclasses import dataclass
from typing import ClassVar

from flametest.faults.errors import FaultError
from flametest.faults.protocol import Proof, State
from flametest.faults.readback import change, gone, standing
from flametest.faults.waiting import wait_for
from flametest.faults.workloads import (
    WORKLOADS,
    acting_autoscaler,
    existing,
    replicas_of,
    set_replicas,
    target_of,
)
from flametest.kube import KubeClient
from flametest.kube.resources import Object
from flametest.model.events import Target
from flametest.model.plurals import counted

__all__ = ["Scaling"]

PROOF_SECONDS_MAX = 45.0


@dataclass(frozen=True, slots=True)
class Scaling:
    """Scale ``name`` to ``replicas`` pods; ``kind`` is Deployment or StatefulSet."""

    name: ClassVar[str] = "scaling"
    lasts: ClassVar[bool] = True

    namespace: str
    workload: str
    replicas: int
    kind: str = "Deployment"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"scale {self.kind} {self.workload} to {self.replicas}"

    def targets(self, client: KubeClient) -> tuple[Target, ...]:
        """Return the workload, whose number of pods nothing else may set."""
        workload = existing(client, WORKLOADS[self.kind], self.namespace, self.workload)
        if autoscaler := acting_autoscaler(client, workload):
            raise FaultError(
                f"HorizontalPodAutoscaler {autoscaler} sets how many pods {self.kind} {self.workload} has, so it would "
                "take the fault back",
                "delete pods of it instead, or give the autoscaler another minReplicas",
            )
        return (target_of(workload),)

    def grown_replicas(self, client: KubeClient) -> int:
        """Return the number of pods that it will have; 0 when it has as many already."""
        now = replicas_of(existing(client, WORKLOADS[self.kind], self.namespace, self.workload))
        return self.replicas if self.replicas > now else 0

    def record(self, client: KubeClient, targets: tuple[Target, ...]) -> State:
        """Return the number of pods that it has and will have."""
        before = replicas_of(existing(client, WORKLOADS[self.kind], self.namespace, self.workload))
        place = {"kind": self.kind, "namespace": self.namespace, "name": self.workload}
        return place | {"before": before, "injected": self.replicas, "uid": targets[0].uid}

    def inject(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Set the number of pods."""
        set_replicas(client, WORKLOADS[self.kind], (self.namespace, self.workload), self.replicas)

    def prove(self, client: KubeClient, targets: tuple[Target, ...], state: State) -> Proof:
        """Wait until exactly as many pods are ready."""

        def scaled() -> str:
            status = existing(client, WORKLOADS[self.kind], self.namespace, self.workload).get("status", {})
            counts = (int(status.get("replicas", 0)), int(status.get("readyReplicas", 0)))
            return f"{counts[1]} of {counts[0]} pods are ready" if counts == (self.replicas, self.replicas) else ""

        seen = wait_for(scaled, PROOF_SECONDS_MAX)
        if seen:
            return Proof(True, f"{self.kind} {self.workload}: {seen}, {state['before']} were wanted before")
        return Proof(
            False, f"{self.kind} {self.workload} had not {self.replicas} ready pods in {PROOF_SECONDS_MAX:g} s"
        )

    @staticmethod
    def heal(client: KubeClient, state: State) -> str:
        """Set the number of pods that it had, unless somebody else has set another one meanwhile."""
        resource, title = WORKLOADS[state["kind"]], f"{state['kind']} {state['name']}"
        before, injected = int(state["before"]), int(state["injected"])
        found = standing(client, resource, state["namespace"], state["name"])
        if found is None or gone(found, state["uid"]):
            return f"{title} {gone(found, state['uid'])}"
        if replicas_of(found) == before:
            return f"{title} is to have {counted(before, 'pod')}, as before"

        def left(obj: Object) -> bool:
            return replicas_of(obj) == injected != before

        read = change(
            client,
            resource,
            found,
            lambda obj: {"spec": {"replicas": before}} if left(obj) else None,
            lambda obj: [f"it is to have {counted(replicas_of(obj), 'pod')}, {before} before"] if left(obj) else [],
        )
        if replicas_of(read) != before:
            return (
                f"{title} was set to {replicas_of(read)} by somebody else in the meantime, and is left as it is; "
                f"it had {before}"
            )
        return f"{title} was set back from {injected} to {before}"
