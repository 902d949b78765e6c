"""Faults are healed at once when users suffer more than is allowed, also while another one is being injected."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flametest.chaos.harmwatch import HarmWatch
from flametest.chaos.injections import ExperimentFaults
from flametest.chaos.radius import harm_limits
from flametest.chaos.record import GrowingSamples
from flametest.faults.errors import FaultError
from flametest.faults.healing import place_of
from flametest.faults.owner import Owner, own_name
from flametest.faults.safety import Radius
from flametest.faults.scaling import Scaling
from flametest.faults.undo import UndoJournal
from flametest.faults.wrapper import InjectionOptions
from flametest.load.samplefile import SampleFile
from flametest.model.events import FaultHealed, HarmLimitPassed
from flametest.model.harm import HarmLimit, HarmLimitError
from flametest.model.samples import Lane, Outcome, Sample
from tests.chaos.test_fault_names import Noting, client, shop
from tests.faults.conftest import NAMESPACE
from tests.faults.system import wait_until
from tests.faults.test_holding import replicas
from tests.patience import PATIENCE_SECONDS

__all__ = ["client", "shop"]


class Recording(Noting):
    """A recorder that keeps what it is told, beside a folder of samples."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def interrupt(self, harm: HarmLimitPassed) -> None:
        """Keep what was passed."""
        self.noted.append(harm)


class Users:
    """Writes samples as prober and load do."""

    def __init__(self, folder: Path) -> None:
        self._file = SampleFile(folder / "samples-prober.csv")

    def ask(self, count: int, outcome: Outcome) -> None:
        """Have requests answered now."""
        now = time.monotonic_ns()
        for _ in range(count):
            status = 200 if outcome is Outcome.OK else 503
            self._file.append(Sample(Lane.FRESH, "GET /", now, now, now, outcome, status, "api-1", ""))
        self._file.flush()

    def leave(self) -> None:
        """End."""
        self._file.close()


@pytest.fixture
def users(tmp_path: Path) -> Iterator[Users]:
    asking = Users(tmp_path)
    yield asking
    asking.leave()


@pytest.fixture
def recording(tmp_path: Path) -> Any:
    return Recording(tmp_path)


@pytest.fixture
def faults(shop: Any, tmp_path: Path, recording: Any) -> ExperimentFaults:
    options = InjectionOptions(Radius(frozenset({NAMESPACE})), tmp_path, Owner(own_name(), None))
    return ExperimentFaults(shop, place_of(shop, "/kubeconfig", "context"), options, recording, NAMESPACE)


@pytest.fixture
def watching(faults: ExperimentFaults, recording: Any) -> Any:
    watch = HarmWatch((HarmLimit("availability", 0.5),), recording, faults)
    watch.start()
    yield watch
    watch.stop()


@pytest.mark.usefixtures("watching")
def test_all_faults_are_healed_when_users_suffer_too_much_and_none_is_injected_any_more(
    shop: Any, tmp_path: Path, users: Users, recording: Any, faults: ExperimentFaults
) -> None:
    faults.inject(Scaling(NAMESPACE, "api", 5), "first")
    faults.inject(Scaling(NAMESPACE, "logic", 2), "second")
    users.ask(100, Outcome.FAILED)
    wait_until(lambda: len(recording.of(FaultHealed)) == 2, PATIENCE_SECONDS)
    (harm,) = recording.of(HarmLimitPassed)
    assert (harm.figure, harm.value, harm.limit, harm.requests) == ("availability", 0.0, 0.5, 100)
    assert replicas(shop) == 3
    assert UndoJournal(tmp_path).records() == ((), ())
    with pytest.raises(FaultError, match=r"stopped by --abort-when availability=0\.5"):
        faults.inject(Scaling(NAMESPACE, "api", 4))
    assert faults.heal() == ()


def test_nothing_is_stopped_while_no_fault_lasts(
    users: Users, recording: Any, faults: ExperimentFaults, watching: HarmWatch
) -> None:
    looks = threading.Semaphore(0)

    class Looked(dict[str, int]):
        """What lasts, and who looks at it."""

        def values(self) -> Any:
            """Return what lasts, and tell that it was looked at."""
            looks.release()
            return super().values()

    faults._lasting = Looked()
    users.ask(100, Outcome.FAILED)
    for _ in range(3):
        assert looks.acquire(timeout=PATIENCE_SECONDS)
    faults.inject(Scaling(NAMESPACE, "api", 5), "healed")
    faults.heal(["healed"])
    users.ask(100, Outcome.FAILED)
    for _ in range(3):
        assert looks.acquire(timeout=PATIENCE_SECONDS)
    assert recording.of(HarmLimitPassed) == []
    watching.stop()


@pytest.mark.usefixtures("watching")
def test_what_is_being_injected_is_healed_as_soon_as_its_injection_has_ended(
    shop: Any, users: Users, recording: Any, faults: ExperimentFaults, monkeypatch: pytest.MonkeyPatch
) -> None:
    inject = Scaling.inject
    faults.inject(Scaling(NAMESPACE, "logic", 2), "first")

    def slowly(fault: Scaling, api: Any, targets: Any) -> None:
        users.ask(100, Outcome.FAILED)
        wait_until(lambda: recording.of(FaultHealed), PATIENCE_SECONDS)  # the first one, while this one is under way
        inject(fault, api, targets)

    monkeypatch.setattr(Scaling, "inject", slowly)
    with pytest.raises(FaultError, match="stopped by --abort-when"):
        faults.inject(Scaling(NAMESPACE, "api", 5), "second")
    assert replicas(shop) == 3
    assert [one.injection for one in recording.of(FaultHealed)] == [1, 2]


def test_samples_are_followed_as_they_are_written(tmp_path: Path, users: Users) -> None:
    growing = GrowingSamples(tmp_path)
    seen = []
    for count in (3, 0, 5):
        users.ask(count, Outcome.OK)
        seen.append(len(growing.read()))
    assert seen == [3, 3, 8]
    with (tmp_path / "samples-prober.csv").open("ab") as file:
        file.write(b"fresh,GET /,1,1")
    assert len(growing.read()) == 8


def test_the_environment_comes_before_the_experiments_own_limits() -> None:
    own = {"abort_when": ["availability=0.5", "outage_seconds=3"]}
    found = harm_limits(own, {"FLAMETEST_ABORT_WHEN": "availability=0.9"})
    assert found == (HarmLimit("availability", 0.9), HarmLimit("outage_seconds", 3))
    assert harm_limits({"abort_when": "availability=0.5"}, {}) == (HarmLimit("availability", 0.5),)
    assert harm_limits({}, {}) == ()
    with pytest.raises(HarmLimitError):
        harm_limits({"abort_when": ["availability"]}, {})
    with pytest.raises(ValueError, match="expected a list"):
        harm_limits({"abort_when": 3}, {})
