"""Faults of one experiment that last at the same time: healed in any order, the system is as it was."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flametest.faults.bad_rollout import BadRollout
from flametest.faults.catalogue import FAULTS
from flametest.faults.dependency_outage import DependencyOutage
from flametest.faults.errors import FaultError
from flametest.faults.healing import Healing, heal_all
from flametest.faults.overlap import ASPECTS, contested, refuse_contested
from flametest.faults.protocol import Fault
from flametest.faults.scaling import Scaling
from flametest.faults.undo import UndoJournal
from flametest.faults.wrapper import Injector
from flametest.kube.resources import DEPLOYMENTS
from flametest.model.events import Target
from tests.faults.conftest import NAMESPACE
from tests.faults.test_holding import API, ME, injector, record, replicas, shop

__all__ = ["shop"]


def inject(client: Any, injecting: Injector, *faults: Fault) -> list[str]:
    """Inject without waiting for a proof, and return the undo records' names."""
    records = []
    for fault in faults:
        armed = injecting.arm(fault)
        fault.inject(client, armed.targets)
        injecting.injected(armed)
        records.append(armed.record)
    return records


def specification(client: Any) -> Any:
    return client.api.get(DEPLOYMENTS.path(NAMESPACE, "api"))["spec"]


def rollout(image: str) -> BadRollout:
    return BadRollout(NAMESPACE, "api", image)


@pytest.fixture
def rolled(shop: Any) -> Any:
    spec = shop.api.objects[DEPLOYMENTS.path(NAMESPACE, "api")]["spec"]
    spec["template"]["spec"] = {"containers": [{"name": "main", "image": "api:1"}]}
    return shop


STACKS: dict[str, Sequence[Fault]] = {
    "two scalings": (Scaling(NAMESPACE, "api", 5), Scaling(NAMESPACE, "api", 4)),
    "equal scalings": (Scaling(NAMESPACE, "api", 5), Scaling(NAMESPACE, "api", 5)),
    "there and back": (Scaling(NAMESPACE, "api", 5), Scaling(NAMESPACE, "api", 3)),
    "scaled, then away": (Scaling(NAMESPACE, "api", 5), DependencyOutage(NAMESPACE, "api", "Deployment")),
    "away, then scaled": (DependencyOutage(NAMESPACE, "api", "Deployment"), Scaling(NAMESPACE, "api", 2)),
    "three": tuple(Scaling(NAMESPACE, "api", count) for count in (5, 1, 4)),
    "two images": (rollout("api:2"), rollout("api:3")),
    "image and replicas": (rollout("api:2"), Scaling(NAMESPACE, "api", 5), rollout("api:4")),
}


@pytest.mark.parametrize("stack", STACKS)
def test_faults_on_one_object_are_healed_one_by_one_in_any_order(rolled: Any, tmp_path: Path, stack: str) -> None:
    before = specification(rolled)
    for number, order in enumerate(itertools.permutations(range(len(STACKS[stack])))):
        injecting = injector(rolled, tmp_path / str(number), ME)
        records = inject(rolled, injecting, *STACKS[stack])
        for place in order:
            assert [one.healed for one in injecting.heal({records[place]})] == [True], (stack, order)
        assert specification(rolled) == before, (stack, order)
        assert UndoJournal(tmp_path / str(number)).records() == ((), ())


def test_what_a_later_fault_covers_stays_covered_until_that_is_healed(rolled: Any, tmp_path: Path) -> None:
    injecting = injector(rolled, tmp_path, ME)
    first, second = inject(rolled, injecting, Scaling(NAMESPACE, "api", 4), Scaling(NAMESPACE, "api", 5))
    (healing,) = injecting.heal({first})
    assert healing.evidence == "it is covered by 'scale Deployment api to 5', which leads back to what was before both"
    assert replicas(rolled) == 5
    (left,) = UndoJournal(tmp_path).records()[0]
    assert (left.identifier, left.state["before"]) == (second, 3)
    injecting.heal({second})
    assert replicas(rolled) == 3


@pytest.mark.parametrize("removed", [True, False])
def test_who_dies_between_two_steps_of_a_healing_leaves_what_the_next_one_heals(
    rolled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, removed: bool
) -> None:
    injecting = injector(rolled, tmp_path, ME)
    first, _ = inject(rolled, injecting, Scaling(NAMESPACE, "api", 4), Scaling(NAMESPACE, "api", 5))

    class Died(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Died

    with monkeypatch.context() as dying:
        dying.setattr(UndoJournal, "remove" if removed else "write", die)
        with pytest.raises(Died):
            injecting.heal({first})
    records, errors = UndoJournal(tmp_path).records()
    assert (len(records), errors) == (2, ())
    assert all(one.healed for one in heal_all(UndoJournal(tmp_path), records, lambda *_: rolled))
    assert replicas(rolled) == 3


def test_two_edges_of_one_service_last_side_by_side_and_keep_it_from_being_removed() -> None:
    of_service = Target("Service", NAMESPACE, "api", "s")
    first, second = (replace(record(ME, of_service), fault="edge", title=title) for title in ("slow", "silent"))
    assert not contested(first, second)
    refuse_contested([first], second)
    removal = replace(second, fault="service_removal")
    refuse_contested([first], removal)
    with pytest.raises(FaultError, match=r"2 faults of this experiment share what is in front of it \(slow; silent\)"):
        refuse_contested([first, second], removal)
    refuse_contested([first, second], replace(second, fault="scaling"))


def test_a_fault_that_nobody_knows_is_taken_to_change_everything_of_its_targets() -> None:
    known = replace(record(ME, API), fault="scaling")
    assert contested(known, replace(known, fault="of-another-version"))
    assert not contested(known, replace(known, fault="bad_rollout"))


def test_every_fault_that_lasts_says_what_it_changes() -> None:
    assert {fault.name for fault in FAULTS if fault.lasts} == set(ASPECTS)


def test_what_cannot_be_healed_while_another_fault_lasts_is_tried_again_after_it(
    rolled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    injecting = injector(rolled, tmp_path, ME)
    inject(rolled, injecting, Scaling(NAMESPACE, "api", 4), rollout("api:2"))

    def heal(journal: UndoJournal, records: Sequence[Any]) -> tuple[Healing, ...]:
        if records[0].fault == "bad_rollout" and replicas(rolled) != 3:
            return (Healing(records[0].title, False, "its pods do not answer"),)
        return heal_all(journal, records, lambda *_: rolled)

    monkeypatch.setattr("flametest.faults.armed.heal_all", heal)
    assert [one.healed for one in injecting.heal()] == [True, True]
    assert specification(rolled)["template"]["spec"]["containers"][0]["image"] == "api:1"
