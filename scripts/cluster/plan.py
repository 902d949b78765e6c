"""What a cluster consists of: its machines, their addresses, and where its files are. Nothing is done here."""

from dataclasses import dataclass
from pathlib import Path

__all__ = ["ADMIN_TOKEN", "CONTEXT", "HIDDEN", "PODS", "PROGRAMS", "SERVICES", "ClusterError", "Machine", "Plan"]

PROGRAMS = (
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-router",
    "kube-scheduler",
    "kubelet",
    "runc",
)
CONTEXT = "real"
ADMIN_TOKEN = "administrator"  # noqa: S105  (the API server is reached from this machine alone)
SERVICES = "10.96.0.0/16"
PODS = "10.244.0.0/16"
HIDDEN = ("/run", "/var/lib", "/var/log")  # of these every machine has its own, empty at its start
_NETWORK = "198.18.0"  # of the range for benchmarks (RFC 2544), which nobody routes


class ClusterError(Exception):
    """The cluster could not be started or ended; the message says why and, where there is one, the remedy."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A network, mount and process namespace: the control plane, or a worker with its range of pod addresses."""

    name: str
    address: str
    pods: str = ""

    @property
    def is_worker(self) -> bool:
        """Whether pods run here."""
        return bool(self.pods)

    @property
    def token(self) -> str:
        """By which its kubelet shows that it is this node."""
        return f"kubelet-of-{self.name}"


@dataclass(frozen=True, slots=True)
class Plan:
    """A cluster with ``workers`` nodes, run from the programs and image archives of two folders."""

    state: Path
    programs: Path
    images: Path
    workers: int

    @property
    def control(self) -> Machine:
        """The machine of the control plane, on which no pods run."""
        return Machine("control", f"{_NETWORK}.1")

    @property
    def nodes(self) -> tuple[Machine, ...]:
        """The workers."""
        return tuple(
            Machine(f"node-{number}", f"{_NETWORK}.{10 + number}", f"10.244.{number}.0/24")
            for number in range(1, self.workers + 1)
        )

    @property
    def host_address(self) -> str:
        """The address of this machine on the network of the cluster's machines."""
        return f"{_NETWORK}.254"

    @property
    def network(self) -> str:
        """The range of the addresses of machines."""
        return f"{_NETWORK}.0/24"

    @property
    def server(self) -> str:
        """The URL of the API server."""
        return f"https://{self.control.address}:6443"

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.state / "kubeconfig"

    @property
    def archives(self) -> tuple[Path, ...]:
        """Archives of images, as of `docker save`, which every worker gets."""
        return tuple(sorted(self.images.glob("*.tar")))

    @property
    def unpacked(self) -> Path:
        """What containerd makes of the archives, which outlives the cluster."""
        return self.state / "images"

    def folder(self, machine: Machine) -> Path:
        """The folder of a machine, in the state folder."""
        return self.state / machine.name

    def program(self, name: str) -> str:
        """The path of a program."""
        return str(self.programs / name)

    def check(self) -> None:
        """Raise ClusterError when something that was to be given is missing, or when ``state`` would be hidden."""
        missing = [name for name in PROGRAMS if not (self.programs / name).is_file()]
        if missing:
            raise ClusterError(f"{self.programs} lacks {', '.join(missing)}; remedy: build them there")
        if not self.archives:
            raise ClusterError(f"{self.images} holds no archives (*.tar); remedy: see scripts/cluster/README.md")
        hidden = next((place for place in HIDDEN if self.state.is_relative_to(place)), None)
        if hidden:
            raise ClusterError(f"the workers have a {hidden} of their own; remedy: a state folder elsewhere")
