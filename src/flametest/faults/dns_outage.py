"""No names for an app's pods: a NetworkPolicy that lets them connect to everything but port 53.

Connections by address go on, so this is what an outage of the cluster's DNS is to one app. Policies add to what is
allowed, so it cannot be done where another one limits what these pods connect to: that one would admit DNS still.

Names are asked for inside one of the pods, since the policy is about these alone: once before the fault, and after it
until there is no answer.
"""

from dataclasses import dataclass
from typing import ClassVar

from flametest.faults.apps import App, find_app
from flametest.faults.errors import FaultError
from flametest.faults.policies import isolating
from flametest.faults.protocol import Proof, State
from flametest.faults.readback import remove
from flametest.faults.waiting import wait_for
from flametest.kube import KubeClient
from flametest.kube.errors import ConflictError, KubeError
from flametest.kube.execute import execute
from flametest.kube.pods import is_ready
from flametest.kube.resources import NETWORK_POLICIES, SERVICES, Object
from flametest.kube.snapshots import find
from flametest.model.events import Target
from flametest.model.plurals import counted

__all__ = ["DnsOutage"]

DNS_PORT = 53
PORT_MAX = 65535
PROOF_SECONDS_MAX = 15.0
GONE_SECONDS_MAX = 25.0
NAME_CHARACTERS_MAX = 63
_NOT_FOUND = 127
# It runs beside the service and within its limits: Python takes ten times the processor that a small program takes.
_SCRIPT = f"""
if command -v getent >/dev/null && command -v timeout >/dev/null; then timeout 3 getent hosts "$1" >/dev/null
elif command -v python3 >/dev/null; then
  exec python3 -c 'import signal, socket, sys; signal.alarm(3); socket.getaddrinfo(sys.argv[1], 80)' "$1" 2>/dev/null
elif command -v nslookup >/dev/null; then timeout 3 nslookup "$1" >/dev/null 2>&1
else exit {_NOT_FOUND}; fi
"""


