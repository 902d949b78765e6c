"""Whether the API server reaches a pod's port, and a policy by which it does where those of the system shut it out.

Policies select pods and addresses; an API server on no node of the pods is an address that nobody has thought of, while
one on the pod's own node is always let in. What it connects from is read from its own Endpoints (`kubernetes` in the
namespace `default`). An API server that reaches pods by another way, such as an agent in the cluster, is not admitted.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from ipaddress import ip_network
from typing import Self

from flametest.faults.errors import FaultError
from flametest.faults.policies import isolating
from flametest.faults.readback import remove
from flametest.faults.soundings import pod_proxy
from flametest.faults.waiting import wait_for
from flametest.kube import KubeClient
from flametest.kube.errors import ApiRejectedError, ApiUnreachableError, ConflictError
from flametest.kube.resources import ENDPOINT_SLICES, NETWORK_POLICIES, Object
from flametest.kube.snapshots import find

__all__ = ["ServerAccess", "unreached"]

REACH_SECONDS = 3.0
IN_FORCE_SECONDS_MAX = 10.0
GONE_SECONDS_MAX = 25.0
NAME_CHARACTERS_MAX = 63
_PREFIX = "flametest-api-server-"
_NO_WAY = (502, 503, 504)  # how API servers say that they do not reach a pod
_REFUSED = "connection refused"
_OWN_SERVICE = {"labelSelector": "kubernetes.io/service-name=kubernetes"}


def unreached(client: KubeClient, namespace: str, pod: str, port: int, path: str) -> str:
    """Return why the API server gets no answer from a pod's port; empty where it gets one, whatever it is.

    A refused connection is none: some networks refuse what a policy does not admit, others drop it.

    Raises:
        KubeError: it refuses to be asked.
    """
    try:
        client.api.get(pod_proxy(namespace, pod, port, path), seconds=REACH_SECONDS)
    except ApiUnreachableError as error:
        return error.message
    except ApiRejectedError as error:
        if error.code in _NO_WAY:
            return error.told
        if error.code in (401, 403):
            raise
    return ""


@dataclass(frozen=True, slots=True)
class ServerAccess:
    """A policy that admits the API server to ports of a workload's pods, for as long as a fault lasts.

    Attributes:
        namespace: of the pods.
        workload: what the policy is named after.
        selector: the label selector of its pods.
        ports: to which it admits.
        addresses: from which it admits.
    """

    namespace: str
    workload: str
    selector: Object
    ports: tuple[int, ...]
    addresses: tuple[str, ...]

    @classmethod
    def wanted(cls, client: KubeClient, workload: Object, pods: Sequence[Object], ports: Sequence[int]) -> Self | None:
        """Return the policy by which the API server would reach pods that it does not reach; touches nothing.

        None where no policy isolates them: then something else is in the way.

        Raises:
            FaultError: policies or the API server's addresses are not known, or something bears the policy's name.
            KubeError: the API is unreachable or refused.
        """
        namespace, name = workload["metadata"]["namespace"], workload["metadata"]["name"]
        try:
            isolated = isolating(client, namespace, {str(pod["metadata"]["uid"]) for pod in pods})
        except ApiRejectedError as error:
            raise FaultError(
                f"the API server does not reach {name}, and whether policies shut it out is not known: {error.told}",
                _remedy(name, ports),
            ) from error
        if not isolated:
            return None
        access = cls(namespace, name, workload["spec"]["selector"], tuple(ports), _addresses(client, name, ports))
        if find(client.api, NETWORK_POLICIES, namespace, access.name) is not None:
            raise FaultError(
                f"NetworkPolicy {access.name} is there already",
                f"run `flametest undo`, or kubectl -n {namespace} delete networkpolicy {access.name}",
            )
        return access

    @classmethod
    def of(cls, state: Object) -> Self:
        """Return what `state` has kept."""
        ports, addresses = tuple(state["ports"]), tuple(state["addresses"])
        return cls(state["namespace"], state["workload"], state["selector"], ports, addresses)

    @property
    def state(self) -> Object:
        """Return it as JSON."""
        return asdict(self)

    @property
    def name(self) -> str:
        """Return the name of the policy."""
        return f"{_PREFIX}{self.workload}"[:NAME_CHARACTERS_MAX].rstrip("-.")

    def open(self, client: KubeClient) -> None:
        """Put the policy in force; harmless when repeated.

        Raises:
            KubeError: the API is unreachable or refused.
        """
        with suppress(ConflictError):
            client.api.send("POST", NETWORK_POLICIES.path(self.namespace), self._policy())

    def await_reached(self, client: KubeClient, pods: Sequence[str], path: str) -> None:
        """Wait until the API server reaches the first of the ports in each pod.

        Where it is refused for as long as a policy takes to be in force, that is the pod's own answer: nothing listens.

        Raises:
            FaultError: it does not, though the policy admits it.
            KubeError: the API is unreachable or refused.
        """
        for pod in pods:
            told = [""]

            def is_reached(pod: str = pod, told: list[str] = told) -> bool:
                told[0] = unreached(client, self.namespace, pod, self.ports[0], path)
                return not told[0]

            if wait_for(is_reached, IN_FORCE_SECONDS_MAX):
                continue
            if _REFUSED in told[0].lower():
                return
            raise FaultError(
                f"the API server does not reach port {self.ports[0]} of pod {pod}, though a policy admitted "
                f"{', '.join(self.addresses)}: {told[0]}",
                _remedy(self.workload, self.ports),
            )

    def close(self, client: KubeClient) -> None:
        """Remove the policy; harmless when repeated.

        Raises:
            HealError: it is still there after a bound.
            KubeError: the API is unreachable or refused.
        """
        remove(client, NETWORK_POLICIES, self.namespace, self.name, seconds_max=GONE_SECONDS_MAX)

    def _policy(self) -> Object:
        peers = [{"ipBlock": {"cidr": str(ip_network(address))}} for address in self.addresses]
        ports = [{"protocol": "TCP", "port": port} for port in self.ports]
        return {
            "apiVersion": NETWORK_POLICIES.api_version,
            "kind": NETWORK_POLICIES.kind,
            "metadata": {
                "name": self.name,
                "namespace": self.namespace,
                "labels": {"app.kubernetes.io/part-of": "flametest"},
            },
            "spec": {
                "podSelector": self.selector,
                "policyTypes": ["Ingress"],
                "ingress": [{"from": peers, "ports": ports}],
            },
        }


def _addresses(client: KubeClient, workload: str, ports: Sequence[int]) -> tuple[str, ...]:
    """Return what the API servers say that they are reached at, which is what they connect from as a rule."""
    try:
        slices = client.api.listed(ENDPOINT_SLICES.path("default"), _OWN_SERVICE).items
    except ApiRejectedError as error:
        raise FaultError(
            f"policies shut out the API server from {workload}, and its addresses are not known: {error.told}",
            _remedy(workload, ports),
        ) from error
    found = {str(one) for piece in slices for each in piece.get("endpoints") or [] for one in each["addresses"]}
    if not found:
        raise FaultError(
            f"policies shut the API server out of the pods of {workload}, and its Service has no endpoints",
            _remedy(workload, ports),
        )
    return tuple(sorted(found))


def _remedy(workload: str, ports: Sequence[int]) -> str:
    told = " and ".join(map(str, ports))
    return f"add a NetworkPolicy that admits what the API server connects from to ports {told} of {workload}"
