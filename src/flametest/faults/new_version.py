"""Roll out a new version of a Deployment: another image, a further variable, an annotation; rolled back to heal.

That is what every deployment does to users, several times a week, and nobody should notice. The new version serves
until it is healed, and the way back is a rollout as well.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar

from flametest.faults.errors import FaultError
from flametest.faults.protocol import Proof, State
from flametest.faults.readback import change, gone, standing
from flametest.faults.rolling_restart import is_complete, live_uids
from flametest.faults.waiting import wait_for
from flametest.faults.workloads import existing, target_of
from flametest.kube import KubeClient
from flametest.kube.api import MERGE
from flametest.kube.errors import ConflictError
from flametest.kube.resources import DEPLOYMENTS, Object
from flametest.model.events import Target

__all__ = ["NewVersion"]

PROOF_SECONDS_MAX = 120.0  # pods are replaced one after another, each as slow as it starts and ends
TRIES_MAX = 10


@dataclass(frozen=True, slots=True)
class NewVersion:
    """Give a Deployment's first container an image or variables, or its pods annotations, and await the rollout.

    Attributes:
        namespace: where it is.
        deployment: its name.
        image: of its first container; empty to leave that.
        environment: variables that its first container does not have yet.
        annotations: of its pods.
    """

    name: ClassVar[str] = "new_version"
    lasts: ClassVar[bool] = True

    namespace: str
    deployment: str
    image: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def title(self) -> str:
        """Return what it does."""
        what = [f"image {self.image}"] if self.image else []
        what += [f"{name}={value}" for name, value in {**self.environment, **self.annotations}.items()]
        return f"roll out a new version of Deployment {self.deployment} with {', '.join(what)}"

    def targets(self, client: KubeClient) -> tuple[Target, ...]:
        """Return the Deployment."""
        if not (self.image or self.environment or self.annotations):
            raise FaultError("nothing is to be new", "name an image, environment or annotations")
        return (target_of(self._found(client)),)

    def record(self, client: KubeClient, targets: tuple[Target, ...]) -> State:
        """Return what it was before, and the uids of its pods; of variables names only, since values may be secret.

        Raises:
            FaultError: it would not be rolled out, or could not be rolled back.
        """
        found = self._found(client)
        if found["spec"].get("paused"):
            raise FaultError(
                f"Deployment {self.deployment} is paused, so that nothing is rolled out",
                f"run `kubectl rollout resume deployment {self.deployment}` first",
            )
        first = _first(found)
        if there := sorted({str(one["name"]) for one in first.get("env") or []} & set(self.environment)):
            raise FaultError(
                f"container {first['name']} of Deployment {self.deployment} has {', '.join(there)} already",
                "choose another name: what it was is not written to disk, and could not be put back",
            )
        if self.image and self.image == first.get("image"):
            raise FaultError(f"Deployment {self.deployment} has the image {self.image} already", "name another one")
        uids = sorted(live_uids(client, found))
        if not uids:
            raise FaultError(f"Deployment {self.deployment} has no pod to replace", "scale it up first")
        annotations = _annotations(found)
        return {
            "namespace": self.namespace,
            "name": self.deployment,
            "uid": targets[0].uid,
            "pods": uids,
            "container": first["name"],
            "image": {"before": first.get("image"), "left": self.image} if self.image else None,
            "environment": sorted(self.environment),
            "annotations": {
                name: {"before": annotations.get(name), "left": value} for name, value in self.annotations.items()
            },
        }

    def inject(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Change the pods' template, of the very version that was read: the patch names all containers."""
        path = DEPLOYMENTS.path(self.namespace, self.deployment)
        for _ in range(TRIES_MAX):
            found = self._found(client)
            patch = self._patch(found)
            patch["metadata"] = {"resourceVersion": found["metadata"].get("resourceVersion")}
            with suppress(ConflictError):  # its status has changed since
                client.api.send("PATCH", path, patch, content_type=MERGE)
                return
        raise FaultError(f"Deployment {self.deployment} changed at each of {TRIES_MAX} tries", "see who changes it")

    def prove(self, client: KubeClient, targets: tuple[Target, ...], state: State) -> Proof:
        """Wait until none of the former pods is there and all new ones are available."""
        former = frozenset(state["pods"])

        def rolled_out() -> bool:
            found = self._found(client)
            return is_complete(found) and not live_uids(client, found) & former

        if wait_for(rolled_out, PROOF_SECONDS_MAX):
            return Proof(True, f"all {len(former)} pods of Deployment {self.deployment} were replaced by new ones")
        left = len(live_uids(client, self._found(client)) & former)
        return Proof(
            False,
            f"the rollout of Deployment {self.deployment} was not complete within {PROOF_SECONDS_MAX:g} s: "
            f"{left} of {len(former)} former pods are there",
        )

    @staticmethod
    def heal(client: KubeClient, state: State) -> str:
        """Roll back what is as the fault has left it."""
        title = f"Deployment {state['name']}"
        found = standing(client, DEPLOYMENTS, state["namespace"], state["name"])
        if found is None or gone(found, state["uid"]):
            return f"{title} {gone(found, state['uid'])}"
        if not _left(found, state):
            return f"{title} has nothing of the new version"
        change(client, DEPLOYMENTS, found, lambda obj: _back(obj, state), lambda obj: _left(obj, state))
        return f"{title} was rolled back"

    def _patch(self, found: Object) -> Object:
        changed = dict(_first(found))
        if self.image:
            changed["image"] = self.image
        if self.environment:
            added = [{"name": name, "value": value} for name, value in self.environment.items()]
            changed["env"] = [*(changed.get("env") or []), *added]
        template: Object = {"spec": {"containers": [changed, *found["spec"]["template"]["spec"]["containers"][1:]]}}
        if self.annotations:
            template["metadata"] = {"annotations": dict(self.annotations)}
        return {"spec": {"template": template}}

    def _found(self, client: KubeClient) -> Object:
        return existing(client, DEPLOYMENTS, self.namespace, self.deployment)


