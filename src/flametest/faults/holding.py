"""A fault belongs to one run: which undo record holds an object that another fault is about to touch.

What a run has injected is healed to what that run has found. Were a second one to change the same object meanwhile,
it would record the first one's fault as the state of before, and both would heal to what neither has found. So the
second one is refused until the first has healed. Faults of one experiment may overlap; see `flametest.faults.overlap`.
"""

import time
from collections.abc import Collection, Sequence
from dataclasses import replace

from flametest.faults.errors import FaultError
from flametest.faults.owner import Owner
from flametest.faults.undo import Place, UndoRecord
from flametest.kube.resources import PODS
from flametest.model.events import Target

__all__ = ["held_by_others", "refuse", "refuse_beside", "shared", "with_holders"]


def shared(one: UndoRecord, other: UndoRecord) -> Target | None:
    """Return an object that both records are about; None when there is none.

    An object is the same by its uid, or by its name in one cluster, since a Service is recreated under another uid.
    Pods are the same by their uid only: the next pod of a StatefulSet bears the name of the last.
    """
    for target in one.targets:
        for theirs in other.targets:
            if target.uid and target.uid == theirs.uid:
                return target
            named = (target.kind, target.namespace, target.name) == (theirs.kind, theirs.namespace, theirs.name)
            if named and target.kind != PODS.kind and _one_place(one, other, target.namespace):
                return target
    return None


def held_by_others(records: Sequence[UndoRecord], wanted: UndoRecord) -> list[tuple[UndoRecord, Target]]:
    """Return the records of other owners that hold an object which ``wanted`` is about, each with that object."""
    found = [(one, shared(wanted, one)) for one in records if one.owner.process != wanted.owner.process]
    return [(one, target) for one, target in found if target is not None]


def refuse(holder: UndoRecord, target: Target, *, lives: bool) -> FaultError:
    """Return the refusal of a fault whose target another run holds; says who, since when, and what to do."""
    what = f"{target.kind} {target.name} is held by {_told(holder)}"
    if lives:
        return FaultError(
            f"{what}, which still runs: two faults on one object could not both be healed",
            "wait until that run has ended, or end it; it heals first",
        )
    return FaultError(f"{what}, which has ended and left it unhealed", "run `flametest undo` first")


def refuse_beside(records: Sequence[UndoRecord], place: Place, namespace: str, owner: Owner) -> None:
    """Return if no other run's fault lasts in a namespace now; what is measured beside it would prove nothing.

    Raises:
        FaultError: one does; the message says whose.
    """
    there = _living(records, owner, (namespace,))
    beside = [one for one in there if _one_place(replace(one, place=place, namespaces={}), one, namespace)]
    if beside:
        raise FaultError(
            f"faults of another run last in namespace {namespace!r}: {', '.join(map(_told, beside))}",
            "wait until that run has ended, or end it; it heals first",
        )


def with_holders(
    error: FaultError, records: Sequence[UndoRecord], namespaces: Collection[str], owner: Owner
) -> FaultError:
    """Return an error about missing targets, completed by what other runs have injected into these namespaces."""
    there = _living(records, owner, namespaces)
    if not there or type(error) is not FaultError:
        return error
    told = ", ".join(map(_told, there))
    return FaultError(
        f"{error.message}; faults of another run last there: {told}", "wait until that run has ended, or end it"
    )


def _living(records: Sequence[UndoRecord], owner: Owner, namespaces: Collection[str]) -> list[UndoRecord]:
    """Return the records of other runs that still run, and have a target in one of these namespaces."""
    theirs = (one for one in records if one.owner.process != owner.process and one.lives(time.time()))
    return [one for one in theirs if any(target.namespace in namespaces for target in one.targets)]


def _told(holder: UndoRecord) -> str:
    at = holder.since_wall_s
    since = "" if at is None else f" since {time.strftime('%H:%M:%S', time.localtime(at))}"
    return f"process {holder.owner.process.pid}{since} ({holder.title})"


def _one_place(one: UndoRecord, other: UndoRecord, namespace: str) -> bool:
    """Return whether two records are of one cluster, by the surest sign that both have."""
    signs = (
        (one.place.cluster_uid, other.place.cluster_uid),
        (one.namespaces.get(namespace, ""), other.namespaces.get(namespace, "")),
    )
    sure = next((pair for pair in signs if all(pair)), None)
    if sure is not None:
        return sure[0] == sure[1]
    return (one.place.kubeconfig, one.place.context) == (other.place.kubeconfig, other.place.context)
