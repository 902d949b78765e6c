"""What all faults have in common: gate, show, journal, guardian, inject, prove, and heal on every way out.

    with applied(ServiceRemoval(namespace="flametest", service="logic"), injector):
        ...  # the Service is gone

An `Injector` belongs to one experiment and holds what it has injected. It heals in `Injector.heal`, which its owner
calls on every way out; `applied` does so for a single fault. What neither gets to do is done by the guardian.
"""

import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from flametest.faults.account import Account
from flametest.faults.armed import ArmedRecords
from flametest.faults.errors import FaultError, HealError
from flametest.faults.guardian import Guardian
from flametest.faults.healing import Healing
from flametest.faults.holding import with_holders
from flametest.faults.owner import Owner
from flametest.faults.protocol import Fault, Prepares, Proof, State
from flametest.faults.safety import Hit, Radius
from flametest.faults.signals import shielded, terminable
from flametest.faults.undo import Place, UndoJournal, UndoRecord
from flametest.kube import KubeClient
from flametest.kube.stamps import Mutation, stamp_mutations
from flametest.model.events import Target

__all__ = ["Armed", "Injected", "InjectionOptions", "Injector", "Observer", "applied"]


@dataclass(frozen=True, slots=True)
class InjectionOptions:
    """How faults of one experiment are injected.

    Attributes:
        radius: what the faults may hit at most at one time.
        home: the state folder, for the undo journal and the guardian's log.
        owner: the process that heals, and without which the guardian does.
        lease_seconds: after this time the guardian heals a fault though its owner lives.
    """

    radius: Radius
    home: Path
    owner: Owner
    lease_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class Armed:
    """A fault that may be injected: its targets are inside the blast radius, and its undo record is on disk.

    ``record`` names that; it is empty for a fault that has nothing to heal.
    """

    fault: Fault
    targets: tuple[Target, ...]
    state: State
    hit: Hit
    record: str = ""


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault that was injected, with the monotonic stamps of its first request and of the answer to it.

    ``record`` is that of `Armed`.
    """

    fault: Fault
    targets: tuple[Target, ...]
    sent_ns: int
    acknowledged_ns: int
    record: str = ""


class Observer(Protocol):
    """Who is told what happens, at the moment when it happens."""

    def shown(self, fault: Fault, targets: tuple[Target, ...]) -> None:
        """Take note of the targets of a fault that is about to be injected."""

    def injected(self, injected: Injected) -> int:
        """Take note that a fault was injected, and return the number by which its proof is told."""

    def proved(self, injection: int, fault: str, proof: Proof) -> None:
        """Take note of whether the injection of that number took effect."""

    def healed(self, record: UndoRecord, healing: Healing) -> None:
        """Take note that what a record is about was taken back, or could not be."""


class Injector:
    """Injects the faults of one experiment, and heals them."""

    def __init__(self, client: KubeClient, place: Place, options: InjectionOptions, observer: Observer) -> None:
        self._client = client
        self._options = options
        self._observer = observer
        self._journal = UndoJournal(options.home)
        self._records = ArmedRecords(client, place, self._journal, options.owner, options.lease_seconds)
        self._guardian = Guardian(options.home, options.owner)
        self._account = Account(client, options.radius)
        self._turn = threading.Lock()
        self._in_flight: set[str] = set()  # records of what is being injected
        self._why_stopped: FaultError | None = None

    def arm(self, fault: Fault) -> Armed:
        """Do everything that comes before an injection, what it needs included; whoever injects, `heal` takes it back.

        Raises:
            FaultError: the fault may not be injected, or could not be healed; nothing was injected.
            KubeError: the API is unreachable or refused.
        """
        if self._why_stopped is not None:
            raise self._why_stopped
        try:
            hit = self._account.admit(fault)
        except FaultError as error:
            namespaces, records = self._options.radius.namespaces, self._journal.records()[0]
            raise with_holders(error, records, namespaces, self._options.owner) from error
        targets = hit.targets
        self._observer.shown(fault, targets)
        try:
            state, record = self._records.journalled(fault, targets)
        except BaseException:
            self._account.drop(hit)
            raise
        if record:
            with self._turn:
                self._in_flight.add(record)
            self._account.lasts(hit, record)
            self._guardian.start()
        if isinstance(fault, Prepares):
            fault.prepare(self._client, targets)
        return Armed(fault, targets, state, hit, record)

    def inject(self, fault: Fault) -> Proof:
        """Arm and inject a fault, and return whether it took effect; `heal` takes it back.

        Raises:
            FaultError: the fault may not be injected, or was not; what was done by half is healed by `heal`.
            KubeError: the API is unreachable or refused.
        """
        armed = self.arm(fault)
        begin_ns = time.monotonic_ns()
        with stamp_mutations() as mutations:
            fault.inject(self._client, armed.targets)
        self.injected(armed)
        sent_ns, acknowledged_ns = _first_accepted(mutations, begin_ns)
        injection = self._observer.injected(Injected(fault, armed.targets, sent_ns, acknowledged_ns, armed.record))
        self.land(armed)
        proof = self.evidence(armed)
        self._observer.proved(injection, fault.name, proof)
        return proof

    def injected(self, armed: Armed) -> None:
        """Take note that an armed fault has been injected, or was tried to: it counts until it is recovered from."""
        self._account.passes(armed.hit)

    def land(self, armed: Armed) -> None:
        """Let `stop` heal a fault from now on, since its injection has ended.

        Raises:
            FaultError: it was stopped meanwhile; the fault is healed.
        """
        with self._turn:
            self._in_flight.discard(armed.record)
            why = self._why_stopped
        if why is not None:
            self.heal({armed.record})
            raise why

    def stop(self, why: str) -> tuple[Healing, ...]:
        """Heal at once what was injected, and refuse everything else from now on; for a thread that watches.

        What is being injected at this moment is healed as soon as its injection has ended.
        """
        with self._turn:
            self._why_stopped = FaultError(why, "everything is healed")
            landed = self._records.identifiers - self._in_flight
        return self._records.heal(landed, self._observer.healed)

    def evidence(self, armed: Armed) -> Proof:
        """Return whether an injected fault took effect, within the fault's own bound.

        Raises:
            KubeError: the API is unreachable or refused.
        """
        return armed.fault.prove(self._client, armed.targets, armed.state)

    def heal(self, records: Collection[str] | None = None) -> tuple[Healing, ...]:
        """Heal what was armed, the newest first, and return what became of it; may be repeated.

        Signals that would end the process are put off meanwhile. What could not be healed stays in the journal.

        Args:
            records: the undo records of what is to be healed; None for all of it.
        """
        with shielded():
            done = self._records.heal(records, self._observer.healed)
            self._account.keep(self._records.identifiers)
            if not self._records.identifiers:
                self._guardian.stop()
        return done


@contextmanager
def applied(fault: Fault, injector: Injector) -> Iterator[Proof]:
    """Inject a fault for the time of the block, and heal it on every way out: the end, an exception, a signal.

    Raises:
        FaultError: the fault may not be injected.
        HealError: it could not be healed.
        KubeError: the API is unreachable or refused.
    """
    with terminable():
        try:
            yield injector.inject(fault)
        finally:
            failed = [healing for healing in injector.heal() if not healing.healed]
    if failed:
        raise HealError(f"{failed[0].title!r} could not be healed: {failed[0].evidence}", failed[0].remedy)


def _first_accepted(mutations: list[Mutation], begin_ns: int) -> tuple[int, int]:
    accepted = sorted((one.sent_ns, one.acknowledged_ns) for one in mutations if one.accepted)
    if not accepted and mutations:
        refused = ", ".join(f"{one.method} {one.path}: {one.status}" for one in mutations)
        raise FaultError(f"the API refused everything that would have injected the fault: {refused}")
    return accepted[0] if accepted else (begin_ns, time.monotonic_ns())
