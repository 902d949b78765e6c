"""How the agent gives a pod its network: the protocol `PodNetwork`, which `flametest.sandbox.network` implements."""

from dataclasses import dataclass
from typing import Protocol

__all__ = ["PodAddress", "PodNetwork"]


@dataclass(frozen=True, slots=True)
class PodAddress:
    """A pod's place in the cluster's network.

    Attributes:
        ip: its IPv4 address.
        namespace_path: a file that names its network namespace, for ``setns``.
    """

    ip: str
    namespace_path: str


class PodNetwork(Protocol):
    """Network namespaces and addresses of pods."""

    async def attach(self, pod_uid: str, pod_range: str) -> PodAddress:
        """Make a network namespace for a pod with an address out of its node's range, such as ``10.244.1.0/24``.

        Raises:
            SandboxError: the range is used up, or the kernel refused.
        """

    async def detach(self, pod_uid: str) -> None:
        """Take a pod's namespace, link and address away; a pod that has none is no error."""

    def unplug(self, pod_range: str) -> None:
        """Lose, in silence, all that goes to a node's pods or comes from them, until `plug`."""

    def plug(self, pod_range: str) -> None:
        """Let a node's pods be reached again; one that was not unplugged is no error."""
