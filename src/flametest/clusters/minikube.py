"""Minikube as a cluster provider: a profile of Flametest's own, on whichever driver the machine has.

The profile is called ``flametest`` and is never another one, its kubeconfig is a file of its own in the state folder,
and what Flametest did not start it does not stop. Between commands the profile lives on; `down` stops it and keeps what
was downloaded and built, and with the option ``delete`` removes it. The records in the state folder say that the
profile is Flametest's and which images it was given; they go with the profile.
"""

import os
import re
import socket
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from flametest.clusters.buildsources import BuildSource, read_sources
from flametest.clusters.minikube_failures import RECREATE
from flametest.clusters.minikube_images import build_images, load_images
from flametest.clusters.minikube_records import MinikubeRecords, ProfileRecord
from flametest.clusters.minikube_status import STATUS_CODES, ProfileState, ProfileStatus, read_status
from flametest.clusters.minikube_tool import Minikube, find_program
from flametest.clusters.protocol import Access, ClusterError, ClusterOptions
from flametest.model.homes import state_home

__all__ = ["KUBERNETES_VERSION", "PROFILE", "MinikubeCluster"]

PROFILE = "flametest"
KUBERNETES_VERSION = "v1.34.0"
"""The newest that Minikube 1.37 knows; 1.38 and later know it too."""

_NEW_PROFILE = {
    "kubernetes-version": KUBERNETES_VERSION,
    "cni": "calico",  # Minikube's usual network let every NetworkPolicy pass in its earlier releases
}
"""What a new profile is made with; a profile that exists keeps its own."""

_TOOL_VERSION_MIN = (1, 37)
_START_SECONDS_MAX = 1200.0
_ADDON_SECONDS_MAX = 300.0
_STOP_SECONDS_MAX = 300.0
_DELETE_SECONDS_MAX = 400.0
_ASK_SECONDS_MAX = 60.0
_NODES_MAX = 10
_PUBLISHED_PORTS = range(30081, 30181)  # below the ports that the kernel gives to outgoing connections


