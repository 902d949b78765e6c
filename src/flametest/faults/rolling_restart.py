"""Restart a Deployment pod by pod, as ``kubectl rollout restart`` and every deployment of a new version do.

The annotation of the pod template changes, and nothing else. It stays, since taking it away would restart every pod
once more; so there is nothing to heal, and the Deployment ends what was begun by itself.
https://kubernetes.io/docs/reference/kubectl/generated/kubectl_rollout/kubectl_rollout_restart/
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar

from flametest.faults.errors import FaultError
from flametest.faults.protocol import Proof, State
from flametest.faults.waiting import wait_for
from flametest.faults.workloads import existing, pods_of, replicas_of, target_of
from flametest.kube import KubeClient
from flametest.kube.api import MERGE
from flametest.kube.pods import is_live
from flametest.kube.resources import DEPLOYMENTS, Object
from flametest.model.events import Target
from flametest.model.plurals import all_of, counted, were

__all__ = ["RollingRestart", "is_complete", "live_uids"]

PROOF_SECONDS_MAX = 120.0  # pods are replaced one after another, each as slow as it starts and ends
ANNOTATION = "kubectl.kubernetes.io/restartedAt"


@dataclass(frozen=True, slots=True)
class RollingRestart:
    """Replace every pod of ``deployment`` by its own strategy."""

    name: ClassVar[str] = "rolling_restart"
    lasts: ClassVar[bool] = False

    namespace: str
    deployment: str

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"restart Deployment {self.deployment} pod by pod"

    def targets(self, client: KubeClient) -> tuple[Target, ...]:
        """Return the Deployment."""
        return (target_of(self._found(client)),)

    def record(self, client: KubeClient, targets: tuple[Target, ...]) -> State:
        """Return the uids of the pods that are to be replaced.

        Raises:
            FaultError: nothing would be restarted.
        """
        found = self._found(client)
        if found["spec"].get("paused"):
            raise FaultError(
                f"Deployment {self.deployment} is paused, so that its pods are not replaced",
                f"run `kubectl rollout resume deployment {self.deployment}` first",
            )
        uids = sorted(live_uids(client, found))
        if not uids:
            raise FaultError(f"Deployment {self.deployment} has no pod to restart", "scale it up first")
        return {"pods": uids}

    def inject(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Change the annotation."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        patch = {"spec": {"template": {"metadata": {"annotations": {ANNOTATION: now}}}}}
        client.api.send("PATCH", DEPLOYMENTS.path(self.namespace, self.deployment), patch, content_type=MERGE)

    def prove(self, client: KubeClient, targets: tuple[Target, ...], state: State) -> Proof:
        """Wait until none of the former pods is there and all new ones are available."""
        former = frozenset(state["pods"])

        def left() -> frozenset[str]:
            return live_uids(client, self._found(client)) & former

        count, place = len(former), f"of Deployment {self.deployment}"
        if wait_for(lambda: is_complete(self._found(client)) and not left(), PROOF_SECONDS_MAX):
            return Proof(True, f"{all_of(count, 'pod')} {place} {were(count)} replaced")
        seen = f"{len(left())} of {counted(count, 'pod')} {place} {were(count)} not replaced"
        if not left():
            seen = f"the pods of Deployment {self.deployment} were replaced, and the new ones were not all available"
        return Proof(False, f"{seen} within {PROOF_SECONDS_MAX:g} s")

    @staticmethod
    def heal(client: KubeClient, state: State) -> str:
        """Return that there is nothing to do."""
        return "a restart is brought to its end by the Deployment itself"

    def _found(self, client: KubeClient) -> Object:
        return existing(client, DEPLOYMENTS, self.namespace, self.deployment)


def live_uids(client: KubeClient, deployment: Object) -> frozenset[str]:
    """Return the uids of a Deployment's pods that live."""
    return frozenset(str(pod["metadata"]["uid"]) for pod in pods_of(client, deployment) if is_live(pod))


def is_complete(deployment: Object) -> bool:
    """Return whether a rollout is over, by the same counts as ``kubectl rollout status``."""
    status, wanted = deployment.get("status") or {}, replicas_of(deployment)
    seen = int(status.get("observedGeneration", 0)) >= int(deployment["metadata"].get("generation", 0))
    counts = [int(status.get(name, 0)) for name in ("replicas", "updatedReplicas", "availableReplicas")]
    return seen and counts == [wanted] * 3
