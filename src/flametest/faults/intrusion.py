"""Send an intruder: a pod that no policy knows, which tries to connect to pods that are to admit their clients only.

What is tested is the isolation, so a connection that is made is a weakness and no failure of this fault. The fault is
proved by what the intruder can do: it connects to the app that admits everybody, so that it has a network at all, and
something listens at each of the isolated apps' ports: their nodes' own probes connect there, or another pod does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from flametest.faults.admission import likely_callers
from flametest.faults.apps import find_app
from flametest.faults.connection import Reach, Reached, is_probed, ready_pods, try_to_reach, vantage
from flametest.faults.errors import FaultError
from flametest.faults.helper_pod import helper_pod
from flametest.faults.protocol import Proof, State
from flametest.faults.readback import remove
from flametest.faults.waiting import wait_for
from flametest.kube import KubeClient
from flametest.kube.errors import ConflictError
from flametest.kube.pods import is_ready
from flametest.kube.resources import PODS, Object
from flametest.kube.snapshots import find
from flametest.model.events import Target
from flametest.model.helperimage import helper_image

__all__ = ["INTRUDER", "Attempt", "Intrusion"]

INTRUDER = "flametest-intruder"
LIFETIME_SECONDS = 600  # the cluster itself ends an intruder that everybody has forgotten
READY_SECONDS_MAX = 60.0
GONE_SECONDS_MAX = 25.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """A connection that the intruder tried, to a port of an app's pod."""

    app: str
    port: int
    outcome: Reach


@dataclass(frozen=True, slots=True)
class Intrusion:
    """Try the port of each app in ``isolated``; ``admitting`` is an app with its port that admits everybody."""

    name: ClassVar[str] = "intrusion"
    lasts: ClassVar[bool] = True

    namespace: str
    isolated: Mapping[str, int]
    admitting: tuple[str, int]
    image: str = field(default_factory=helper_image)

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"let an intruder try to connect to {', '.join(sorted(self.isolated))}"

    def targets(self, client: KubeClient) -> tuple[Target, ...]:
        """Return the workloads whose pods the intruder tries to reach."""
        if not self.isolated:
            raise FaultError("no app is named, so nothing would be tried", "name the isolated apps with their ports")
        found = (find_app(client, self.namespace, app).targets for app in sorted(self.isolated))
        return tuple(dict.fromkeys(target for targets in found for target in targets))

    def record(self, client: KubeClient, targets: tuple[Target, ...]) -> State:
        """Return what is to be removed.

        Raises:
            FaultError: nothing is seen to listen at an app's port, so that an intruder's failure would prove nothing.
        """
        for app, port in sorted(self.isolated.items()):
            pods = find_app(client, self.namespace, app).pods
            if any(is_probed(pod, port) for pod in pods):
                continue
            likely = likely_callers(client, self.namespace, {str(pod["metadata"]["uid"]) for pod in pods})
            source = vantage(client, self.namespace, self._address(client, app), port, likely=likely)
            if not source.pod:
                raise FaultError(
                    f"no pod of namespace {self.namespace!r} is seen to connect to port {port} of {app}, so an "
                    f"intruder that cannot would prove nothing: {source.evidence}",
                    "fix the port, or the system",
                )
        if find(client.api, PODS, self.namespace, INTRUDER) is not None:
            # It is nobody's that this journal knows of, so healing must not remove it.
            raise FaultError(f"pod {INTRUDER} is there already", f"kubectl -n {self.namespace} delete pod {INTRUDER}")
        return {"namespace": self.namespace}

    def inject(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Start the intruder.

        Raises:
            FaultError: there is one already.
        """
        try:
            client.api.send("POST", PODS.path(self.namespace), self._pod())
        except ConflictError as error:
            raise FaultError(f"pod {INTRUDER} is there already", "run `flametest undo` first") from error

    def prove(self, client: KubeClient, targets: tuple[Target, ...], state: State) -> Proof:
        """Wait until the intruder runs, and return whether it can connect to the app that admits everybody."""
        app, port = self.admitting
        if not wait_for(lambda: self._is_ready(client), READY_SECONDS_MAX):
            return Proof(False, f"pod {INTRUDER} did not run within {READY_SECONDS_MAX:g} s (image {self.image})")
        reached = self._reach(client, app, port)
        if reached.outcome is Reach.UNKNOWN:
            return Proof(False, f"pod {INTRUDER} could not be asked to connect: {reached.reason}")
        if reached.outcome is Reach.CONNECTED:
            return Proof(True, f"pod {INTRUDER} runs and connects to port {port} of {app}, which admits everybody")
        return Proof(False, f"pod {INTRUDER} cannot even connect to port {port} of {app}, which should admit everybody")

    def attempts(self, client: KubeClient) -> tuple[Attempt, ...]:
        """Let the intruder try each isolated app once, and return what became of it; takes 2 s for each at most.

        Raises:
            KubeError: the API is unreachable or refused.
        """
        tried = sorted(self.isolated.items())
        return tuple(Attempt(app, port, self._reach(client, app, port).outcome) for app, port in tried)

    @staticmethod
    def heal(client: KubeClient, state: State) -> str:
        """Remove the intruder."""
        if remove(client, PODS, str(state["namespace"]), INTRUDER, seconds_max=GONE_SECONDS_MAX, at_once=True):
            return f"pod {INTRUDER} was removed"
        return f"pod {INTRUDER} is not there"

    def _reach(self, client: KubeClient, app: str, port: int) -> Reached:
        return try_to_reach(client, (self.namespace, INTRUDER), self._address(client, app), port)

    def _address(self, client: KubeClient, app: str) -> str:
        for pod in find_app(client, self.namespace, app).pods:
            if is_ready(pod):
                return str(pod["status"].get("podIP", ""))
        raise FaultError(f"no pod of {app} in namespace {self.namespace!r} is ready", "wait until one is, or fix it")

    def _is_ready(self, client: KubeClient) -> bool:
        return any(pod["metadata"]["name"] == INTRUDER for pod in ready_pods(client, self.namespace))

    def _pod(self) -> Object:
        container = {
            "name": "intruder",
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["sleep", str(LIFETIME_SECONDS)],
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "1", "memory": "64Mi"}},
        }
        labels = {"app": INTRUDER, "app.kubernetes.io/part-of": "flametest"}
        metadata = {"name": INTRUDER, "namespace": self.namespace, "labels": labels}
        return helper_pod(metadata, container, LIFETIME_SECONDS)
