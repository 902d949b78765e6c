"""Every request that healing sends, disturbed in every way: healed with nothing left, or not healed and healed later.

The API is reached through a proxy that answers with an error, resets, stays silent, or kills the healer at a given
request. What counts is the specification of everything that faults change, byte for byte.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flametest.faults.catalogue import FAULTS as CATALOGUE
from flametest.faults.connection import Reach, Reached, Vantage, ready_pods
from flametest.faults.edge import Edge
from flametest.faults.healing import cluster_uid, heal_all
from flametest.faults.node_drain import NodeDrain
from flametest.faults.node_loss import NodeLoss
from flametest.faults.nodes import NodeSelection
from flametest.faults.own_namespace import MARK, OWN_NAMESPACE, state_of
from flametest.faults.owner import Owner, ProcessName, own_name
from flametest.faults.protocol import Fault, Prepares
from flametest.faults.random_errors import RandomErrors
from flametest.faults.switches import read
from flametest.faults.undo import Place, UndoJournal, UndoRecord, identifier
from flametest.faults.vantage_pod import VantagePod
from flametest.kube import KubeClient
from flametest.kube.resources import NAMESPACES, NODES, PODS
from flametest.model.events import Target
from tests.faults.disturbing import ALL_WAYS, CONTEXT, KILLING, Disturbing, Request, Way, disturbing
from tests.faults.driver import FAULTS
from tests.faults.system import ROOT, System, wait_until
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.sandbox

API_SECONDS = "2"  # how long the API may stay silent here
ATTEMPTS_MAX = 3
OCCURRENCES_MAX = 2  # healing polls; what is asked again and again is disturbed the first times
OWN = "flametest-matrix"
LASTING = [name for name, fault in FAULTS.items() if fault.lasts]
SLICE = [way for way in ALL_WAYS if way.name in ("wrong token", "403", "404 of a proxy", "503 from then on", "reset")]


@dataclass(frozen=True, slots=True)
class Injection:
    """How a fault is injected again and again: at once, and no more of it than has to be healed."""

    name: str
    system: System
    journal: UndoJournal
    disturbed: Disturbing

    def __call__(self) -> UndoRecord:
        """Journal and inject it as a run that has died meanwhile, and return the record, which leads to the proxy."""
        client = self.system.client
        if self.name == OWN_NAMESPACE:
            targets: tuple[Target, ...] = (Target(NAMESPACES.kind, "", OWN, ""),)
            record = self._record(OWN_NAMESPACE, targets, state_of(OWN))
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": OWN, "labels": {MARK: "true"}}}
            client.api.send("POST", NAMESPACES.path(), body)
            return record
        fault = _without_draws(FAULTS[self.name], client)
        targets = fault.targets(client)
        if any(one.kind == NODES.kind for one in targets):
            targets = tuple(one for one in targets if one.kind != PODS.kind)  # nothing has to leave its node
        record = self._record(fault.name, targets, fault.record(client, targets))
        if isinstance(fault, Prepares):
            fault.prepare(client, targets)
        fault.inject(client, targets)
        return record

    def trace(self) -> str:
        """Return everything that faults change, as text: what shows whether anything of this one is left."""
        system, fault = self.system, FAULTS.get(self.name)
        if not isinstance(fault, RandomErrors):
            return system.specifications()
        pods = [
            one for one in ready_pods(system.client, fault.namespace) if one["metadata"]["labels"]["app"] == "logic"
        ]
        on = [read(system.client, fault.namespace, one["metadata"]["name"])["active"] for one in pods]
        return f"{system.specifications()}\nswitches that are on: {on.count(True)}"

    def _record(self, fault: str, targets: tuple[Target, ...], state: dict[str, Any]) -> UndoRecord:
        me = own_name()
        dead = Owner(ProcessName(me.pid, me.start_ticks + 1, me.boot), None)
        place = Place(str(self.disturbed.kubeconfig), CONTEXT, cluster_uid(self.system.client))
        name = identifier(time.time_ns(), me.pid, fault)
        record = UndoRecord(name, fault, fault, targets, state, place, dead, 0.0)
        self.journal.write(record)
        return record


def _without_draws(fault: Fault, client: KubeClient) -> Fault:
    """Return a fault of a node with the name of one, since each request is known by its path."""
    if not isinstance(fault, NodeDrain | NodeLoss):
        return fault
    name = min(one["metadata"]["name"] for one in client.api.get(NODES.path())["items"])
    return type(fault)(NodeSelection("flametest", name))


@pytest.fixture(scope="module")
def disturbed(system: System, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Disturbing]:
    with disturbing(Path(system.environment["KUBECONFIG"]), tmp_path_factory.mktemp("disturbed")) as proxy:
        yield proxy


def _made(vantage_pod: VantagePod, client: KubeClient, place: tuple[str, int], behind: Any) -> Reached:
    """Make all that healing removes, without waiting until it runs."""
    vantage_pod._make(client, place, behind)
    return Reached(Reach.CONNECTED)


@pytest.fixture
def injection(
    system: System, disturbed: Disturbing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], Injection]:
    monkeypatch.setenv("FLAMETEST_API_SECONDS", API_SECONDS)
    # Whether pods can connect is what a fault is proved by; healing does not ask.
    for module in ("intrusion", "edge"):
        monkeypatch.setattr(f"flametest.faults.{module}.vantage", lambda *_, **__: Vantage("a-pod"))
    monkeypatch.setattr(VantagePod, "start", _made)
    return lambda name: Injection(name, system, UndoJournal(tmp_path), disturbed)


def healed(inject: Injection, record: UndoRecord) -> bool:
    """Heal a record as far as that can be done, and return whether it is said to be healed."""
    (healing,) = heal_all(inject.journal, [record])
    return healing.healed


def heal_whole(inject: Injection, record: UndoRecord) -> None:
    """Heal a record by an API that is not disturbed; on a busy machine that may take longer than this API's limit."""
    told: list[str] = []

    def done() -> bool:
        found = heal_all(inject.journal, [record])
        told.extend(healing.evidence for healing in found if not healing.healed)
        return all(healing.healed for healing in found)

    wait_until(done, PATIENCE_SECONDS, lambda: told[-1])


