"""What one sandbox is made of: names, addresses and files, fixed when it starts.

`flametest.sandbox.launch` writes them as one JSON file into the sandbox's state folder; the supervisor and the cluster
process read that file. Standard library only, since the supervisor has to stay small.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = [
    "BUILDS_FILE_NAME",
    "CLUSTER_DOMAIN",
    "DNS_ADDRESS",
    "KUBERNETES_ADDRESS",
    "NAME_SERVER_ADDRESS",
    "SERVICE_RANGE",
    "NodeSettings",
    "Settings",
]

CLUSTER_DOMAIN = "cluster.local"
BUILDS_FILE_NAME = "builds.json"
"""In a sandbox's folder; see `flametest.sandbox.images.builds`."""

SERVICE_RANGE = "10.96.0.0/16"
KUBERNETES_ADDRESS = "10.96.0.1"
DNS_ADDRESS = "10.96.0.10"
NAME_SERVER_ADDRESS = "10.244.0.10"
"""Where the Service of the cluster's DNS leads to: an address like a pod's, of a node that is not there."""


@dataclass(frozen=True, slots=True)
class NodeSettings:
    """One simulated node: its name, its address inside the cluster and the range its pods get addresses of."""

    name: str
    address: str
    pod_range: str


@dataclass(frozen=True, slots=True)
class Settings:
    """One sandbox.

    Attributes:
        name: tells the sandboxes of one user apart.
        state_folder: absolute path of its folder, mode 0700.
        api_address: loopback address on which the host reaches the API.
        api_port: its port; 0 for any that is free.
        node_port_address: loopback address on which the host reaches NodePorts.
        images_file: absolute path of the manifests' images.toml; empty for none.
        nodes: number of simulated nodes, 1 to 200.
        image_store: absolute path of the folder of real images; empty for none.
    """

    name: str
    state_folder: str
    api_address: str
    api_port: int
    node_port_address: str
    images_file: str
    nodes: int
    image_store: str = ""

    @property
    def authority_file(self) -> Path:
        """Return where the certificate is by which clients know the API server."""
        return Path(self.state_folder, "ca.crt")

    @property
    def certificate_file(self) -> Path:
        """Return where the API server's certificate is."""
        return Path(self.state_folder, "server.crt")

    @property
    def key_file(self) -> Path:
        """Return where the API server's private key is."""
        return Path(self.state_folder, "server.key")

    @property
    def token_file(self) -> Path:
        """Return where the one bearer token that the API accepts is."""
        return Path(self.state_folder, "token")

    @property
    def pods_folder(self) -> Path:
        """Return where the agent keeps pods' volumes and logs."""
        return Path(self.state_folder, "pods")

    @property
    def builds_file(self) -> Path:
        """Return where the project's images are named that run as built ones."""
        return Path(self.state_folder, BUILDS_FILE_NAME)

    def node_list(self) -> list[NodeSettings]:
        """Return the nodes, sandbox-1 first."""
        return [
            NodeSettings(name=f"sandbox-{number}", address=f"10.240.0.{number}", pod_range=f"10.244.{number}.0/24")
            for number in range(1, self.nodes + 1)
        ]

    def to_json(self) -> str:
        """Return the settings as JSON, which `from_json` reads back equal."""
        return json.dumps(asdict(self), indent=2)

    @classmethod
    def from_json(cls, text: str) -> "Settings":
        """Read what `to_json` wrote; raises ValueError or TypeError on anything else."""
        return cls(**json.loads(text))
