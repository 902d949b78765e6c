"""Roll out an image that does not exist: whether the old pods go on serving while the new ones cannot start."""

from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from flametest.faults.errors import FaultError
from flametest.faults.protocol import Proof, State
from flametest.faults.readback import change, gone, standing
from flametest.faults.waiting import wait_for
from flametest.faults.workloads import existing, pods_of, target_of
from flametest.kube import KubeClient
from flametest.kube.api import MERGE
from flametest.kube.errors import ConflictError
from flametest.kube.resources import DEPLOYMENTS, Object
from flametest.model.events import Target

__all__ = ["BadRollout"]

PROOF_SECONDS_MAX = 45.0
TRIES_MAX = 10
# No registry listens at the node's own discard port, and no name is looked up, which takes a minute where a name server
# is silent. Source of the port: https://www.rfc-editor.org/rfc/rfc863
IMAGE = "127.0.0.1:9/flametest/no-such-image:0"
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
        """Return which container has which image; nothing else of the template, which may hold secrets."""
        found = self._found(client)
        if found["spec"].get("strategy", {}).get("type") == "Recreate":
            raise FaultError(
                f"Deployment {self.deployment} stops its old pods before it starts new ones (strategy Recreate)",
                "a bad rollout of it is an outage; use a dependency outage for that",
            )
        place = {"namespace": self.namespace, "name": self.deployment, "uid": targets[0].uid}
        first = _containers(found)[0]
        if first.get("image") == self.image:
            raise FaultError(f"Deployment {self.deployment} has the image {self.image} already", "heal that first")
        return place | {"container": first["name"], "before": first.get("image"), "image": self.image}

    def inject(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Change the image, of the very version that was read: the patch names all containers."""
        path = DEPLOYMENTS.path(self.namespace, self.deployment)
        for _ in range(TRIES_MAX):
            found = self._found(client)
            version = {"metadata": {"resourceVersion": found["metadata"].get("resourceVersion")}}
            body = _with_image(found, _containers(found)[0]["name"], self.image) | version
            with suppress(ConflictError):  # its status has changed since
                client.api.send("PATCH", path, body, content_type=MERGE)
                return
        raise FaultError(f"Deployment {self.deployment} changed at each of {TRIES_MAX} tries", "see who changes it")

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
        """Put the image back, unless somebody else has rolled out another one meanwhile."""
        title, name, before = f"Deployment {state['name']}", *_image_of(state)
        found = standing(client, DEPLOYMENTS, state["namespace"], state["name"])
        if found is None or gone(found, state["uid"]):
            return f"{title} {gone(found, state['uid'])}"
        if _image(found, name) == before:
            return f"{title} has the image {before}, as before"

        def left(obj: Object) -> bool:
            return _image(obj, name) == str(state["image"])

        read = change(
            client,
            DEPLOYMENTS,
            found,
            lambda obj: _with_image(obj, name, before) if left(obj) else None,
            lambda obj: [f"container {name} has the image {state['image']}, {before} before"] if left(obj) else [],
        )
        now = _image(read, name)
        if now != before:
            told = f"was changed to the image {now}" if now else f"has no container {name} any more: it was changed"
            return f"{title} {told} by somebody else in the meantime, and is left as it is"
        return f"{title} was set back to the image {before}"

    def _found(self, client: KubeClient) -> Object:
        return existing(client, DEPLOYMENTS, self.namespace, self.deployment)


def _containers(deployment: Object) -> list[Object]:
    return list(deployment["spec"]["template"]["spec"]["containers"])


def _image(deployment: Object, container: str) -> str | None:
    return next((one.get("image") for one in _containers(deployment) if one["name"] == container), None)


def _image_of(state: State) -> tuple[str, str]:
    """Return the container and the image that it had; records of older versions hold all containers instead."""
    first = (state.get("containers") or [{}])[0]
    return str(state.get("container", first.get("name"))), str(state.get("before", first.get("image")))


def _with_image(deployment: Object, container: str, image: str) -> Object:
    """Return the merge patch by which a container gets an image; such a patch names a list as a whole."""
    changed = [one | {"image": image} if one["name"] == container else one for one in _containers(deployment)]
    return {"spec": {"template": {"spec": {"containers": changed}}}}


def _waiting(pod: Object) -> list[str]:
    statuses = pod.get("status", {}).get("containerStatuses") or []
    return [str(((one.get("state") or {}).get("waiting") or {}).get("reason", "")) for one in statuses]