def whole(inject: Injection) -> str:
    """Wait until the system is whole, and return what is to be seen after each healing."""
    inject.system.whole()
    return inject.trace()


def requests_of(inject: Injection) -> list[Request]:
    """Inject and heal undisturbed, and return the requests of the healing."""
    record = inject()
    inject.disturbed.calm()
    heal_whole(inject, record)
    return [one for one in inject.disturbed.asked if one.occurrence <= OCCURRENCES_MAX]


def check(inject: Injection, record: UndoRecord, before: str, *, said: bool, case: str) -> None:
    """Nothing is left of what was said to be healed; what was not is on record, and is healed once the API answers."""
    inject.disturbed.calm()
    if said:
        assert inject.trace() == before, f"{case}: healed with a difference"
        assert not inject.journal.has(record), case
        return
    assert inject.journal.has(record), f"{case}: not healed, and its record is gone"
    heal_whole(inject, record)
    assert inject.trace() == before, f"{case}: healed later with a difference"
    assert not inject.journal.has(record), case


def struck_by(inject: Injection, request: Request, way: Way, before: str) -> bool:
    """Disturb one request of a healing, check what is left, and return whether it was asked."""
    record = inject()
    inject.disturbed.disturb(request, way)
    said = healed(inject, record)
    struck = inject.disturbed.struck
    check(inject, record, before, said=said, case=f"{inject.name}: {request}: {way}")
    return struck


def walk(inject: Injection, ways: list[Way]) -> int:
    """Disturb each request of a fault's healing in each way, and return how many cases that were."""
    before, cases = whole(inject), 0
    for request in requests_of(inject):
        for way in ways:
            # A pod of its own workload may have been replaced meanwhile; what is polled may be asked less often.
            may_be_missing = request.occurrence > 1 or "/pods/" in request.path
            # On a busy machine an API that is not disturbed may be too slow as well, so that a request is not reached.
            attempts = 1 if may_be_missing else ATTEMPTS_MAX
            struck = any(struck_by(inject, request, way, before) for _ in range(attempts))
            assert struck or may_be_missing, f"{inject.name}: {request}: {way}: not asked"
            cases += struck
    return cases


def test_a_disturbed_healing_heals_or_keeps_its_record(injection: Callable[[str], Injection]) -> None:
    assert walk(injection("service-removal"), SLICE) >= 5 * len(SLICE)


