"""The embedded sandbox as a cluster provider."""

import shutil
from collections.abc import Callable, Collection
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from flametest.clusters.buildsources import found_sources, read_sources
from flametest.clusters.protocol import DEFAULT_SANDBOX, Access, ClusterError, ClusterOptions
from flametest.clusters.sandbox_images import BuildWhen, ImageMaker, Made, summary
from flametest.sandbox import launch
from flametest.sandbox.errors import SandboxError
from flametest.sandbox.images import ImageStore
from flametest.sandbox.images.copying import SKOPEO
from flametest.sandbox.images.unpacking import UMOCI

__all__ = ["SandboxCluster"]


class SandboxCluster:
    """A sandbox of this user; it lives on its own between commands, until `down`."""

    name = "sandbox"
    is_own = True
    forgets = True

    def __init__(self, options: ClusterOptions) -> None:
        self._options = options
        self._sandbox = launch.SandboxOptions(
            name=options.sandbox,
            images_file=options.images_file,
            node_port_address=options.node_port_address,
            namespace=options.namespace,
        )
        self._made: tuple[Made, ...] = ()

    @property
    def pulls_images(self) -> bool:
        """Return whether the programs that fetch images from registries are installed."""
        return bool(shutil.which(SKOPEO) and shutil.which(UMOCI))

    @property
    def note(self) -> str:
        """Return what the sandbox that runs does not emulate."""
        sandbox = launch.find(self._sandbox)
        limits, builds = "", "Dockerfiles are read and not built"
        if sandbox is not None:
            if sandbox.builds:
                builds = f"the images {', '.join(sandbox.builds)} were built, other Dockerfiles are read and not built"
            limits = f", limits of memory and CPU are {'' if sandbox.enforces_limits else 'not '}enforced"
        return (
            "The embedded sandbox runs pods as real processes on one Linux machine. Its nodes are simulated, "
            f"{builds}{limits}; times are those of this machine."
        )

    def own_images(self, references: Collection[str]) -> tuple[str, ...]:
        """Return those of the images that images.toml names, or whose Dockerfiles were found."""
        return self._maker.own(references)

    def make_images(self, names: Collection[str], said: Callable[[str], None]) -> str:
        """Build images, or leave them to be read; the sandbox runs them so from its next `up`."""
        self._made = self._maker.make(names, said)
        return summary(self._made)

    @cached_property
    def _maker(self) -> ImageMaker:
        store = ImageStore(launch.image_store(self._sandbox.home))
        sources = (*found_sources(self._options.contexts), *read_sources(self._options.images_file))
        return ImageMaker(sources, store, BuildWhen(self._options.build))

    def beside(self, name: str, node_port_address: str) -> "SandboxCluster":
        """Return a further sandbox that is to run the same system; what was built for this one is not built again."""
        other = SandboxCluster(replace(self._options, sandbox=name, node_port_address=node_port_address))
        other._maker = self._maker
        return other

    def up(self) -> Access:
        """Start the sandbox, or find the one that runs."""
        try:
            sandbox = launch.start(self._sandbox)
            sandbox.offer({one.image: (one.context, one.dockerfile) for one in self._options.contexts})
            if self._made:
                sandbox.use_builds({one.name: one.digest for one in self._made})
        except SandboxError as error:
            raise ClusterError(str(error), error.remedy) from error
        return self._access(sandbox)

    def find(self) -> Access | None:
        """Return how the running sandbox is reached, or None."""
        sandbox = launch.find(self._sandbox)
        return self._access(sandbox) if sandbox else None

    def down(self) -> bool:
        """End the sandbox and everything in it, its volumes included."""
        sandbox = launch.find(self._sandbox)
        if sandbox is None:
            return False
        try:
            sandbox.stop()
        except SandboxError as error:
            raise ClusterError(str(error), error.remedy) from error
        if self._sandbox.name != DEFAULT_SANDBOX:
            shutil.rmtree(self._sandbox.state_folder, ignore_errors=True)
        return True

    def has_ended(self, kubeconfig: str) -> bool:
        """Return whether it is the kubeconfig of a sandbox of this user, whatever its name, which does not run."""
        folders, path = self._sandbox.state_folder.parent, Path(kubeconfig).parent
        return path.parent == folders and launch.has_ended(replace(self._sandbox, name=path.name))

    def listens(self, port: int) -> bool | None:
        """Return whether a process of this sandbox holds the listener; None for an entry that the user has named."""
        if self._options.url:
            return None
        sandbox = launch.find(self._sandbox)
        return sandbox.listens(port) if sandbox else None

    def memory_bytes(self) -> int | None:
        """Return the proportional set size of the sandbox's own processes, pods excluded."""
        sandbox = launch.find(self._sandbox)
        return sandbox.memory() if sandbox else None

    def _access(self, sandbox: launch.Sandbox) -> Access:
        url = self._options.url or f"http://{sandbox.node_port_address}:{self._options.entry_port}"
        return Access(sandbox.kubeconfig, sandbox.context, url, known=True, **self._options.asked)
