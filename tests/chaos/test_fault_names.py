"""What faults of an experiment are called, and how they are healed by these names."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flametest.chaos.errors import RecorderError
from flametest.chaos.injections import ExperimentFaults, Preview
from flametest.chaos.names import FaultNames
from flametest.chaos.preview import preview
from flametest.chaos.values import Values
from flametest.faults.errors import FaultError
from flametest.faults.healing import heal_all, place_of
from flametest.faults.owner import Owner, own_name
from flametest.faults.protocol import Proof
from flametest.faults.safety import Radius
from flametest.faults.scaling import Scaling
from flametest.faults.wrapper import InjectionOptions
from flametest.kube.resources import DEPLOYMENTS, NAMESPACES
from flametest.model.events import EdgeCounted, Event, FaultHealed, FaultInjected, FaultProved, RuleCount
from tests.faults.conftest import NAMESPACE, client
from tests.faults.test_holding import Unstarted, replicas

__all__ = ["client"]


def test_a_fault_is_called_as_it_is_asked_for_or_by_its_kind_and_never_as_another_one() -> None:
    names = FaultNames()
    assert [names.take("", "edge"), names.take("edge-2", "edge"), names.take("", "edge")] == [
        "edge",
        "edge-2",
        "edge-3",
    ]
    assert names.take("redis-away", "dependency_outage") == "redis-away"
    with pytest.raises(RecorderError, match="two faults of this experiment are called 'redis-away'"):
        names.take("redis-away", "edge")
    with pytest.raises(RecorderError, match="no fault called 'gone' was injected"):
        names.check(["edge", "gone"])
    with pytest.raises(RecorderError, match="expected a list"):
        names.check("edge")


@pytest.mark.parametrize("name", ["a b", "-a", "ü", "a" * 41, "a/b"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(RecorderError, match="cannot be the name of a fault"):
        FaultNames().take(name, "edge")


class Noting:
    """A recorder that keeps what it is told."""

    def __init__(self) -> None:
        self.scenario = type("Named", (), {"name": "s"})
        self.noted: list[Event] = []

    def seed(self, fault: str) -> None:
        """Draw nothing."""

    def note(self, event: Event) -> None:
        """Keep an event."""
        self.noted.append(event)

    def note_fault(self, event: FaultInjected) -> int:
        """Keep an injection, and return its number."""
        self.noted.append(event)
        return len([one for one in self.noted if isinstance(one, FaultInjected)])

    def note_proof(self, injection: int, fault: str, proof: Proof) -> None:
        """Keep a proof."""
        self.noted.append(FaultProved(self.noted[-1].at, "s", fault, proof.proved, proof.evidence, injection))

    def of(self, kind: type) -> list[Any]:
        """Return what was noted of a kind."""
        return [one for one in self.noted if isinstance(one, kind)]


@pytest.fixture
def shop(client: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr("flametest.faults.wrapper.Guardian", Unstarted)
    monkeypatch.setattr(
        "flametest.faults.armed.heal_all", lambda journal, records: heal_all(journal, records, lambda *_: client)
    )
    monkeypatch.setattr(Scaling, "prove", lambda *_: Proof(True, "it has them"))
    client.api.put(NAMESPACES, {"metadata": {"name": "kube-system"}})
    for name in ("api", "logic"):
        client.api.put(DEPLOYMENTS, {"metadata": {"name": name}, "spec": {"replicas": 3}})
    return client


def test_each_fault_has_its_own_injection_proof_and_healing(shop: Any, tmp_path: Path) -> None:
    noting: Any = Noting()
    options = InjectionOptions(Radius(frozenset({NAMESPACE})), tmp_path, Owner(own_name(), None))
    faults = ExperimentFaults(shop, place_of(shop, "/kubeconfig", "context"), options, noting, NAMESPACE)
    faults.inject(Scaling(NAMESPACE, "api", 5), "more-api")
    faults.inject(Scaling(NAMESPACE, "logic", 4))
    faults.inject(Scaling(NAMESPACE, "api", 2))
    faults.heal(["more-api"])
    assert replicas(shop) == 2
    faults.heal(["more-api", "scaling-2"])
    assert replicas(shop) == 3
    faults.heal()
    injected, proved, healed = noting.of(FaultInjected), noting.of(FaultProved), noting.of(FaultHealed)
    assert [one.name for one in injected] == ["more-api", "scaling", "scaling-2"]
    assert [one.injection for one in proved] == [1, 2, 3]
    assert [one.injection for one in healed] == [1, 3, 2]
    with pytest.raises(RecorderError, match="no fault called 'unknown'"):
        faults.heal(["unknown"])


@dataclass(frozen=True, slots=True)
class Counting(Scaling):
    """A fault that counts, as long as what it counts in answers."""

    answers: bool = True

    @property
    def counted_at(self) -> str:
        """Return where."""
        return f"{self.workload} port 80"

    def counts(self, client: Any) -> tuple[RuleCount, ...]:
        """Return a rule's count."""
        if not self.answers:
            raise FaultError("the proxy is gone")
        return (RuleCount("delay by 60 ms", 40, 10, 3),)


