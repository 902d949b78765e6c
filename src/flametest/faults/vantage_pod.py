"""A pod of Flametest's own that connects to a place again and again, and tells by its log what becomes of it.

What it tells is what a command in a pod of the system would tell, and costs that pod nothing: no process within its
limits, and nobody waits for its processor. Reading a log asks the kubelet, so it works where policies admit nothing
to the pod. Where policies limit who may connect to the place, or what pods connect to, it brings some that admit it.

It is made before the injection, from a stock image (`flametest.model.helperimage`), ends by itself, and is removed when
the fault is healed. Where none can be made, that is told, and is no sign that there is no connection.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from flametest.faults.connection import CONNECT_SECONDS, Reach, Reached
from flametest.faults.errors import FaultError
from flametest.faults.helper_pod import helper_pod
from flametest.faults.policies import isolating, selected
from flametest.faults.readback import remove
from flametest.faults.waiting import wait_for
from flametest.kube import KubeClient
from flametest.kube.errors import ApiRejectedError, ConflictError
from flametest.kube.resources import NETWORK_POLICIES, PODS, Object, Resource
from flametest.kube.rights import Right, rights
from flametest.kube.snapshots import find
from flametest.model.helperimage import helper_image

__all__ = ["VANTAGE_RIGHTS", "VantagePod"]

VANTAGE_RIGHTS: tuple[Right, ...] = (
    *rights(PODS, "create", "delete", "get", "list"),
    *rights(PODS, "get", subresource="log"),
    *rights(NETWORK_POLICIES, "create", "delete", "get", "list"),
)
"""The rights that such a pod takes, from its start to its end."""

LABEL = "flametest.dev/vantage"
LIFE_SECONDS = 900  # the cluster itself ends one that everybody has forgotten
CONNECTED_SECONDS_MAX = 30.0
GONE_SECONDS_MAX = 25.0
NAME_CHARACTERS_MAX = 63
_PREFIX = "flametest-vantage-"
_CONNECTED, _FAILED, _BY_ANYBODY = "connected", "failed", "by-anybody"
_NOBODYS_PORTS = (9, 13)  # discard and daytime, long out of use: the first that is not the place's own is tried
_STARTING = ("ContainerCreating", "PodInitializing")
# It writes a line when the outcome is another one than before.
_PROGRAM = f"""
import socket, sys, threading, time

host, port = sys.argv[1], int(sys.argv[2])
nobodys = next(one for one in {_NOBODYS_PORTS} if one != port)
answered = threading.Event()

def tried(port):
    try:
        socket.create_connection((host, port), {CONNECT_SECONDS}).close()
    except OSError as error:
        return f"{_FAILED} {{error}}"
    return "{_CONNECTED}"

def try_nobodys():
    while tried(nobodys) != "{_CONNECTED}":
        time.sleep(1)
    answered.set()

threading.Thread(target=try_nobodys, daemon=True).start()
told = ""
while True:
    seen = tried(port)
    if seen == "{_CONNECTED}" and answered.is_set():
        seen += " {_BY_ANYBODY}"
    if seen != told:
        print(seen, flush=True)
    told = seen
    time.sleep(0.2)
