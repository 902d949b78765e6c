"""Take a dependency away: its workload is scaled to no pod at all, so that its Services have no endpoint."""

from dataclasses import dataclass
from typing import ClassVar

from flametest.faults.protocol import Proof, State
from flametest.faults.scaling import Scaling
from flametest.faults.waiting import wait_for
from flametest.faults.workloads import WORKLOADS, existing, pods_of, ready_endpoints
from flametest.kube import KubeClient
from flametest.kube.resources import DEPLOYMENTS
from flametest.model.events import Target

__all__ = ["DependencyOutage"]

PROOF_SECONDS_MAX = 45.0


@dataclass(frozen=True, slots=True)
class DependencyOutage:
    """Scale ``workload`` to 0 pods; ``kind`` is StatefulSet or Deployment."""

    name: ClassVar[str] = "dependency_outage"
    lasts: ClassVar[bool] = True

    namespace: str
    workload: str
    kind: str = "StatefulSet"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"take {self.kind} {self.workload} away"

    def targets(self, client: KubeClient) -> tuple[Target, ...]:
        """Return the workload."""
        return self._scaling().targets(client)

    def record(self, client: KubeClient, targets: tuple[Target, ...]) -> State:
        """Return the number of pods that it has."""
        return self._scaling().record(client, targets)

    def inject(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Set the number of pods to 0."""
        self._scaling().inject(client, targets)

    def prove(self, client: KubeClient, targets: tuple[Target, ...], state: State) -> Proof:
        """Wait until no Service that selects its pods has a ready endpoint.

        Of a Deployment its pods have to be gone as well: it starts new ones while old ones still end, and two servers
        on the same files would harm these. A StatefulSet waits by itself.
        """
        workload = existing(client, WORKLOADS[self.kind], self.namespace, self.workload)

        def without_endpoint() -> str:
            counts = ready_endpoints(client, workload)
            if any(counts.values()) or (self.kind == DEPLOYMENTS.kind and pods_of(client, workload)):
                return ""
            return ", ".join(counts)

        seen = wait_for(lambda: without_endpoint() or None, PROOF_SECONDS_MAX)
        if seen:
            return Proof(True, f"Service {seen} has no ready endpoint")
        reason = f"{self.workload} still had endpoints or pods after {PROOF_SECONDS_MAX:g} s, or no Service selects it"
        return Proof(False, reason)

    @staticmethod
    def heal(client: KubeClient, state: State) -> str:
        """Set the number of pods that it had, unless somebody else has set another one meanwhile."""
        return Scaling.heal(client, state)

    def _scaling(self) -> Scaling:
        return Scaling(self.namespace, self.workload, 0, self.kind)
