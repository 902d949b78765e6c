"""One scenario of a run: the load and the ledger of writes, and beside them one experiment by stock Chaos Toolkit."""

import os
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
from flametest.run.deploy import NAMESPACE
from flametest.run.experiment import Experiment
from flametest.run.folder import append_event, stamp

__all__ = ["LoadSize", "Scene", "run_scenario"]


@dataclass(frozen=True, slots=True)
class LoadSize:
    """How much load is offered; users times rate is the offered rate."""

    users: int
    rate_per_user: float

    @property
    def offered_per_second(self) -> float:
        """Return the rate of all users together."""
        return self.users * self.rate_per_user


@dataclass(frozen=True, slots=True)
class Scene:
    """What all scenarios of a run share: how the system is reached, the load on it, and who keeps its ledgers."""

    access: Access
    locustfile: Path
    load: LoadSize
    seed: int
    bookkeeper: Bookkeeper


def run_scenario(experiment: Experiment, scene: Scene, folder: Path, saw: Callable[[str], None]) -> ChaosOutcome:
    """Run one experiment under load and writes; everything recorded lies in ``folder`` afterwards.

    Raises:
        LoadError: the load could not be brought up, or died.
    """
    environment = {
        **scene.access.environment(os.environ),
        "FLAMETEST_NAMESPACE": NAMESPACE,
        "FLAMETEST_RECORD_DIR": str(folder),
        "FLAMETEST_SEED": str(scene.seed),
        RUNNER_VARIABLE: str(own_name()),
    }
    saw(f"bringing up {scene.load.offered_per_second:g} requests a second")
    with _loaded(experiment, scene, folder), scene.bookkeeper.writing(experiment.name, scene.seed, folder):
        return run_chaos(experiment.path, folder / "journal.json", environment, saw)


@contextmanager
def _loaded(experiment: Experiment, scene: Scene, folder: Path) -> Iterator[None]:
    name, history, load = experiment.name, folder / "history.jsonl", scene.load
    options = LoadOptions(
        load.users, load.rate_per_user, scene.access.url, scene.locustfile, path=experiment.entry_path
    )
    reason = "stopped"
    with Locust(options, folder) as locust:
        locust.wait_until_offered()
        append_event(history, LoadStarted(stamp(), name, load.users, load.offered_per_second))
        try:
            yield
            locust.check()
        except BaseException as error:
            reason = str(error) or type(error).__name__
            raise
        finally:
            append_event(history, LoadEnded(stamp(), name, reason))