"""

# Why a pod that was wanted connects to nothing, by server, namespace and name; told with the proof.
_missing: dict[tuple[str, str, str], str] = {}


@dataclass(frozen=True, slots=True)
class VantagePod:
    """The pod of one fault, named after ``subject``: the fault, and what it acts on."""

    namespace: str
    subject: str

    @property
    def name(self) -> str:
        """Return the name of the pod and of its policy."""
        return f"{_PREFIX}{self.subject}"[:NAME_CHARACTERS_MAX].rstrip("-.")

    def check_free(self, client: KubeClient) -> None:
        """Return if nothing bears its name: that would be nobody's, so healing must not remove it.

        Raises:
            FaultError: something does.
            KubeError: the API is unreachable or refused.
        """
        for resource, name in self._own():
            if find(client.api, resource, self.namespace, name) is not None:
                raise FaultError(
                    f"{resource.kind} {name} is there already",
                    f"run `flametest undo`, or kubectl -n {self.namespace} delete {resource.plural} {name}",
                )

    def start(self, client: KubeClient, place: tuple[str, int], behind: Mapping[str, object]) -> Reached:
        """Start it, and return whether it connects; it goes on trying for as long as it connects.

        Args:
            client: the cluster.
            place: address and port.
            behind: the label selector of the pods that answer there.

        Raises:
            KubeError: the API is unreachable, or refused to be asked.
        """
        key = (client.api.server, self.namespace, self.name)
        _missing.pop(key, None)
        reached = self._started(client, place, behind)
        if reached.outcome is not Reach.CONNECTED:
            _missing[key] = reached.reason
            self.remove(client)
        return reached

    def seen(self, client: KubeClient) -> Reached:
        """Return what became of its last connection; unknown where it has tried none, with the reason.

        Raises:
            ApiUnreachableError: the API did not answer.
        """
        if reason := _missing.get((client.api.server, self.namespace, self.name)):
            return Reached(Reach.UNKNOWN, reason)
        try:
            lines = client.api.text(f"{PODS.path(self.namespace, self.name)}/log", {"tailLines": "1"}).split("\n")
        except ApiRejectedError as error:  # there is none, or it has not started
            return Reached(Reach.UNKNOWN, error.told)
        outcome, _, reason = lines[0].partition(" ")
        if outcome == _CONNECTED:
            return Reached(Reach.CONNECTED, by_anybody=reason == _BY_ANYBODY)
        return Reached(Reach.FAILED, reason) if outcome == _FAILED else Reached(Reach.UNKNOWN, "it has tried none yet")

    def stop_admitting(self, client: KubeClient) -> None:
        """Remove the policy that admits it: one that is to admit nobody has no exception then.

        Raises:
            KubeError: the API is unreachable or refused.
        """
        with suppress(ApiRejectedError):
            client.api.send("DELETE", NETWORK_POLICIES.path(self.namespace, self.name))

    def remove(self, client: KubeClient) -> None:
        """Remove it and its policies; harmless when repeated.

        Raises:
            HealError: something is still there after a bound.
            KubeError: the API is unreachable or refused.
        """
        for resource, name in self._own():
            remove(client, resource, self.namespace, name, seconds_max=GONE_SECONDS_MAX, at_once=resource is PODS)

    def _own(self) -> tuple[tuple[Resource, str], ...]:
        return (PODS, self.name), (NETWORK_POLICIES, self.name), (NETWORK_POLICIES, self._leaving)

    @property
    def _leaving(self) -> str:
        return f"{self.name[: NAME_CHARACTERS_MAX - 4]}-out"

    def _started(self, client: KubeClient, place: tuple[str, int], behind: Mapping[str, object]) -> Reached:
        try:
            self._make(client, place, behind)
        except (ConflictError, ApiRejectedError) as error:  # a quota, or an admission webhook with rules of its own
            return Reached(Reach.UNKNOWN, f"pod {self.name} could not be made: {error.told}")
        last = [Reached(Reach.UNKNOWN)]

        def decided() -> bool:
            last[0] = self.seen(client)
            if last[0].outcome is Reach.UNKNOWN and (why := self._hopeless(client)):
                last[0] = Reached(Reach.UNKNOWN, why)
                return True
            return last[0].outcome is Reach.CONNECTED

        if wait_for(decided, CONNECTED_SECONDS_MAX):
            return last[0]
        told = last[0].reason or "it said nothing"
        return Reached(last[0].outcome, f"pod {self.name} did not connect within {CONNECTED_SECONDS_MAX:g} s: {told}")

    def _make(self, client: KubeClient, place: tuple[str, int], behind: Mapping[str, object]) -> None:
        path = NETWORK_POLICIES.path(self.namespace)
        uids = {str(pod["metadata"]["uid"]) for pod in selected(client, self.namespace, dict(behind))}
        own = {"podSelector": {"matchLabels": {LABEL: self.name}}}
        if isolating(client, self.namespace, uids):
            spec = {"podSelector": behind, "policyTypes": ["Ingress"], "ingress": [{"from": [own]}]}
            client.api.send("POST", path, self._policy(self.name, spec))
        if isolating(client, self.namespace, None, "Egress"):
            client.api.send(
                "POST", path, self._policy(self._leaving, own | {"policyTypes": ["Egress"], "egress": [{}]})
            )
        client.api.send("POST", PODS.path(self.namespace), self._pod(place))

    def _hopeless(self, client: KubeClient) -> str:
        """Return why it will not run; empty while it may."""
        pod = find(client.api, PODS, self.namespace, self.name)
        if pod is None or pod["status"].get("phase") in ("Failed", "Succeeded"):
            return f"pod {self.name} has ended"
        for one in pod["status"].get("containerStatuses") or []:
            reason = ((one.get("state") or {}).get("waiting") or {}).get("reason")
            if reason and reason not in _STARTING:
                return f"pod {self.name} does not start ({reason}, image {helper_image()})"
        return ""

    def _policy(self, name: str, spec: Object) -> Object:
        metadata = {"name": name, "namespace": self.namespace, "labels": self._labels}
        return {
            "apiVersion": NETWORK_POLICIES.api_version,
            "kind": NETWORK_POLICIES.kind,
            "metadata": metadata,
            "spec": spec,
        }

    @property
    def _labels(self) -> dict[str, str]:
        return {LABEL: self.name, "app.kubernetes.io/part-of": "flametest"}

    def _pod(self, place: tuple[str, int]) -> Object:
        container = {
            "name": "vantage",
            "image": helper_image(),
            "imagePullPolicy": "IfNotPresent",
            "command": ["python3", "-I", "-S", "-c", _PROGRAM, place[0], str(place[1])],
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}},
        }
        metadata = {"name": self.name, "namespace": self.namespace, "labels": self._labels}
        return helper_pod(metadata, container, LIFE_SECONDS)
