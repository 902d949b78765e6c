"""What a cluster provider offers: the protocol `Cluster`, and how a running cluster is reached.

Implementers must not touch the user's own kubeconfig or current context, and must bound every wait.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypedDict
from urllib.parse import urlsplit

from flametest.manifests import BuildContext
from flametest.model.errors import FlametestError
from flametest.model.proxies import proxy_for
from flametest.model.routes import TRUSTED_HERE, Route, Trust

__all__ = [
    "DEFAULT_NAMESPACE",
    "DEFAULT_SANDBOX",
    "ENTRY_PORT",
    "KNOWN_CONTEXT",
    "Access",
    "Cluster",
    "ClusterError",
    "ClusterOptions",
    "running",
]

DEFAULT_NAMESPACE = "flametest"
DEFAULT_SANDBOX = "default"
ENTRY_PORT = 30080
"""Node port of the entry Service, as the shipped manifests have it."""
KNOWN_CONTEXT = "FLAMETEST_KNOWN_CONTEXT"
"""Variable that repeats the name of a context which may be touched though it is not on the list of those allowed."""


class ClusterError(FlametestError):
    """A cluster cannot be started, found or ended."""


class _Asked(TypedDict):
    namespace: str
    trust: Trust
    is_url_named: bool


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """How to reach or start a cluster.

    Attributes:
        images_file: the images.toml of the manifests, which names each image's build context; None for none.
        contexts: what images that ``images_file`` does not name are built from, as far as it was found; only the
            sandbox reads these, and prefers a real image of such a name.
        node_port_address: loopback address on which the sandbox opens NodePorts.
        entry_port: node port of the entry Service.
        namespace: where the system under test lives.
        url: entry of the system as the user gave it; empty to have it found.
        trust: whose certificates the entry may show.
        kubeconfig: the user's own file or files, as in KUBECONFIG; read for the provider `context` only.
        allow_list: file of the contexts that may be used; see `flametest.clusters.allowed`.
        known_context: name of a context that the user has repeated to allow it for this once.
        state: the folder of all state.
        nodes: how many nodes Minikube starts; None for as many as it has, or one.
        images: ready images that Minikube loads instead of building them: archives, folders of them, or names.
        driver: what Minikube runs its nodes on; empty for its own choice.
        build: whether the sandbox has the project's images built: ``auto`` (where it can), ``always`` or ``never``.
        delete: whether `down` removes Minikube's profile for good instead of stopping it.
        sandbox: name of the sandbox; of one that is not ``default`` nothing stays when it ends.
    """

    images_file: Path | None = None
    contexts: tuple[BuildContext, ...] = ()
    node_port_address: str = "127.0.0.1"
    entry_port: int = ENTRY_PORT
    namespace: str = DEFAULT_NAMESPACE
    url: str = ""
    trust: Trust = TRUSTED_HERE
    kubeconfig: str = ""
    allow_list: Path | None = None
    known_context: str = ""
    state: Path | None = None
    nodes: int | None = None
    images: tuple[str, ...] = ()
    driver: str = ""
    build: str = "never"
    delete: bool = False
    sandbox: str = DEFAULT_SANDBOX

    @property
    def asked(self) -> _Asked:
        """Return what of these options an `Access` keeps."""
        return {"namespace": self.namespace, "trust": self.trust, "is_url_named": bool(self.url)}


@dataclass(frozen=True, slots=True)
class Access:
    """How a running cluster is reached.

    Attributes:
        kubeconfig: a file that holds the context and nothing that is not needed.
        context: the context's name; every client is pinned to it.
        url: entry of the system under test, such as ``http://127.0.0.1:30080``; empty while it is not known.
        namespace: where the system under test lives.
        known: whether the cluster is Flametest's own, or the user has repeated its name to allow it for this once.
        trust: whose certificates the entry may show.
        is_url_named: whether the user has named the URL; one that was found is known to be reached without a proxy.
    """

    kubeconfig: Path
    context: str
    url: str
    namespace: str = DEFAULT_NAMESPACE
    known: bool = False
    trust: Trust = TRUSTED_HERE
    is_url_named: bool = False

    def route(self, inherited: Mapping[str, str]) -> Route:
        """Return how the entry is reached; ``inherited`` is the present environment, which may name a proxy."""
        try:
            proxy = proxy_for(self.url, inherited) if self.is_url_named else ""
        except ValueError as error:
            raise ClusterError(f"entry {self.url!r} is no URL: {error}", "fix --url") from error
        return Route(self.trust, proxy)

    def environment(self, inherited: Mapping[str, str]) -> dict[str, str]:
        """Return the variables that point kubectl, Chaos Toolkit, Locust and the recorder at the cluster.

        Args:
            inherited: the present environment; where it names a proxy, the cluster's loopback addresses are taken
                from it, since no proxy can reach them, and an entry that was found without it.
        """
        route = self.route(inherited)
        loopback = {"127.0.0.1", "localhost", "" if route.proxy else urlsplit(self.url).hostname or ""}
        exempt = {name for name in inherited.get("NO_PROXY", inherited.get("no_proxy", "")).split(",") if name}
        without_proxy = ",".join(sorted((exempt | loopback) - {""}))
        return {
            "KUBECONFIG": str(self.kubeconfig),
            "KUBERNETES_CONTEXT": self.context,
            "FLAMETEST_URL": self.url,
            "FLAMETEST_NAMESPACE": self.namespace,
            KNOWN_CONTEXT: self.context if self.known else "",
            "NO_PROXY": without_proxy,
            "no_proxy": without_proxy,
            **route.variables(),
        }


class Cluster(Protocol):
    """A cluster that the system under test can be deployed to."""

    @property
    def name(self) -> str:
        """Return the name that reports show."""

    @property
    def note(self) -> str:
        """Return what this cluster is and does not emulate, in a sentence; empty for a real one."""

    @property
    def is_own(self) -> bool:
        """Return whether the cluster is Flametest's alone, to be started and ended by it.

        In one that is not, nothing is touched that Flametest did not make, and rights are asked for beforehand.
        """

    @property
    def forgets(self) -> bool:
        """Return whether everything in the cluster goes when `down` ends it, injected faults among it."""

    @property
    def pulls_images(self) -> bool:
        """Return whether its nodes fetch public images from registries, which takes its time when they do so first."""

    def up(self) -> Access:
        """Start the cluster, or find the one that runs, and return when its API answers.

        Raises:
            ClusterError: it could not be started; nothing is left running.
        """

    def own_images(self, references: Collection[str]) -> tuple[str, ...]:
        """Return those of the images that are made here, by `make_images`, before the cluster starts."""

    def make_images(self, names: Collection[str], said: Callable[[str], None]) -> str:
        """Make images that `own_images` has returned, and return how each is had, and why so.

        Args:
            names: which.
            said: gets what is being done.

        Raises:
            ClusterError: one cannot be made.
        """

    def find(self) -> Access | None:
        """Return how the running cluster is reached, or None when none runs.

        A cluster that is not Flametest's own counts as running while the namespace of the system is there.
        """

    def down(self) -> bool:
        """End the cluster with everything in it; return whether one was running.

        In a cluster that is not Flametest's own the namespace is deleted, if Flametest has made it.
        """

    def has_ended(self, kubeconfig: str) -> bool:
        """Return whether ``kubeconfig`` is that of a cluster which has ended and left nothing behind.

        Never for a cluster that is not this provider's to end: that it does not answer does not mean that it is gone.
        """

    def listens(self, port: int) -> bool | None:
        """Return whether it is this cluster that holds a node port of this machine; None when it cannot be told."""

    def memory_bytes(self) -> int | None:
        """Return the memory of the cluster's own processes; None when it cannot be told."""


def running(cluster: Cluster) -> Access:
    """Return how the running cluster is reached.

    Raises:
        ClusterError: none is running, or the system is not there.
    """
    access = cluster.find()
    if access is not None:
        return access
    if cluster.is_own:
        raise ClusterError(f"no {cluster.name} is running", f"start one with `flametest up --cluster {cluster.name}`")
    raise ClusterError(
        f"nothing is deployed to {cluster.name}: the namespace is not there",
        f"deploy with `flametest up --cluster {cluster.name}`, or name another namespace with --namespace",
    )
