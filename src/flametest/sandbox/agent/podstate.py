"""The facts of one pod that its worker and the keeper of its containers share.

The worker owns them; they live as long as it. Whoever changes a fact that may ask for action sets ``wake``: a mailbox
that holds one letter, so it cannot run over.
"""

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from flametest.sandbox.agent.environment import PodContext
from flametest.sandbox.agent.runtime import PodRuntime
from flametest.sandbox.agent.settings import AgentSettings
from flametest.sandbox.agent.state import ContainerRecord, Role
from flametest.sandbox.eventrecorder import EventRecorder
from flametest.sandbox.images import Images
from flametest.sandbox.objects import Object, Objects
from flametest.sandbox.podnetwork import PodNetwork
from flametest.sandbox.settings import NodeSettings

__all__ = ["PodState", "Tools", "pod_text"]


@dataclass(frozen=True, slots=True)
class Tools:
    """What all workers of an agent work with; ``capacity`` is a node's, ``now`` is in seconds since the epoch."""

    objects: Objects
    network: PodNetwork
    runtime: PodRuntime
    images: Images
    recorder: EventRecorder
    settings: AgentSettings
    capacity: dict[str, str]
    now: Callable[[], float]


@dataclass(slots=True)
class PodState:
    """One pod as its node knows it.

    Attributes:
        pod: the newest object.
        node: that it is bound to.
        tools: of the agent.
        records: its containers.
        address: its IP address; empty before it has one.
        gone: its object is no longer there.
        deadline: when a deleted pod's containers are killed; None while it is not deleted.
        wake: set when there may be something to do.
    """

    pod: Object
    node: NodeSettings
    tools: Tools
    records: list[ContainerRecord]
    address: str = ""
    gone: bool = False
    deadline: float | None = None
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def uid(self) -> str:
        """The pod's uid."""
        return str(self.pod["metadata"]["uid"])

    @property
    def folder(self) -> str:
        """Where the pod's files are on the machine."""
        return os.path.join(self.tools.settings.state_folder, "pods", self.uid)

    @property
    def terminating(self) -> bool:
        """Whether the pod was deleted."""
        return self.gone or "deletionTimestamp" in self.pod["metadata"]

    def context(self) -> PodContext:
        """Return where environment and volumes come from."""
        addresses = {
            "status.hostIP": self.node.address,
            "status.hostIPs": self.node.address,
            "status.podIP": self.address,
            "status.podIPs": self.address,
        }
        return PodContext(self.pod, self.tools.objects, addresses, self.tools.capacity)

    def normal(self, reason: str, message: str, record: ContainerRecord | None = None) -> None:
        """Tell an event of the pod, or of a container of it, that went as intended."""
        self.tools.recorder.normal(self.pod, reason, message, _field_path(record))

    def warning(self, reason: str, message: str, record: ContainerRecord | None = None) -> None:
        """Tell one that did not."""
        self.tools.recorder.warning(self.pod, reason, message, _field_path(record))


def pod_text(pod: Object) -> str:
    """Return a pod as messages name it: name_namespace(uid)."""
    metadata = pod["metadata"]
    return f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"


def _field_path(record: ContainerRecord | None) -> str:
    if record is None:
        return ""
    kind = "containers" if record.role is Role.MAIN else "initContainers"
    return f"spec.{kind}{{{record.name}}}"
