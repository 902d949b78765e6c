"""Roll out an image that does not exist: whether the old pods go on serving while the new ones cannot start."""

from dataclasses import dataclass
from typing import ClassVar

from flametest.faults.errors import FaultError
from flametest.faults.protocol import Proof, State
from flametest.faults.waiting import wait_for
from flametest.faults.workloads import existing, pods_of, target_of
from flametest.kube import KubeClient
from flametest.kube.api import MERGE
from flametest.kube.resources import DEPLOYMENTS, Object
from flametest.kube.snapshots import find
from flametest.model.events import Target

__all__ = ["BadRollout"]

PROOF_SECONDS_MAX = 45.0
# Names that end in .invalid never resolve: https://www.rfc-editor.org/rfc/rfc2606#section-2
IMAGE = "registry.invalid/flametest/no-such-image:0"
_REASONS = frozenset({"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"})


@dataclass(frozen=True, slots=True)
class BadRollout:
    """Give the first container of ``deployment`` an image that cannot be pulled."""

    name: ClassVar[str] = "bad_rollout"
    lasts: ClassVar[bool] = True

    namespace: str
    deployment: str
    image: str = IMAGE

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"roll out the image {self.image} in Deployment {self.deployment}"

    def targets(self, client: KubeClient) -> tuple[Target, ...]:
        """Return the Deployment."""
        return (target_of(self._found(client)),)

    def record(self, client: KubeClient, targets: tuple[Target, ...]) -> State:
        """Return the containers of its template as they are."""
        found = self._found(client)
        if found["spec"].get("strategy", {}).get("type") == "Recreate":
            raise FaultError(
                f"Deployment {self.deployment} stops its old pods before it starts new ones (strategy Recreate)",
                "a bad rollout of it is an outage; use a dependency outage for that",
            )
        place = {"namespace": self.namespace, "name": self.deployment, "uid": targets[0].uid}
        return place | {"containers": _containers(found), "image": self.image}

    def inject(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Change the image."""
        first, *others = _containers(self._found(client))
        _set_containers(client, (self.namespace, self.deployment), [first | {"image": self.image}, *others])

    def prove(self, client: KubeClient, targets: tuple[Target, ...], state: State) -> Proof:
        """Wait until a new pod cannot get its image, and count the old pods that are ready."""

        def stuck() -> str:
            found = self._found(client)
            reasons = sorted({reason for pod in pods_of(client, found) for reason in _waiting(pod)} & _REASONS)
            ready = int(found.get("status", {}).get("readyReplicas", 0))
            return f"a new pod waits for {reasons[0]}, {ready} old pods are ready" if reasons else ""

        seen = wait_for(lambda: stuck() or None, PROOF_SECONDS_MAX)
        return Proof(True, seen) if seen else Proof(False, f"no new pod failed to pull within {PROOF_SECONDS_MAX:g} s")

    @staticmethod
    def heal(client: KubeClient, state: State) -> str:
        """Put the containers back, unless somebody else has rolled out another image meanwhile."""
        title = f"Deployment {state['name']}"
        found = find(client.api, DEPLOYMENTS, state["namespace"], state["name"])
        if found is None or found["metadata"]["uid"] != state["uid"]:
            return f"{title} is gone or was made anew, so nothing is left to heal"
        now, before = _containers(found), state["containers"]
        if now == before:
            return f"{title} has the image {before[0].get('image')}, as before"
        if now[0].get("image") != state["image"]:
            return f"{title} was changed to the image {now[0].get('image')} by somebody else, and is left so"
        _set_containers(client, (state["namespace"], state["name"]), before)
        return f"{title} was set back to the image {before[0].get('image')}"

    def _found(self, client: KubeClient) -> Object:
        return existing(client, DEPLOYMENTS, self.namespace, self.deployment)


def _containers(deployment: Object) -> list[Object]:
    return list(deployment["spec"]["template"]["spec"]["containers"])


def _set_containers(client: KubeClient, target: tuple[str, str], containers: list[Object]) -> None:
    body = {"spec": {"template": {"spec": {"containers": containers}}}}
    client.api.send("PATCH", DEPLOYMENTS.path(*target), body, content_type=MERGE)


def _waiting(pod: Object) -> list[str]:
    statuses = pod.get("status", {}).get("containerStatuses") or []
    return [str(((one.get("state") or {}).get("waiting") or {}).get("reason", "")) for one in statuses]
