"""What the agent knows of a pod's containers: the facts that `plan` decides on and `status` shows.

A `ContainerRecord` belongs to one pod worker, which alone changes it, and lives as long as the worker.
Times are seconds since the epoch.
"""

import signal
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from flametest.sandbox.objects import Object

__all__ = ["ContainerRecord", "Hook", "Role", "Running", "State", "Stop", "Terminated", "Waiting", "records_of"]


class Role(Enum):
    """How a container takes part in the pod's life."""

    INIT = "init"
    SIDECAR = "sidecar"
    MAIN = "main"


class Hook(Enum):
    """How far a preStop hook is."""

    DUE = "due"
    RUNS = "runs"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not running: why, for machines and for people."""

    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    """Running since ``started_at``."""

    started_at: float


@dataclass(frozen=True, slots=True)
class Terminated:
    """Ended, with an exit code as Kubernetes tells it (128 + n after signal n)."""

    exit_code: int
    reason: str
    started_at: float
    finished_at: float
    container_id: str
    message: str = ""


State = Waiting | Running | Terminated


@dataclass(slots=True)
class Stop:
    """A container is being ended: asked first (after its preStop hook), killed at the deadline."""

    deadline: float
    hook: Hook
    asked: bool = False
    killed: bool = False


@dataclass(slots=True)
class ContainerRecord:
    """One container of a pod over all its restarts.

    Attributes:
        spec: its part of the pod's spec.
        state: as of now.
        last: how the instance before ended; None before the first restart.
        container_id: of the newest instance; empty before the first.
        image_id: what the newest instance was made of: a digest, or what stands for an image.
        restarts: instances that were started after the first.
        started: the startup probe has passed, or there is none.
        ready: the readiness probe passes, or there is none.
        backoff_seconds: how long the next restart is held back, counted from the end of the last instance.
        backoff_at: when a restart was last made; 0 for never.
        pull_seconds: how long a failed pull was held back last.
        retry_at: not started before this time.
        unhealthy: why liveness or startup probes gave the instance up; empty while they did not.
        grace_seconds: of the probe that gave it up; None for the pod's own.
        stop_signal: of the newest instance's image.
        stop: set while the instance is being ended.
        frozen: process 1 of the newest instance was stopped by the pod's annotation.
    """

    spec: Object
    role: Role
    state: State
    last: Terminated | None = None
    container_id: str = ""
    image_id: str = ""
    restarts: int = 0
    started: bool = False
    ready: bool = False
    backoff_seconds: float = 0.0
    backoff_at: float = 0.0
    pull_seconds: float = 0.0
    retry_at: float = 0.0
    unhealthy: str = ""
    grace_seconds: float | None = None
    stop_signal: int = field(default=int(signal.SIGTERM))
    stop: Stop | None = None
    frozen: bool = False
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = str(self.spec["name"])

    @property
    def pre_stop(self) -> dict[str, Any] | None:
        """The preStop hook of the spec."""
        found: dict[str, Any] | None = (self.spec.get("lifecycle") or {}).get("preStop")
        return found

    @property
    def running(self) -> bool:
        """Whether an instance runs."""
        return isinstance(self.state, Running)


def records_of(spec: Object) -> list[ContainerRecord]:
    """Return a fresh record for each container of a pod's spec: init containers first, in order."""
    init: list[Object] = spec.get("initContainers") or []
    waiting = Waiting("PodInitializing") if init else Waiting("ContainerCreating")
    records = []
    for container in init:
        role = Role.SIDECAR if container.get("restartPolicy") == "Always" else Role.INIT
        records.append(ContainerRecord(container, role, waiting))
    records += [ContainerRecord(container, Role.MAIN, waiting) for container in spec["containers"]]
    return records
