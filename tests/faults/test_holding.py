"""A fault belongs to one run: another one is refused the same object, and what an ended run left is healed first."""

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flametest.faults.errors import FaultError
from flametest.faults.healing import heal_all, place_of
from flametest.faults.holding import held_by_others, refuse_beside, shared
from flametest.faults.owner import Owner, ProcessName, own_name
from flametest.faults.protocol import Fault
from flametest.faults.safety import Radius
from flametest.faults.scaling import Scaling
from flametest.faults.service_removal import ServiceRemoval
from flametest.faults.undo import Place, UndoJournal, UndoRecord, identifier
from flametest.faults.wrapper import InjectionOptions, Injector
from flametest.kube.resources import DEPLOYMENTS, NAMESPACES
from flametest.model.events import Target
from tests.faults.conftest import NAMESPACE
from tests.faults.driver import Ending

ME = own_name()
DEAD = ProcessName(ME.pid, ME.start_ticks + 1, ME.boot)
API = Target("Deployment", NAMESPACE, "api", "uid-of-api")


@pytest.fixture
def neighbour() -> Iterator[ProcessName]:
    """Another process that lives, in the place of another run."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        ticks = int(Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19])
        yield ProcessName(process.pid, ticks, ME.boot)
        process.kill()


def record(owner: ProcessName, *targets: Target, cluster: str = "c", **changes: Any) -> UndoRecord:
    place = Place("/kubeconfig", "context", cluster)
    name = identifier(time.time_ns(), owner.pid, "scaling")
    made = UndoRecord(name, "scaling", "scale api to 5", targets, {}, place, Owner(owner, None), time.time() + 60)
    return replace(made, **changes)


SAME = [
    (record(ME, API), record(DEAD, API)),
    (record(ME, API), record(DEAD, replace(API, uid="recreated"))),
    (record(ME, API), record(DEAD, API, cluster="another, or not known")),  # a uid is one of a kind anywhere
    (record(ME, API, cluster=""), record(DEAD, replace(API, uid="recreated"))),
    (
        record(ME, API, cluster="", namespaces={NAMESPACE: "n"}),
        record(DEAD, replace(API, uid="x"), namespaces={NAMESPACE: "n"}, place=Place("/other", "other", "c")),
    ),
]
OTHERS = [
    (record(ME, API), record(DEAD, replace(API, uid="x"), cluster="another")),
    (record(ME, API), record(DEAD, Target("StatefulSet", NAMESPACE, "api", "x"))),
    (record(ME, API), record(DEAD, Target("Deployment", "another", "api", "x"))),
    (
        record(ME, Target("Pod", NAMESPACE, "redis-0", "first")),
        record(DEAD, Target("Pod", NAMESPACE, "redis-0", "second")),
    ),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_an_object_is_the_same_by_its_uid_or_by_its_name_in_one_cluster(one: UndoRecord, other: UndoRecord) -> None:
    assert shared(one, other)
    assert shared(other, one)
    assert held_by_others([other], one) == [(other, one.targets[0])]


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_other_clusters_kinds_namespaces_and_later_pods_are_others(one: UndoRecord, other: UndoRecord) -> None:
    assert shared(one, other) is None
    assert shared(other, one) is None


def test_what_ones_own_experiment_holds_does_not_stand_in_its_way() -> None:
    assert held_by_others([record(ME, API)], record(ME, API)) == []


class Unstarted:
    """A guardian that is not needed, since nothing is killed here."""

    def __init__(self, *_: Any) -> None:
        pass

    def start(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""


@pytest.fixture
def shop(client: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A cluster in a dictionary with the Deployment api of 3 pods, to which every record leads."""
    monkeypatch.setattr("flametest.faults.wrapper.Guardian", Unstarted)
    monkeypatch.setattr(
        "flametest.faults.armed.heal_all", lambda journal, records: heal_all(journal, records, lambda *_: client)
    )
    client.api.put(NAMESPACES, {"metadata": {"name": "kube-system"}})
    labels = {"metadata": {"labels": {"app": "api"}}}
    client.api.put(DEPLOYMENTS, {"metadata": {"name": "api"}, "spec": {"replicas": 3, "template": labels}})
    return client


def injector(client: Any, home: Path, owner: ProcessName) -> Injector:
    options = InjectionOptions(Radius(frozenset({NAMESPACE})), home, Owner(owner, None))
    return Injector(client, place_of(client, "/kubeconfig", "context"), options, Ending("", "end"))