class MinikubeCluster:
    """The profile ``flametest`` of an installed Minikube."""

    name = "minikube"
    is_own = True
    pulls_images = True
    note = ""

    def __init__(self, options: ClusterOptions) -> None:
        self._options = options
        self._folder = (options.state or state_home(os.environ)) / "minikube"
        self._records = MinikubeRecords(self._folder)

    @property
    def forgets(self) -> bool:
        """Return whether `down` removes the profile: one that is stopped keeps what a fault has changed."""
        return self._options.delete

    def up(self) -> Access:
        """Start the profile or find it running, put the images on its nodes, and return how it is reached."""
        sources = read_sources(self._options.images_file)
        for source in sources:
            source.require_dockerfile()
        tool = self._tool_or_error()
        _check_version(tool)
        status = self._usable_status(tool)
        if status.state is ProfileState.RUNNING:
            self._provide_images(tool, sources)
            return self._access(tool)
        with self._ended_on_failure(tool, status):
            self._start(tool, status)
            self._provide_images(tool, sources)
            return self._access(tool)

    def own_images(self, _references: Collection[str]) -> tuple[str, ...]:
        """Return none: `up` builds or loads them."""
        return ()

    def make_images(self, _names: Collection[str], _said: Callable[[str], None]) -> str:
        """Make none."""
        return ""

    def find(self) -> Access | None:
        """Return how the running profile is reached; None when it does not run or Flametest did not make it."""
        tool = self._own_tool()
        if tool is None or _status(tool).state is not ProfileState.RUNNING:
            return None
        return self._access(tool)

    def down(self) -> bool:
        """Stop the profile, or remove it where the options say so; return whether there was something to end."""
        tool = self._own_tool()
        if tool is None:
            return False
        status = _status(tool)
        if status.state is ProfileState.ABSENT:
            self._records.forget()
            return False
        if self._options.delete:
            self._delete(tool)
            return True
        if status.state is ProfileState.BROKEN:
            raise _broken()
        tool.run("stop", seconds_max=_STOP_SECONDS_MAX)
        return status.state is ProfileState.RUNNING

    def has_ended(self, kubeconfig: str) -> bool:
        """Return whether it is this profile's kubeconfig, and the profile is gone: stopped, it keeps what it holds."""
        if not Path(kubeconfig).is_relative_to(self._folder):
            return False
        if not self._records.exist:
            return True
        tool = self._own_tool()
        return tool is not None and _status(tool).state is ProfileState.ABSENT

    def listens(self, port: int) -> bool | None:
        """Return None: the listeners are not this machine's to look at."""
        return None

    def memory_bytes(self) -> int | None:
        """Return None: the nodes are containers or virtual machines, whose memory is not this user's to look at."""
        return None

    def _tool_or_error(self) -> Minikube:
        program = find_program(os.environ)
        if program is None:
            raise ClusterError(
                "minikube is not on the PATH",
                "install it (https://minikube.sigs.k8s.io/docs/start/) and a driver such as Docker, or use "
                "--cluster sandbox, which needs neither",
            )
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.chmod(0o700)
        except OSError as error:
            message = f"the state folder {self._folder} cannot be used: {error}"
            raise ClusterError(message, "set FLAMETEST_HOME to a folder that is yours and has room") from error
        return Minikube(program, PROFILE, self._folder, os.environ)

    def _own_tool(self) -> Minikube | None:
        """Return the tool for the profile that Flametest made; None when it made none, or Minikube is gone."""
        if not self._records.exist or find_program(os.environ) is None:
            return None
        return self._tool_or_error()

    def _usable_status(self, tool: Minikube) -> ProfileStatus:
        """Return how the profile is.

        Raises:
            ClusterError: it is not Flametest's, is broken, or has another number of nodes than was asked for.
        """
        status, wanted = _status(tool), self._options.nodes
        if wanted is not None and not 1 <= wanted <= _NODES_MAX:
            raise ClusterError(f"{wanted} nodes: expected 1 to {_NODES_MAX}", "choose another number of --nodes")
        if status.state is ProfileState.ABSENT:
            self._records.forget()
            return status
        if not self._records.exist:
            raise ClusterError(
                f"Minikube has a profile called {PROFILE} that was not made from here",
                f"set FLAMETEST_HOME to the folder it was made with, or remove it by `minikube delete -p {PROFILE}`",
            )
        if status.state is ProfileState.BROKEN:
            raise _broken()
        if wanted is not None and wanted != status.nodes:
            message = f"the profile {PROFILE} has {status.nodes} nodes, and {wanted} were asked for"
            raise ClusterError(message, f"leave --nodes out, or {RECREATE}")
        return status

    def _start(self, tool: Minikube, status: ProfileStatus) -> None:
        if status.state is ProfileState.ABSENT:
            self._records.keep_profile(ProfileRecord(self._options.nodes or 1, _free_port()))
        chosen = _new_profile_options(os.environ) if status.state is ProfileState.ABSENT else []
        tool.run(*self._start_arguments(), *chosen, seconds_max=_START_SECONDS_MAX)
        tool.kubeconfig.chmod(0o600)
        if self._records.profile().nodes > 1:
            # Minikube's usual provisioner makes a volume on one node, whichever node its pod is on. Not by an option of
            # the start, which enables all addons at once: the last one has its storage class as the default.
            tool.run("addons", "enable", "storage-provisioner-rancher", seconds_max=_ADDON_SECONDS_MAX)

    def _start_arguments(self) -> list[str]:
        record = self._records.profile()
        arguments = [
            "start",
            "--container-runtime=containerd",
            f"--nodes={record.nodes}",
            f"--namespace={self._options.namespace}",
            "--embed-certs",
            "--interactive=false",
            "--wait=apiserver,system_pods,default_sa,node_ready,kubelet",
            # Its own six minutes did not do where other programs had the processors; below the start's time limit.
            "--wait-timeout=15m",
        ]
        if record.nodes == 1:  # of several nodes only one could have the port
            arguments.append(f"--ports=127.0.0.1:{record.published_port}:{self._options.entry_port}")
        if self._options.driver:
            arguments.append(f"--driver={self._options.driver}")
        return arguments

    def _provide_images(self, tool: Minikube, sources: tuple[BuildSource, ...]) -> None:
        given, known = self._options.images, self._records.images()
        made = load_images(tool, given, sources) if given else build_images(tool, sources, known)
        self._records.keep_images(made)

    @contextmanager
    def _ended_on_failure(self, tool: Minikube, before: ProfileStatus) -> Iterator[None]:
        """Leave nothing running: remove a profile that never came to run, stop one whose images were at fault."""
        try:
            yield
        except BaseException:
            # What went wrong first is what the user has to know.
            with suppress(ClusterError):
                came_to_run = _status(tool).state is ProfileState.RUNNING
                if before.state is ProfileState.ABSENT and not came_to_run:
                    self._delete(tool)
                else:
                    tool.run("stop", seconds_max=_STOP_SECONDS_MAX)
            raise

    def _delete(self, tool: Minikube) -> None:
        tool.run("delete", seconds_max=_DELETE_SECONDS_MAX)
        self._records.forget()

    def _access(self, tool: Minikube) -> Access:
        address = tool.ask("ip", seconds_max=_ASK_SECONDS_MAX).text.strip()
        server = _server(tool.kubeconfig)
        url = self._options.url or self._entry_url(address, server)
        return Access(tool.kubeconfig, PROFILE, url, known=True, **self._options.asked)

    def _entry_url(self, address: str, server: str) -> str:
        """Return the entry's URL.

        Where Minikube itself reaches the API server by another address than the node's, as with Docker Desktop, in WSL
        and with rootless Docker, node ports cannot be reached either, but the port that was published can.
        """
        host = urlsplit(server).hostname or ""
        if address and host == address:
            return f"http://{address}:{self._options.entry_port}"
        record = self._records.profile()
        if record.nodes > 1:
            raise ClusterError(
                f"the address of Minikube's nodes, {address}, cannot be reached from this machine with its driver",
                f"use one node, or a driver whose nodes can be reached (--driver kvm2); {RECREATE}",
            )
        return f"http://{host}:{record.published_port}"


