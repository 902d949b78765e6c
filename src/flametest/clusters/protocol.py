"""What a cluster provider offers: the protocol `Cluster`, and how a running cluster is reached.

Implementers must not touch the user's own kubeconfig or current context, and must bound every wait.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from flametest.model.errors import FlametestError

__all__ = ["Access", "Cluster", "ClusterError", "ClusterOptions"]


class ClusterError(FlametestError):
    """A cluster cannot be started, found or ended."""


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """How to reach or start a cluster.

    Attributes:
        images_file: the project's manifests/images.toml, which names each image's build context.
        node_port_address: loopback address on which the sandbox opens NodePorts.
        entry_port: node port of the entry Service.
    """

    images_file: Path
    node_port_address: str = "127.0.0.1"
    entry_port: int = 30080


@dataclass(frozen=True, slots=True)
class Access:
    """How a running cluster is reached.

    Attributes:
        kubeconfig: a file that holds the context and nothing that is not needed.
        context: the context's name; every client is pinned to it.
        url: entry of the system under test, such as ``http://127.0.0.1:30080``.
    """

    kubeconfig: Path
    context: str
    url: str

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """Return the variables that point kubectl, Chaos Toolkit, Locust and the recorder at the cluster.

        Args:
            inherited: the present environment; where it names a proxy, the cluster's loopback addresses are taken
                from it, since no proxy can reach them.
        """
        loopback = {"127.0.0.1", "localhost", urlsplit(self.url).hostname or ""}
        exempt = {name for name in inherited.get("NO_PROXY", inherited.get("no_proxy", "")).split(",") if name}
        without_proxy = ",".join(sorted((exempt | loopback) - {""}))
        return {
            "KUBECONFIG": str(self.kubeconfig),
            "KUBERNETES_CONTEXT": self.context,
            "FLAMETEST_URL": self.url,
            "NO_PROXY": without_proxy,
            "no_proxy": without_proxy,
        }


class Cluster(Protocol):
    """A cluster that the system under test can be deployed to."""

    @property
    def name(self) -> str:
        """Return the name that reports show."""

    @property
    def note(self) -> str:
        """Return what this cluster does not emulate, in a sentence; empty for a real one."""

    def up(self) -> Access:
        """Start the cluster, or find the one that runs, and return when its API answers.

        Raises:
            ClusterError: it could not be started; nothing is left running.
        """

    def find(self) -> Access | None:
        """Return how the running cluster is reached, or None when none runs."""

    def down(self) -> bool:
        """End the cluster with everything in it; return whether one was running."""

    def has_ended(self, kubeconfig: str) -> bool:
        """Return whether ``kubeconfig`` is that of a cluster which has ended and left nothing behind.

        Never for a cluster that is not this provider's to end: that it does not answer does not mean that it is gone.
        """

    def memory_bytes(self) -> int | None:
        """Return the memory of the cluster's own processes; None when it cannot be told."""