def scaled(client: Any, injecting: Injector, replicas: int) -> None:
    fault: Fault = Scaling(NAMESPACE, "api", replicas)
    armed = injecting.arm(fault)
    fault.inject(client, armed.targets)


def replicas(client: Any) -> int:
    return int(client.api.objects[DEPLOYMENTS.path(NAMESPACE, "api")]["spec"]["replicas"])


def test_a_second_run_is_refused_the_object_and_the_first_heals(
    shop: Any, tmp_path: Path, neighbour: ProcessName
) -> None:
    first, second = injector(shop, tmp_path, neighbour), injector(shop, tmp_path, ME)
    scaled(shop, first, 5)
    with pytest.raises(FaultError, match="Deployment api is held by process") as caught:
        scaled(shop, second, 1)
    assert f"process {neighbour.pid} since " in caught.value.message
    assert "scale Deployment api to 5" in caught.value.message
    assert "wait until that run has ended" in caught.value.remedy
    assert replicas(shop) == 5
    assert second.heal() == ()
    assert [healing.evidence for healing in first.heal()] == ["Deployment api was set back from 5 to 3"]
    scaled(shop, second, 1)
    second.heal()
    assert replicas(shop) == 3


def test_what_an_ended_run_left_is_healed_before_its_state_is_taken_for_that_of_before(
    shop: Any, tmp_path: Path
) -> None:
    scaled(shop, injector(shop, tmp_path, DEAD), 5)
    second = injector(shop, tmp_path, ME)
    scaled(shop, second, 1)
    (mine,) = UndoJournal(tmp_path).records()[0]
    assert (mine.owner.process, mine.state["before"]) == (ME, 3)
    second.heal()
    assert replicas(shop) == 3


def test_what_an_ended_run_left_and_cannot_be_healed_refuses_the_fault(shop: Any, tmp_path: Path) -> None:
    scaled(shop, injector(shop, tmp_path, DEAD), 5)
    (left,) = UndoJournal(tmp_path).records()[0]
    broken = replace(left, fault="of-another-version")
    UndoJournal(tmp_path).write(broken)
    with pytest.raises(FaultError, match="which has ended and left it unhealed"):
        scaled(shop, injector(shop, tmp_path, ME), 1)
    assert replicas(shop) == 5


def test_faults_of_one_experiment_may_overlap_and_are_healed_newest_first(shop: Any, tmp_path: Path) -> None:
    own = injector(shop, tmp_path, ME)
    scaled(shop, own, 5)
    scaled(shop, own, 1)
    assert [healing.healed for healing in own.heal()] == [True, True]
    assert replicas(shop) == 3


def test_what_a_run_records_is_read_again_when_the_journal_changed_meanwhile(
    shop: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, neighbour: ProcessName
) -> None:
    other, record_of, reads = injector(shop, tmp_path, neighbour), Scaling.record, []

    def record(fault: Scaling, client: Any, targets: tuple[Target, ...]) -> Any:
        state = record_of(fault, client, targets)
        if fault.replicas == 1:
            reads.append(state["before"])
            if len(reads) == 1:  # another run comes and goes between the reading and the writing
                scaled(shop, other, 5)
                state = record_of(fault, client, targets)
                other.heal()
        return state

    monkeypatch.setattr(Scaling, "record", record)
    own = injector(shop, tmp_path, ME)
    scaled(shop, own, 1)
    assert len(reads) == 2
    own.heal()
    assert replicas(shop) == 3


def test_a_missing_target_is_explained_by_the_run_that_took_it_away(
    shop: Any, tmp_path: Path, neighbour: ProcessName
) -> None:
    scaled(shop, injector(shop, tmp_path, neighbour), 5)
    with pytest.raises(FaultError, match=f"faults of another run last there: process {neighbour.pid}"):
        injector(shop, tmp_path, ME).arm(ServiceRemoval(NAMESPACE, "logic"))


def test_a_run_is_refused_beside_the_faults_of_another_one(neighbour: ProcessName) -> None:
    place = Place("/kubeconfig", "context", "c")
    mine, theirs = record(ME, API), record(neighbour, API)
    elsewhere = record(neighbour, API, cluster="another")
    refuse_beside([mine, elsewhere, record(DEAD, API)], place, NAMESPACE, Owner(ME, None))
    refuse_beside([theirs], place, "another", Owner(ME, None))
    with pytest.raises(
        FaultError, match=f"faults of another run last in namespace 'flametest': process {neighbour.pid}"
    ):
        refuse_beside([theirs], place, NAMESPACE, Owner(ME, None))
