"""Cut pods off: a NetworkPolicy that admits nobody, and nothing in the policies that would admit somebody.

Policies only ever add to what is allowed, so a policy that denies is not enough where another one allows: the rules of
those that select the same pods are emptied, and put back afterwards.
"""

from dataclasses import dataclass
from typing import ClassVar

from flametest.faults.admission import likely_callers
from flametest.faults.apps import App, find_app
from flametest.faults.connection import Reach, Reached, Vantage, try_to_reach, vantage
from flametest.faults.errors import FaultError
from flametest.faults.policies import admitting, deny, put_back
from flametest.faults.protocol import Proof, State
from flametest.faults.vantage_pod import VantagePod
from flametest.faults.waiting import wait_for
from flametest.faults.workloads import target_of
from flametest.kube import KubeClient
from flametest.kube.pods import is_ready
from flametest.kube.resources import NETWORK_POLICIES
from flametest.model.events import Target
from flametest.model.plurals import counted

__all__ = ["NetworkPartition"]

PROOF_SECONDS_MAX = 10.0
PODS_TOLD_MAX = 3


@dataclass(frozen=True, slots=True)
class _Source:
    """Which pod of the system connects to an address; an empty name for Flametest's own."""

    pod: str
    address: str


# By server, namespace and app: what was found before the injection, and is asked after it.
_sources: dict[tuple[str, str, str], _Source] = {}


@dataclass(frozen=True, slots=True)
class NetworkPartition:
    """Let no connection in to the pods of ``app`` (see `flametest.faults.apps`); ``port`` is tried for the proof."""

    name: ClassVar[str] = "network_partition"
    lasts: ClassVar[bool] = True

    namespace: str
    app: str
    port: int

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"let nobody connect to the pods of {self.app}"

    def targets(self, client: KubeClient) -> tuple[Target, ...]:
        """Return the workloads whose pods are cut off, and the policies whose rules will be emptied.

        Raises:
            FaultError: there is no such app, it has no live pod, or pods of others would be cut off with it.
        """
        app = self._found(client)
        policies = (one | {"kind": NETWORK_POLICIES.kind} for one in admitting(client, self.namespace, _uids(app)))
        return (*app.targets, *map(target_of, policies))

    def record(self, client: KubeClient, targets: tuple[Target, ...]) -> State:
        """Return the rules of the policies.

        Raises:
            FaultError: something bears the name of the pod that is to connect.
        """
        app = self._found(client)
        self._vantage.check_free(client)
        policies = admitting(client, self.namespace, _uids(app))
        return {
            "namespace": self.namespace,
            "app": self.app,
            "rules": {one["metadata"]["name"]: one["spec"]["ingress"] for one in policies},
            "uids": {one["metadata"]["name"]: one["metadata"]["uid"] for one in policies},
            "vantage": self._vantage.subject,
        }

    def prepare(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Start a pod that connects to one of the app's; where none can, find one of the system that does.

        Raises:
            FaultError: no pod can, so that a partition would prove nothing.
        """
        app = self._found(client)
        pod = next((one for one in app.pods if is_ready(one)), app.pods[0])
        address = str(pod["status"].get("podIP", ""))
        own = self._vantage.start(client, (address, self.port), app.selector)
        found = Vantage("", own.reason)
        if own.outcome is not Reach.CONNECTED:
            likely = likely_callers(client, self.namespace, _uids(app))
            found = vantage(client, self.namespace, address, self.port, likely=likely)
            if not found.pod:
                raise FaultError(
                    f"no pod of namespace {self.namespace!r} is seen to connect to port {self.port} of "
                    f"{pod['metadata']['name']}, so cutting it off would prove nothing: {found.evidence}; {own.reason}",
                    "fix the port, or the system",
                )
        _sources[self._key(client)] = _Source(found.pod, address)

    def inject(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Put the denying policy in force, then empty the others."""
        emptied = [target.name for target in targets if target.kind == NETWORK_POLICIES.kind]
        deny(client, self.namespace, self.app, self._found(client).selector, emptied)
        self._vantage.stop_admitting(client)

    def prove(self, client: KubeClient, targets: tuple[Target, ...], state: State) -> Proof:
        """Wait until the pod that could connect before cannot."""
        source = _sources[self._key(client)]
        pod, place = source.pod or self._vantage.name, f"{source.address}:{self.port}"
        last = [Reached(Reach.UNKNOWN)]

        def failed() -> bool:
            asked = (self.namespace, source.pod)
            last[0] = (
                try_to_reach(client, asked, source.address, self.port) if source.pod else self._vantage.seen(client)
            )
            return last[0].outcome is Reach.FAILED

        if not wait_for(failed, PROOF_SECONDS_MAX):
            if last[0].outcome is Reach.UNKNOWN:
                return Proof(False, f"pod {pod} could not be asked to connect to {place}: {last[0].reason}")
            return Proof(False, f"pod {pod} still connects to {place}: this network enforces no NetworkPolicy")
        return Proof(True, f"pod {pod}, which could before, cannot connect to {place}")

    @staticmethod
    def heal(client: KubeClient, state: State) -> str:
        """Put the rules back, then remove the denying policy."""
        try:
            return put_back(client, state["namespace"], state["app"], state["rules"], state.get("uids"))
        finally:
            if subject := str(state.get("vantage", "")):  # old records know none
                VantagePod(str(state["namespace"]), subject).remove(client)

    @property
    def _vantage(self) -> VantagePod:
        return VantagePod(self.namespace, f"partition-{self.app}")

    def _key(self, client: KubeClient) -> tuple[str, str, str]:
        return client.api.server, self.namespace, self.app

    def _found(self, client: KubeClient) -> App:
        app = find_app(client, self.namespace, self.app)
        if not app.pods:
            raise FaultError(
                f"no pod of {self.app} in namespace {self.namespace!r} lives, so there is nothing to cut off",
                "wait until one does; nothing was touched",
            )
        if app.strangers and not app.by_label:
            names = ", ".join(str(pod["metadata"]["name"]) for pod in app.strangers[:PODS_TOLD_MAX])
            raise FaultError(
                f"the selector of {self.app} selects {counted(len(app.strangers), 'pod')} not its own as well "
                f"({names}), and a NetworkPolicy would cut them off too",
                f"give the pods of {self.app} a label of their own, and select them by it",
            )
        return app


def _uids(app: App) -> frozenset[str]:
    return frozenset(str(pod["metadata"]["uid"]) for pod in app.pods)
