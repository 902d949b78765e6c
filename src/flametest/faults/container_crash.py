"""Crash a container: a signal to its first process, sent from inside; Kubernetes starts the container again.

The kernel drops signals to the first process of a PID namespace that it has no handler for, SIGKILL included, when they
come from inside. So the signal is one that servers handle: SIGTERM by default. It is sent by the image's shell, or by
its program ``kill``; an image that has neither is found out, and refused, before anything is done.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

from flametest.faults.errors import FaultError
from flametest.faults.inside import container_spec
from flametest.faults.protocol import Proof, State
from flametest.faults.selection import PodSelection, foretold
from flametest.faults.waiting import wait_for
from flametest.kube import KubeClient
from flametest.kube.execute import Executed, execute
from flametest.kube.pods import default_container
from flametest.kube.resources import PODS, Object
from flametest.kube.snapshots import find
from flametest.model.events import Target

__all__ = ["ContainerCrash"]

PROOF_SECONDS_MAX = 45.0  # the process may drain first, and the kubelet waits longer after each crash
# How a command in a container ends that was sent off its signal: by itself, with the container before a code was told,
# or by the SIGKILL (128 + 9) that every process of a PID namespace gets when the first one ends.
SENT = (0, None, 137)


@dataclass(frozen=True, slots=True)
class ContainerCrash:
    """Send ``signal`` to process 1 of a container of the selected pods; without a name, of the pod's main one."""

    name: ClassVar[str] = "container_crash"
    lasts: ClassVar[bool] = False

    selection: PodSelection
    container: str = ""
    signal: str = "TERM"

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"crash a container by SIG{self.signal} in pods with {self.selection}"

    def targets(self, client: KubeClient) -> tuple[Target, ...]:
        """Return the pods that will be drawn."""
        if not (self.signal.isascii() and self.signal.isalnum()):
            raise FaultError(f"signal {self.signal!r} is no name of a signal", "use a name such as TERM or QUIT")
        return foretold(replace(self.selection, running=True), client)

    def record(self, client: KubeClient, targets: tuple[Target, ...]) -> State:
        """Return how often each container was restarted.

        Raises:
            FaultError: a pod has no such container, or nothing in that can send a signal. Of pods with the first
                one's image that is not asked, since it costs them a process, but found out by the first signal.
        """
        restarts: State = {}
        asked: set[str] = set()
        for target in targets:
            pod = find(client.api, PODS, target.namespace, target.name)
            image = self._image(pod) if pod is not None else ""
            # Where the first image cannot send one, nothing has been done yet when that shows.
            if pod is not None and asked and image not in asked:
                # Signal 0 is sent to nobody: it only shows whether one could be sent.
                self._send(client, target, self._container(pod), "0")
            asked.add(image)
            restarts[target.name] = self._restarts(pod)
        return restarts

    def inject(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Send the signal."""
        for target in targets:
            container = self._container(client.api.get(PODS.path(target.namespace, target.name)))
            done = self._send(client, target, container, self.signal, mutating=True)
            if done.code not in SENT:
                told = done.output.strip() or done.code
                raise FaultError(f"container {container} of pod {target.name} refused the signal: {told}")

    @staticmethod
    def _send(client: KubeClient, target: Target, container: str, signal: str, *, mutating: bool = False) -> Executed:
        """Return how sending a signal to a container's first process ended.

        Raises:
            FaultError: the image has no program that could, or the container does not run at that moment.
        """
        place = (target.namespace, target.name)
        for command in (["sh", "-c", f"kill -{signal} 1"], ["kill", f"-{signal}", "1"]):
            done = execute(client.api, place, command, container=container, mutating=mutating)
            if not done.refusal:
                return done
            if not done.is_program_missing:
                raise FaultError(
                    f"container {container} of pod {target.name} cannot be entered: {done.refusal}",
                    "wait until it runs",
                )
        raise FaultError(
            f"nothing in container {container} of pod {target.name} can send a signal, since its image has neither a "
            f"shell nor kill: {done.refusal}",
            "delete the pod instead, by terminate_pods; or give the image a shell",
        )

    def prove(self, client: KubeClient, targets: tuple[Target, ...], state: State) -> Proof:
        """Wait until the restart count of each container has grown."""

        def restarted(target: Target) -> bool:
            found = find(client.api, PODS, target.namespace, target.name)
            return self._restarts(found) > int(state[target.name])

        names = ", ".join(target.name for target in targets)
        if wait_for(lambda: all(restarted(target) for target in targets), PROOF_SECONDS_MAX):
            return Proof(True, f"the restart count of {names} has grown")
        return Proof(False, f"the restart count of {names} did not grow within {PROOF_SECONDS_MAX:g} s")

    @staticmethod
    def heal(client: KubeClient, state: State) -> str:
        """Return that there is nothing to do."""
        return "crashed containers are started again by Kubernetes"

    def _restarts(self, pod: Object | None) -> int:
        if pod is None:
            return 0
        container = self._container(pod)
        statuses = pod.get("status", {}).get("containerStatuses") or []
        return sum(int(one.get("restartCount", 0)) for one in statuses if one.get("name") == container)

    def _image(self, pod: Object) -> str:
        return str(container_spec(pod, self._container(pod)).get("image", ""))

    def _container(self, pod: Object) -> str:
        names = [str(one["name"]) for one in pod["spec"]["containers"]]
        if self.container and self.container not in names:
            raise FaultError(
                f"pod {pod['metadata']['name']} has no container {self.container!r}", f"use one of: {', '.join(names)}"
            )
        return self.container or default_container(pod)
