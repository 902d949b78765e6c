"""One scenario of a run: the load, and beside it one experiment by stock Chaos Toolkit."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flametest.clusters import Access
from flametest.load import Locust, LoadOptions
from flametest.model.events import LoadEnded, LoadStarted, Stamp
from flametest.run.chaostoolkit import ChaosOutcome, run_chaos
from flametest.run.deploy import NAMESPACE
from flametest.run.experiment import Experiment
from flametest.run.folder import append_event
from flametest.run.progress import Step

__all__ = ["LoadSize", "run_scenario", "stamp"]


@dataclass(frozen=True, slots=True)
class LoadSize:
    """How much load is offered; users times rate is the offered rate."""

    users: int
    rate_per_user: float

    @property
    def offered_per_second(self) -> float:
        """Return the rate of all users together."""
        return self.users * self.rate_per_user


def stamp() -> Stamp:
    """Return the present moment on both clocks."""
    return Stamp(time.monotonic_ns(), time.time())


def run_scenario(
    experiment: Experiment, access: Access, folder: Path, locustfile: Path, load: LoadSize, step: Step
) -> ChaosOutcome:
    """Run one experiment under load; everything recorded lies in ``folder`` afterwards.

    Raises:
        LoadError: the load could not be brought up, or died.
    """
    environment = {
        "KUBECONFIG": str(access.kubeconfig),
        "KUBERNETES_CONTEXT": access.context,
        "FLAMETEST_URL": access.url,
        "FLAMETEST_NAMESPACE": NAMESPACE,
        "FLAMETEST_RECORD_DIR": str(folder),
    }
    with _loaded(experiment.name, access.url, folder, locustfile, load, step):
        return run_chaos(experiment.path, folder / "journal.json", environment, step.saw)


@contextmanager
def _loaded(name: str, url: str, folder: Path, locustfile: Path, load: LoadSize, step: Step) -> Iterator[None]:
    history = folder / "history.jsonl"
    options = LoadOptions(users=load.users, rate_per_user=load.rate_per_user, url=url, locustfile=locustfile)
    locust = Locust(options, folder)
    step.saw(f"load of {load.offered_per_second:g} requests a second")
    reason = "stopped"
    locust.start()
    try:
        locust.wait_until_offered()
        append_event(history, LoadStarted(stamp(), name, load.users, load.offered_per_second))
        yield
        locust.check()
    except BaseException as error:
        reason = str(error) or type(error).__name__
        raise
    finally:
        append_event(history, LoadEnded(stamp(), name, reason))
        locust.stop()
