"""The undo records of one experiment: written before its faults are injected, and healed by name, in any order."""

import os
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from flametest.faults.errors import FaultError, UndoError
from flametest.faults.healing import Healing, heal_all
from flametest.faults.holding import held_by_others, refuse
from flametest.faults.overlap import handed_over, later_on_same, refuse_contested, refuse_unknown
from flametest.faults.owner import Owner
from flametest.faults.protocol import Fault, State
from flametest.faults.undo import Place, UndoJournal, UndoRecord, identifier
from flametest.faults.workloads import existing
from flametest.kube import KubeClient
from flametest.kube.resources import NAMESPACES
from flametest.model.events import Target

__all__ = ["ArmedRecords"]

ARM_TRIES_MAX = 10
ELSEWHERE = "the guardian, or another command, has healed it already"


class ArmedRecords:
    """What one experiment has on disk, and has not healed."""

    def __init__(
        self, client: KubeClient, place: Place, journal: UndoJournal, owner: Owner, lease_seconds: float
    ) -> None:
        self._client = client
        self._place = place
        self._journal = journal
        self._owner = owner
        self._lease_seconds = lease_seconds
        self._armed: list[UndoRecord] = []
        self._changing = threading.Lock()  # what is armed: one thread may heal while another one arms
        self._healing = threading.Lock()

    @property
    def identifiers(self) -> frozenset[str]:
        """Return the names of the records that there are."""
        return frozenset(record.identifier for record in self._armed)

    def journalled(self, fault: Fault, targets: tuple[Target, ...]) -> tuple[State, str]:
        """Return what proof and healing need, once it is on disk that these objects are held by this experiment.

        What a fault records has to be read while nobody else holds the objects. So it is written only if the journal
        has not changed since before it was read, and read again otherwise. With it comes the record's identifier;
        none for a fault that has nothing to heal.

        Raises:
            FaultError: another run holds one of them, or a fault of this experiment that this one could not overlap.
        """
        spaces = _namespaces(self._client, targets)
        for _ in range(ARM_TRIES_MAX):
            version = self._journal.version()
            wanted = self._record(fault, targets, spaces)
            if fault.lasts:
                refuse_contested(self._armed, wanted)
            self._await_free(wanted)
            state = fault.record(self._client, targets)
            if not fault.lasts:
                return state, ""
            record = replace(wanted, state=state)
            refuse_unknown(self._armed, record)
            with self._changing, self._journal.locked():
                # Also who came within one tick of the file system's clock is seen.
                if self._journal.version() != version or held_by_others(self._journal.records()[0], record):
                    continue
                self._armed.append(record)
                try:
                    self._journal.write(record)
                except UndoError:
                    self._armed.remove(record)
                    raise
            return state, record.identifier
        raise FaultError(
            f"{fault.title}: other runs injected and healed all the while, so what it was before could not be recorded",
            "wait until they have ended",
        )

    def heal(self, records: Collection[str] | None, told: Callable[[UndoRecord, Healing], None]) -> tuple[Healing, ...]:
        """Heal records by their identifiers, or all of them for None, the newest first; return what became of each.

        One that could not be healed while another fault lasted is tried once more after those that were. Who calls in
        another thread meanwhile waits, and finds what is left.
        """
        with self._healing:
            return self._healed(records, told)

    def _healed(
        self, records: Collection[str] | None, told: Callable[[UndoRecord, Healing], None]
    ) -> tuple[Healing, ...]:
        chosen = [one for one in reversed(self._armed) if records is None or one.identifier in records]
        found: dict[str, Healing] = {}

        def heal(record: UndoRecord) -> bool:
            found[record.identifier] = healing = self._heal(record, chosen)
            if healing.healed:
                told(record, healing)
            return healing.healed

        failed = [record for record in chosen if not heal(record)]
        if len(failed) < len(chosen):
            failed = [record for record in failed if not heal(record)]
        for record in failed:
            told(record, found[record.identifier])
        with self._changing:
            self._armed = [record for record in self._armed if self._journal.has(record)]
        return tuple(found[record.identifier] for record in chosen)

    def _heal(self, record: UndoRecord, chosen: Sequence[UndoRecord]) -> Healing:
        handed = self._handed(record, chosen)
        if handed is not None:
            return handed
        # None when another process was quicker: the guardian, when the lease was over.
        healing, *_ = heal_all(self._journal, [record]) or (Healing(record.title, True, ELSEWHERE),)
        return healing

    def _handed(self, record: UndoRecord, chosen: Sequence[UndoRecord]) -> Healing | None:
        """Hand what a fault has found over to a later one that covers it, and is not to be healed now.

        Return its healing if nothing else is left of it; None when it is still to be healed.
        """
        later = later_on_same(self._armed, record)
        if later is None or later.identifier in {one.identifier for one in chosen}:
            return None
        try:
            with self._journal.claimed(later) as there, self._journal.claimed(record) as mine:
                handed = handed_over(self._journal.read(record), self._journal.read(later)) if there and mine else None
                if handed is None:
                    return None
                self._journal.write(handed.later)
                self._armed[self._armed.index(later)] = handed.later
                if handed.heals:
                    return None
                self._journal.remove(record)
        except UndoError as error:
            return Healing(record.title, False, error.message, error.remedy)
        return Healing(
            record.title, True, f"it is covered by {later.title!r}, which leads back to what was before both"
        )

    def _record(self, fault: Fault, targets: tuple[Target, ...], namespaces: Mapping[str, str]) -> UndoRecord:
        return UndoRecord(
            identifier=identifier(time.time_ns(), os.getpid(), fault.name),
            fault=fault.name,
            title=fault.title,
            targets=targets,
            state={},
            place=self._place,
            owner=self._owner,
            lease_until_wall_s=time.time() + self._lease_seconds,
            namespaces=namespaces,
        )

    def _await_free(self, wanted: UndoRecord) -> None:
        """Heal what ended runs have left on the objects that are wanted.

        Raises:
            FaultError: a run holds one of them that still runs, or what another has left could not be healed.
        """
        held = held_by_others(self._journal.records()[0], wanted)
        for holder, target in held:
            if holder.lives(time.time()):
                raise refuse(holder, target, lives=True)
        heal_all(self._journal, [holder for holder, _ in held])
        for holder, target in held:
            if self._journal.has(holder):
                raise refuse(holder, target, lives=False)


def _namespaces(client: KubeClient, targets: tuple[Target, ...]) -> dict[str, str]:
    """Return the uids of the targets' namespaces, by which they are told from successors of the same names.

    Raises:
        FaultError: one is gone, or is being deleted.
        KubeError: the API is unreachable or refused.
    """
    names = sorted({one.namespace for one in targets} - {""})
    return {name: str(existing(client, NAMESPACES, "", name)["metadata"]["uid"]) for name in names}