@dataclass(frozen=True, slots=True)
class DnsOutage:
    """Let the pods of ``app`` (see `flametest.faults.apps`) resolve no names."""

    name: ClassVar[str] = "dns_outage"
    lasts: ClassVar[bool] = True

    namespace: str
    app: str

    @property
    def title(self) -> str:
        """Return what it does."""
        return f"let the pods of {self.app} resolve no names"

    @property
    def policy(self) -> str:
        """Return the name of the policy."""
        return f"flametest-no-dns-{self.app}"

    def targets(self, client: KubeClient) -> tuple[Target, ...]:
        """Return the workloads whose pods are meant.

        Raises:
            FaultError: there is no such app, it has no live pod, or pods of others would be meant as well.
        """
        if len(self.policy) > NAME_CHARACTERS_MAX:
            raise FaultError(f"{self.policy!r} is longer than {NAME_CHARACTERS_MAX} characters", "use a shorter name")
        return self._found(client).targets

    def record(self, client: KubeClient, targets: tuple[Target, ...]) -> State:
        """Return the policy that is to be removed, and a pod that resolves a name now.

        Raises:
            FaultError: another policy limits what the pods connect to, or none of them resolves a name.
        """
        app = self._found(client)
        if others := isolating(client, self.namespace, {str(pod["metadata"]["uid"]) for pod in app.pods}, "Egress"):
            names = ", ".join(str(one["metadata"]["name"]) for one in others)
            raise FaultError(
                f"NetworkPolicy {names} already limits what the pods of {self.app} connect to, and no policy can "
                "forbid what another one allows",
                "choose an app without such a policy",
            )
        if find(client.api, NETWORK_POLICIES, self.namespace, self.policy) is not None:
            raise FaultError(f"NetworkPolicy {self.policy} is there already", "run `flametest undo` first")
        asked = f"{self._service(client)}.{self.namespace}.svc"
        told = []
        for pod in (str(pod["metadata"]["name"]) for pod in app.pods if is_ready(pod)):
            resolved, reason = _resolves(client, (self.namespace, pod), asked)
            if resolved:
                return {"namespace": self.namespace, "policy": self.policy, "pod": pod, "asked": asked}
            told.append(f"{pod}: {reason}")
        raise FaultError(
            f"no pod of {self.app} is seen to resolve {asked}, so that it cannot later would prove nothing: "
            f"{'; '.join(told) or 'none is ready'}",
            "fix the system; the container needs python3, getent or nslookup",
        )

    def inject(self, client: KubeClient, targets: tuple[Target, ...]) -> None:
        """Put the policy in force.

        Raises:
            FaultError: there is one of its name already.
        """
        try:
            client.api.send("POST", NETWORK_POLICIES.path(self.namespace), self._policy(self._found(client)))
        except ConflictError as error:
            raise FaultError(f"NetworkPolicy {self.policy} is there already", "run `flametest undo` first") from error

    def prove(self, client: KubeClient, targets: tuple[Target, ...], state: State) -> Proof:
        """Wait until the pod that resolved a name before does not."""
        pod, asked, last = str(state["pod"]), str(state["asked"]), [""]

        def silent() -> bool:
            resolved, last[0] = _resolves(client, (self.namespace, pod), asked)
            return resolved is False

        if wait_for(silent, PROOF_SECONDS_MAX):
            return Proof(True, f"pod {pod}, which could before, cannot resolve {asked}")
        return Proof(False, last[0] or f"pod {pod} still resolves {asked}: this network enforces no NetworkPolicy")

    @staticmethod
    def heal(client: KubeClient, state: State) -> str:
        """Remove the policy."""
        namespace, policy = str(state["namespace"]), str(state["policy"])
        if remove(client, NETWORK_POLICIES, namespace, policy, seconds_max=GONE_SECONDS_MAX):
            return f"NetworkPolicy {policy} is removed"
        return f"NetworkPolicy {policy} is not there"

    def _found(self, client: KubeClient) -> App:
        app = find_app(client, self.namespace, self.app)
        if not app.pods:
            raise FaultError(f"no pod of {self.app} in namespace {self.namespace!r} lives", "wait until one does")
        if app.strangers and not app.by_label:
            raise FaultError(
                f"the selector of {self.app} selects {counted(len(app.strangers), 'pod')} not its own as well, and a "
                "NetworkPolicy would take names from them too",
                f"give the pods of {self.app} a label of their own, and select them by it",
            )
        return app

    def _service(self, client: KubeClient) -> str:
        names = sorted(str(one["metadata"]["name"]) for one in client.api.listed(SERVICES.path(self.namespace)).items)
        if not names:
            raise FaultError(f"namespace {self.namespace!r} holds no Service, so no name is there to ask for")
        return names[0]

    def _policy(self, app: App) -> Object:
        ports = [
            {"protocol": protocol, "port": first, "endPort": last}
            for protocol in ("TCP", "UDP")
            for first, last in ((1, DNS_PORT - 1), (DNS_PORT + 1, PORT_MAX))
        ]
        spec = {"podSelector": dict(app.selector), "policyTypes": ["Egress"], "egress": [{"ports": ports}]}
        metadata = {"name": self.policy, "namespace": self.namespace}
        return {
            "apiVersion": NETWORK_POLICIES.api_version,
            "kind": NETWORK_POLICIES.kind,
            "metadata": metadata,
            "spec": spec,
        }


def _resolves(client: KubeClient, pod: tuple[str, str], name: str) -> tuple[bool | None, str]:
    """Return whether a pod resolves a name; None when it cannot be asked, with the reason."""
    try:
        done = execute(client.api, pod, ["sh", "-c", _SCRIPT, "sh", name])
    except KubeError as error:
        return None, error.message
    if done.code == _NOT_FOUND or done.code is None:
        return None, f"pod {pod[1]} could not be asked: its image has neither python3 nor getent nor nslookup"
    return done.code == 0, "" if done.code == 0 else "it does not"
