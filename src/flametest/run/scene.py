"""What scenarios share: the system that they run on, how much load is offered to it, and by which limits."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

from flametest.clusters import Access
from flametest.faults.owner import RUNNER_VARIABLE, own_name
from flametest.load import LoadOptions
from flametest.run.bookkeeper import Bookkeeper
from flametest.run.halting import Halt
from flametest.run.project import Project
from flametest.run.repeats import Repeat

__all__ = ["LoadSize", "Scene", "load_options", "recorder_environment"]


@dataclass(frozen=True, slots=True)
class LoadSize:
    """How much load is offered; users times rate is the offered rate.

    Attributes:
        users: Locust's users.
        rate_per_user: requests a second of each; None for the rate that they reach.
        workers: pods that send it; 0 for one process on this machine.
        entry: the entry's address as those pods have it; empty to have it found.
        load_test: the Locust file; None for the project's own.
        arguments: further arguments of Locust's command line.
    """

    users: int
    rate_per_user: float | None
    workers: int = 0
    entry: str = ""
    load_test: Path | None = None
    arguments: tuple[str, ...] = ()

    @property
    def offered_per_second(self) -> float:
        """Return the rate of all users together; 0 where none is asked for."""
        return self.users * (self.rate_per_user or 0.0)

    @property
    def words(self) -> str:
        """Return how much is offered."""
        if self.rate_per_user is None:
            return f"{self.users} users, at the rate that they reach"
        return f"{self.offered_per_second:g} requests a second"


@dataclass(frozen=True, slots=True)
class Scene:
    """What scenarios on one system share: how it is reached, its load, its limits, who keeps its ledgers.

    ``halt`` tells whether they are to be stopped.
    """

    access: Access
    project: Project
    load: LoadSize
    limits: tuple[str, ...]
    bookkeeper: Bookkeeper
    halt: Halt


def recorder_environment(scene: Scene, repeat: Repeat, folder: Path) -> dict[str, str]:
    """Return the variables by which Chaos Toolkit reaches the system, and records into ``folder``."""
    return {
        **scene.access.environment(os.environ),
        "FLAMETEST_RECORD_DIR": str(folder),
        "FLAMETEST_SEED": str(repeat.seed),
        "FLAMETEST_EXTRA_BASELINE_SECONDS": str(repeat.extra_baseline_seconds),
        "FLAMETEST_LIMITS_FILE": str(scene.project.limits_file),
        "FLAMETEST_LIMITS": shlex.join(scene.limits),
        RUNNER_VARIABLE: str(own_name()),
    }


def load_options(scene: Scene, path: str = "/") -> LoadOptions:
    """Return the load that users offer to ``path``; ``/`` stands for the load test's own mixture."""
    load = scene.load
    return LoadOptions(
        load.users,
        load.rate_per_user,
        scene.access.url,
        load.load_test or scene.project.locustfile,
        path=path,
        environment=scene.access.environment(os.environ),
        arguments=load.arguments,
    )