def _status(tool: Minikube) -> ProfileStatus:
    return read_status(tool.ask("status", "--output=json", seconds_max=_ASK_SECONDS_MAX, accepted=STATUS_CODES))


def _check_version(tool: Minikube) -> None:
    text = tool.ask("version", "--output=json", seconds_max=_ASK_SECONDS_MAX).text
    found = re.search(r'"minikubeVersion": *"v(\d+)\.(\d+)', text)
    if found and (int(found[1]), int(found[2])) < _TOOL_VERSION_MIN:
        oldest = ".".join(map(str, _TOOL_VERSION_MIN))
        raise ClusterError(f"Minikube {found[1]}.{found[2]} is older than {oldest}", "install a newer one")


def _new_profile_options(environment: Mapping[str, str]) -> list[str]:
    """Return the options of a new profile, without those that the user has set by a variable, such as MINIKUBE_CNI."""
    return [
        f"--{name}={value}"
        for name, value in _NEW_PROFILE.items()
        if not environment.get(f"MINIKUBE_{name.replace('-', '_').upper()}")
    ]


def _broken() -> ClusterError:
    return ClusterError(f"the profile {PROFILE} is broken: its machines are gone", RECREATE)


def _server(kubeconfig: Path) -> str:
    """Return the URL of the API server."""
    try:
        clusters = yaml.safe_load(kubeconfig.read_text())["clusters"]
        return next(str(one["cluster"]["server"]) for one in clusters if one["name"] == PROFILE)
    except (OSError, yaml.YAMLError, KeyError, TypeError, StopIteration) as error:
        raise ClusterError(f"{kubeconfig} does not say where the cluster is: {error!r}", RECREATE) from error


def _free_port() -> int:
    for port in _PUBLISHED_PORTS:
        with suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            return port
    first, last = _PUBLISHED_PORTS[0], _PUBLISHED_PORTS[-1]
    raise ClusterError(f"no port from {first} to {last} of 127.0.0.1 is free", "end what holds them")