def _first(deployment: Object) -> Object:
    found: Object = deployment["spec"]["template"]["spec"]["containers"][0]
    return found


def _annotations(deployment: Object) -> Mapping[str, str]:
    return deployment["spec"]["template"]["metadata"].get("annotations") or {}


def _container(deployment: Object, name: str) -> Object:
    containers = deployment["spec"]["template"]["spec"]["containers"]
    return next((one for one in containers if one["name"] == name), {})


def _left(deployment: Object, state: State) -> list[str]:
    """Return what of the new version a Deployment still shows; what somebody has changed since is not the fault's."""
    container, image = _container(deployment, state["container"]), state["image"]
    left = [f"it has the image {image['left']}"] if image and container.get("image") == image["left"] else []
    there = {str(one["name"]) for one in container.get("env") or []}
    left += [f"it has the variable {name}" for name in state["environment"] if name in there]
    now = _annotations(deployment)
    left += [
        f"its pods have the annotation {name}={one['left']}"
        for name, one in state["annotations"].items()
        if now.get(name) == one["left"]
    ]
    return left


def _back(deployment: Object, state: State) -> Object | None:
    """Return the merge patch that takes the new version back; None when nothing of it is there."""
    if not _left(deployment, state):
        return None
    containers = [
        _without(one, state) if one["name"] == state["container"] else one
        for one in deployment["spec"]["template"]["spec"]["containers"]
    ]
    now = _annotations(deployment)
    annotations = {name: one["before"] for name, one in state["annotations"].items() if now.get(name) == one["left"]}
    template: Object = {"spec": {"containers": containers}}
    if annotations:
        kept = {name for name in now if name not in annotations or annotations[name] is not None}
        template["metadata"] = {"annotations": annotations if kept else None}
    return {"spec": {"template": template}}


def _without(container: Object, state: State) -> Object:
    changed, image = dict(container), state["image"]
    if image and changed.get("image") == image["left"]:
        changed["image"] = image["before"]
    if state["environment"]:
        kept = [one for one in changed.get("env") or [] if one["name"] not in state["environment"]]
        if kept:
            changed["env"] = kept
        else:
            changed.pop("env", None)
    return changed