@pytest.mark.exhaustive
@pytest.mark.parametrize("way", ALL_WAYS, ids=str)
@pytest.mark.parametrize("name", [*LASTING, OWN_NAMESPACE])
def test_every_request_of_every_healing_disturbed_in_every_way(
    injection: Callable[[str], Injection], name: str, way: Way
) -> None:
    cases = walk(injection(name), [way])
    print(f"{cases} cases")
    assert cases


def test_the_matrix_has_every_fault_that_lasts_and_both_kinds_of_edges() -> None:
    assert {FAULTS[name].name for name in LASTING} == {fault.name for fault in CATALOGUE if fault.lasts}
    edges = [fault for fault in map(FAULTS.get, LASTING) if isinstance(fault, Edge)]
    assert {edge.protocol for edge in edges} == {"tcp", "http"}
    assert {bool(edge.caller) for edge in edges} == {True, False}


def test_the_guardian_tries_again_until_the_api_answers(system: System, disturbed: Disturbing, tmp_path: Path) -> None:
    before, journal = system.whole(), UndoJournal(tmp_path)
    environment = {"KUBECONFIG": str(disturbed.kubeconfig), "KUBERNETES_CONTEXT": CONTEXT}
    disturbed.calm()
    with system.stopped("scaling", tmp_path, environment) as driver:
        lasting = system.specifications()
        assert lasting != before
        disturbed.disturb(Request("GET", NAMESPACES.path(name="kube-system"), 1), Way("503", 503, lasting=True))
        driver.kill()
        log = tmp_path / "guardian.log"
        wait_until(lambda: "NOT healed: scale Deployment api" in log.read_text(), PATIENCE_SECONDS)
        assert journal.records()[0]
        assert system.specifications() == lasting
        disturbed.calm()
        wait_until(lambda: not journal.records()[0], PATIENCE_SECONDS)
    assert system.specifications() == before


def undo(system: System, inject: Injection) -> "subprocess.Popen[str]":
    """Start ``flametest undo`` on the records of a test."""
    environment = system.environment | {
        "FLAMETEST_HOME": str(inject.journal.folder.parent),
        "FLAMETEST_API_SECONDS": API_SECONDS,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "flametest.cli", "undo"],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def killed(system: System, inject: Injection, request: Request, way: Way, before: str) -> bool:
    """Kill ``flametest undo`` at a request, check what is left, and return whether it got there."""
    record = inject()
    inject.disturbed.disturb(request, way)
    with undo(system, inject) as process:
        inject.disturbed.victim = lambda: process.pid
        process.communicate(timeout=100)
    struck = inject.disturbed.struck
    check(inject, record, before, said=process.returncode == 0, case=f"{inject.name}: {request}: {way}")
    return struck


def test_an_undo_that_is_killed_amid_its_requests_is_done_by_the_next(
    system: System, injection: Callable[[str], Injection]
) -> None:
    inject = injection("service-removal")
    before = whole(inject)
    mutating = [one for one in requests_of(inject) if one.method != "GET"]
    assert mutating
    for way in KILLING:
        assert killed(system, inject, mutating[0], way, before)


@pytest.mark.exhaustive
@pytest.mark.parametrize("way", KILLING, ids=str)
@pytest.mark.parametrize("name", [*LASTING, OWN_NAMESPACE])
def test_an_undo_that_is_killed_at_any_request_is_done_by_the_next(
    system: System, injection: Callable[[str], Injection], name: str, way: Way
) -> None:
    inject = injection(name)
    before = whole(inject)
    cases = sum(killed(system, inject, request, way, before) for request in requests_of(inject))
    print(f"{cases} cases")
    assert cases


@pytest.mark.parametrize("way", [way for way in ALL_WAYS if way.name == "503 from then on"], ids=str)
def test_an_undo_that_cannot_ask_ends_with_4_and_the_next_one_heals(
    system: System, injection: Callable[[str], Injection], way: Way
) -> None:
    before, inject = system.whole(), injection("scaling")
    first, *_ = requests_of(inject)
    record = inject()
    inject.disturbed.disturb(first, way)
    with undo(system, inject) as process:
        told, _ = process.communicate(timeout=100)
    assert process.returncode == 4, told
    assert "NOT HEALED: scaling: " in told
    assert inject.journal.has(record)
    inject.disturbed.calm()
    with undo(system, inject) as process:
        told, _ = process.communicate(timeout=100)
    assert process.returncode == 0, told
    assert system.specifications() == before
