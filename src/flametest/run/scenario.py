"""One scenario of a run: the load and the ledger of writes, and beside them one experiment by stock Chaos Toolkit."""

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flametest.clusters import Access
from flametest.faults.owner import RUNNER_VARIABLE, own_name
from flametest.load import LoadOptions, Locust
from flametest.model.events import LoadEnded, LoadStarted
from flametest.run.bookkeeper import Bookkeeper
from flametest.run.chaostoolkit import ChaosOutcome, run_chaos
from flametest.run.experiment import Experiment
from flametest.run.folder import append_event, stamp
from flametest.run.loadpods import PodLoadOptions, loaded_from_pods, wait_until_offered
from flametest.run.project import Project
from flametest.run.repeats import Repeat

__all__ = ["LoadSize", "Scene", "run_scenario"]


@dataclass(frozen=True, slots=True)
class LoadSize:
    """How much load is offered; users times rate is the offered rate.

    Attributes:
        users: Locust's users.
        rate_per_user: requests a second of each.
        workers: pods that send it; 0 for one process on this machine.
        entry: the entry's address as those pods have it; empty to have it found.
    """

    users: int
    rate_per_user: float
    workers: int = 0
    entry: str = ""

    @property
    def offered_per_second(self) -> float:
        """Return the rate of all users together."""
        return self.users * self.rate_per_user


@dataclass(frozen=True, slots=True)
class Scene:
    """What all scenarios of a run share: how the system is reached, its load, its limits, and who keeps its ledgers."""

    access: Access
    project: Project
    load: LoadSize
    limits: tuple[str, ...]
    bookkeeper: Bookkeeper


def run_scenario(
    experiment: Experiment, scene: Scene, repeat: Repeat, folder: Path, saw: Callable[[str], None]
) -> ChaosOutcome:
    """Run one trial of an experiment under load and writes; everything recorded lies in ``folder`` afterwards.

    Raises:
        LoadError: the load could not be started, or died.
    """
    environment = {
        **scene.access.environment(os.environ),
        "FLAMETEST_RECORD_DIR": str(folder),
        "FLAMETEST_SEED": str(repeat.seed),
        "FLAMETEST_EXTRA_BASELINE_SECONDS": str(repeat.extra_baseline_seconds),
        "FLAMETEST_LIMITS_FILE": str(scene.project.limits_file),
        "FLAMETEST_LIMITS": shlex.join(scene.limits),
        RUNNER_VARIABLE: str(own_name()),
    }
    saw(f"bringing up {scene.load.offered_per_second:g} requests a second")
    with _loaded(experiment, scene, folder, saw), scene.bookkeeper.writing(experiment.name, repeat.seed, folder):
        return run_chaos(experiment.path, folder / "journal.json", environment, saw)


@contextmanager
def _loaded(experiment: Experiment, scene: Scene, folder: Path, saw: Callable[[str], None]) -> Iterator[None]:
    name, history, load = experiment.name, folder / "history.jsonl", scene.load
    options = LoadOptions(
        load.users,
        load.rate_per_user,
        scene.access.url,
        scene.project.locustfile,
        path=experiment.entry_path,
        environment=scene.access.environment(os.environ),
    )
    if load.workers:
        pods = PodLoadOptions(options, load.workers, load.entry)
        with loaded_from_pods(name, scene.access, pods, folder, saw):
            yield
        return
    reason = "stopped"
    with Locust(options, folder) as locust:
        wait_until_offered(locust, name, history)
        append_event(history, LoadStarted(stamp(), name, load.users, load.offered_per_second))
        try:
            yield
            locust.check()
        except BaseException as error:
            reason = str(error) or type(error).__name__
            raise
        finally:
            append_event(history, LoadEnded(stamp(), name, reason))
