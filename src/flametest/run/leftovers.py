"""Faults that an earlier process has left behind: every command heals them before it does anything else.

What a living experiment has injected is its own to heal. What was in a sandbox that has ended is gone with it.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from flametest.clusters import Access, Cluster
from flametest.faults.errors import UndoError
from flametest.faults.healing import Healing, heal_all, place_of
from flametest.faults.holding import refuse_beside
from flametest.faults.owner import own_owner
from flametest.faults.undo import UndoJournal, UndoRecord
from flametest.kube import KubeClient

__all__ = ["Leftovers", "forget", "heal_leftovers", "refuse_other_runs"]

ENDING_SECONDS_MAX = 15.0  # an experiment whose run has died heals by itself; this is its time for that
POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What became of the undo records.

    Attributes:
        healings: of each record that was looked at: healed, or why not.
        living: what experiments that still run have injected; it was left alone.
    """

    healings: tuple[Healing, ...]
    living: tuple[UndoRecord, ...]

    @property
    def unhealed(self) -> tuple[Healing, ...]:
        """Return what could not be healed."""
        return tuple(healing for healing in self.healings if not healing.healed)


def heal_leftovers(
    home: Path,
    clusters: Sequence[Cluster],
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> Leftovers:
    """Heal what earlier processes have left behind, and return what became of it.

    Args:
        home: the state folder.
        clusters: providers whose clusters take everything in them along when they end.
        clock: the monotonic clock, in seconds.
        pause: sleeps that many seconds.
    """
    journal = UndoJournal(home)
    records, errors = journal.records()
    _await_abandoned(records, clock() + ENDING_SECONDS_MAX, clock, pause)
    gone = [one for one in records if any(cluster.has_ended(one.place.kubeconfig) for cluster in clusters)]
    left = [one for one in records if one not in gone]
    living = tuple(one for one in left if one.lives(time.time()))
    healings = (
        *(_unreadable(error) for error in errors),
        *(_forgotten(journal, one) for one in gone),
        *heal_all(journal, [one for one in left if one not in living]),
    )
    return Leftovers(healings, living)


def refuse_other_runs(home: Path, client: KubeClient, access: Access) -> None:
    """Return if no fault of another run lasts in the namespace of the system under test.

    Raises:
        FaultError: one does; the message says whose.
        KubeError: the API is unreachable or refused.
    """
    place = place_of(client, str(access.kubeconfig), access.context)
    refuse_beside(UndoJournal(home).records()[0], place, access.namespace, own_owner(os.environ))


def forget(home: Path) -> tuple[Healing, ...]:
    """Remove every record of an experiment that does not run any more, healed or not, and return what they were of."""
    journal = UndoJournal(home)
    dead = [record for record in journal.records()[0] if not record.owner.lives()]
    for record in dead:
        journal.remove(record)
    return tuple(Healing(record.title, False, "it was forgotten without being healed") for record in dead)


def _await_abandoned(
    records: Sequence[UndoRecord], end: float, clock: Callable[[], float], pause: Callable[[float], None]
) -> None:
    """Wait until experiments whose run has died have ended."""
    while any(one.owner.abandoned() and one.owner.process.lives() for one in records) and clock() < end:
        pause(POLL_SECONDS)


def _forgotten(journal: UndoJournal, record: UndoRecord) -> Healing:
    journal.remove(record)
    return Healing(record.title, True, "nothing is left to heal: its sandbox has ended, and everything in it")


def _unreadable(error: UndoError) -> Healing:
    return Healing("an undo record", False, error.message, error.remedy)