def test_what_a_fault_has_counted_is_noted_before_it_is_healed(shop: Any, tmp_path: Path) -> None:
    noting: Any = Noting()
    options = InjectionOptions(Radius(frozenset({NAMESPACE})), tmp_path, Owner(own_name(), None))
    faults = ExperimentFaults(shop, place_of(shop, "/kubeconfig", "context"), options, noting, NAMESPACE)
    faults.inject(Counting(NAMESPACE, "api", 5))
    faults.inject(Counting(NAMESPACE, "logic", 4, answers=False))
    faults.heal()
    faults.heal()
    (counted,) = noting.of(EdgeCounted)
    assert (counted.edge, counted.injection, counted.rules[0].hit) == ("api port 80", 1, 3)
    kinds = [type(one) for one in noting.noted]
    assert kinds.index(EdgeCounted) < kinds.index(FaultHealed)
    assert len(noting.of(FaultHealed)) == 2


def test_a_preview_counts_a_fault_until_it_is_healed_by_its_name(client: Any) -> None:
    for name in ("api", "logic"):
        client.api.put(DEPLOYMENTS, {"metadata": {"name": name}, "spec": {"replicas": 3}})
    faults = Preview(client, Radius(frozenset({NAMESPACE}), targets_max=1), NAMESPACE)
    faults.inject(Scaling(NAMESPACE, "api", 5), "first")
    with pytest.raises(Exception, match="with the faults before it, it hits 2 objects"):
        faults.inject(Scaling(NAMESPACE, "logic", 5))
    faults.recover(lasting=True, names=["first"])
    faults.inject(Scaling(NAMESPACE, "logic", 5), "second")
    with pytest.raises(RecorderError, match="no fault called 'third'"):
        faults.recover(lasting=True, names=["third"])


def experiment(*actions: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    def provider(function: str, arguments: dict[str, Any], module: str = "flametest.chaos.actions") -> dict[str, Any]:
        return {"type": "python", "module": module, "func": function, "arguments": arguments}

    recorder = provider("", {"scenario": "s", "workload": "api"}, "flametest.chaos.controls")
    del recorder["func"]
    return {
        "title": "t",
        "description": "d",
        "controls": [{"name": "recorder", "provider": recorder}],
        "method": [
            {"type": "action", "name": f"step-{number}", "provider": provider(function, arguments)}
            for number, (function, arguments) in enumerate(actions)
        ],
    }


@pytest.mark.parametrize(
    ("names", "healed", "told"),
    [
        (("a", "b"), ["a"], ""),
        (("a", "a"), ["a"], "two faults of this experiment are called 'a'"),
        (("a", "b"), ["c"], "no fault called 'c' was injected before it is to be healed"),
    ],
)
def test_names_that_do_not_fit_are_refused_before_anything_is_injected(
    client: Any, names: tuple[str, str], healed: list[str], told: str
) -> None:
    for name in ("api", "logic"):
        client.api.put(DEPLOYMENTS, {"metadata": {"name": name}, "spec": {"replicas": 3}})
    document = experiment(
        ("inject_scaling", {"workload": "api", "replicas": 4, "name": names[0]}),
        ("inject_scaling", {"workload": "logic", "replicas": 4, "name": names[1]}),
        ("heal_faults", {"names": healed}),
    )
    if not told:
        assert len(preview(document, Values({}, {}), client, NAMESPACE)) == 2
        return
    with pytest.raises(RecorderError, match=told):
        preview(document, Values({}, {}), client, NAMESPACE)
