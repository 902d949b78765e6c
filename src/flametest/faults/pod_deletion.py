"""Delete pods: what guards chaostoolkit-kubernetes' ``terminate_pods``, and an action of its own.

That action draws from whatever the API lists; this one draws live pods only, and deletes exactly those that it showed.
"""

from dataclasses import dataclass
from typing import ClassVar

from flametest.faults.protocol import Proof, State
from flametest.faults.selection import PodSelection, foretold
from flametest.faults.waiting import wait_for
from flametest.kube import KubeClient
from flametest.kube.resources import PODS
from flametest.kube.snapshots import find
from flametest.model.events import Target

__all__ = ["PodDeletion"]

PROOF_SECONDS_MAX = 10.0


@dataclass(frozen=True, slots=True)
class PodDeletion:
    """Delete the selected pods; ``grace_seconds`` below 0 leaves each pod its own grace period, 0 forces."""

    name: ClassVar[str] = "pod_deletion"
    lasts: ClassVar[bool] = False

    selection: PodSelection
    grace_seconds: int = -1

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"delete pods with {self.selection}"

    def targets(self, client: KubeClient) -> tuple[Target, ...]:
        """Return the pods that will be drawn."""
        return foretold(self.selection, client)

    def record(self, client: KubeClient, targets: tuple[Target, ...]) -> State:
        """Return nothing: a controller replaces its pods by itself."""
        return {}

    def inject(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Delete the pods of these uids, and no others."""
        for target in targets:
            options: State = {"preconditions": {"uid": target.uid}}
            if self.grace_seconds >= 0:
                options["gracePeriodSeconds"] = self.grace_seconds
            client.api.send("DELETE", PODS.path(target.namespace, target.name), options)

    def prove(self, client: KubeClient, targets: tuple[Target, ...], state: State) -> Proof:
        """Wait until every one of these uids is gone or terminating."""

        def gone(target: Target) -> bool:
            found = find(client.api, PODS, target.namespace, target.name)
            metadata = found["metadata"] if found else {}
            return metadata.get("uid") != target.uid or bool(metadata.get("deletionTimestamp"))

        names = ", ".join(target.name for target in targets)
        if wait_for(lambda: all(gone(target) for target in targets), PROOF_SECONDS_MAX):
            return Proof(True, f"{names} terminating or gone")
        return Proof(False, f"not all of {names} went within {PROOF_SECONDS_MAX:g} s")

    @staticmethod
    def heal(client: KubeClient, state: State) -> str:
        """Return that there is nothing to do."""
        return "deleted pods are replaced by their controllers"
