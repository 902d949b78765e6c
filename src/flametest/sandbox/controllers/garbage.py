"""Garbage collection: what an object owns goes with it, before it, or is let go, as its deletion asked for.

Background: dependents of an owner that is gone are deleted. Foreground: the owner stays, with a finalizer, until the
dependents that block it are gone. Orphan: the owner stays until its references are taken off its dependents.
Rules: https://kubernetes.io/docs/concepts/architecture/garbage-collection/
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from flametest.sandbox.cache import Cache, Reference, Transition
from flametest.sandbox.controllers.changes import Change, Delete, Failure, Key, Plan, Update
from flametest.sandbox.controllers.kinds import KINDS, kind_named
from flametest.sandbox.controllers.metadata import is_being_deleted, namespace_of
from flametest.sandbox.objects import Object

__all__ = ["Dependent", "GarbageController", "Observed", "Owner", "plan"]

_FOREGROUND = "foregroundDeletion"
_ORPHAN = "orphan"


@dataclass(frozen=True, slots=True)
class Owner:
    """An owner reference and what became of it: alive, gone, or waiting until its dependents are deleted."""

    reference: Object
    state: Literal["alive", "gone", "waiting"]


@dataclass(frozen=True, slots=True)
class Dependent:
    """An object that names another one as its owner, and whether it blocks that one's foreground deletion."""

    resource: str
    object: Object
    blocks: bool


@dataclass(frozen=True, slots=True)
class Observed:
    """What a decision about one object rests on: it, its owners, its dependents."""

    resource: str
    object: Object
    owners: tuple[Owner, ...]
    dependents: tuple[Dependent, ...]


def plan(observed: Observed) -> Plan:
    """Return what becomes of one object and of what depends on it."""
    finalizers = observed.object["metadata"].get("finalizers") or []
    if is_being_deleted(observed.object):
        if _ORPHAN in finalizers:
            return Plan(_orphaned(observed))
        return Plan(_foreground(observed)) if _FOREGROUND in finalizers else Plan()
    return Plan(_collected(observed))


def _orphaned(observed: Observed) -> tuple[Change, ...]:
    uid = observed.object["metadata"]["uid"]
    released = [Update(each.resource, _without_owners(each.object, {uid})) for each in observed.dependents]
    return (*released, Update(observed.resource, _without_finalizer(observed.object, _ORPHAN)))


def _foreground(observed: Observed) -> tuple[Change, ...]:
    # Dependents see for themselves that their owner waits; here only the end of the waiting is noticed.
    if any(each.blocks for each in observed.dependents):
        return ()
    return (Update(observed.resource, _without_finalizer(observed.object, _FOREGROUND)),)


def _collected(observed: Observed) -> tuple[Change, ...]:
    by_state: dict[str, list[Owner]] = {"alive": [], "gone": [], "waiting": []}
    for owner in observed.owners:
        by_state[owner.state].append(owner)
    lost = [*by_state["gone"], *by_state["waiting"]]
    if not lost:
        return ()
    if by_state["alive"]:
        uids = {owner.reference["uid"] for owner in lost}
        return (Update(observed.resource, _without_owners(observed.object, uids)),)
    blocked = by_state["waiting"] and any(each.blocks for each in observed.dependents)
    metadata = observed.object["metadata"]
    place = Reference(observed.resource, namespace_of(observed.object), metadata["name"])
    return (Delete(place, metadata["uid"], propagation="Foreground" if blocked else "Background"),)


def _without_owners(obj: Object, uids: set[str]) -> Object:
    kept = [owner for owner in obj["metadata"].get("ownerReferences") or [] if owner["uid"] not in uids]
    return _with_list(obj, "ownerReferences", kept)


def _without_finalizer(obj: Object, finalizer: str) -> Object:
    kept = [each for each in obj["metadata"].get("finalizers") or [] if each != finalizer]
    return _with_list(obj, "finalizers", kept)


def _with_list(obj: Object, field: str, values: Sequence[object]) -> Object:
    metadata = {key: value for key, value in obj["metadata"].items() if key != field}
    return {**obj, "metadata": metadata | ({field: list(values)} if values else {})}


class GarbageController:
    """Feeds `plan` from the cache. A key's name is ``resource/name``: it deals with objects of every kind."""

    name = "garbage-collector-controller"
    watches = tuple(kind.resource for kind in KINDS)

    def keys(self, transition: Transition, cache: Cache) -> Iterable[Key]:
        """Return the object itself if it has owners or is being deleted, what depends on it, and owners that wait."""
        keys: list[Key] = []
        after = transition.after
        if after is not None and _marks(after) not in ([], _marks(transition.before)):
            keys.append(_key(transition.reference))
        if after is None or (_is_waiting(after) and _marks(after) != _marks(transition.before)):
            uid = transition.states[0]["metadata"].get("uid", "")
            keys += [_key(each) for each in cache.dependents(uid)]
        if after is None:
            keys += [_key(place) for owner in _references(transition.states[0]) if (place := _place(owner, transition))]
        return keys

    def reconcile(self, key: Key, cache: Cache, now: datetime, failure: Failure | None) -> Plan:
        """Return the plan for one object; none for one that is gone."""
        resource, name = key.name.split("/", 1)
        obj = cache.get(resource, key.namespace, name)
        if obj is None:
            return Plan()
        owners = tuple(_owner(reference, obj, cache) for reference in _references(obj))
        uid = obj["metadata"]["uid"]
        found = ((each, cache.get(each.resource, each.namespace, each.name)) for each in cache.dependents(uid))
        dependents = tuple(Dependent(each.resource, held, _blocks(held, uid)) for each, held in found if held)
        return plan(Observed(resource, obj, owners, dependents))


def _marks(obj: Object | None) -> list[object]:
    """Return what of an object concerns garbage collection: owners, finalizers, deletion; most changes touch none."""
    metadata = obj["metadata"] if obj else {}
    return [metadata[field] for field in ("ownerReferences", "finalizers", "deletionTimestamp") if metadata.get(field)]


def _key(reference: Reference) -> Key:
    return Key(reference.namespace, f"{reference.resource}/{reference.name}")


def _references(obj: Object) -> list[Object]:
    return obj["metadata"].get("ownerReferences") or []


def _place(owner: Object, transition: Transition) -> Reference | None:
    kind = kind_named(owner["apiVersion"], owner["kind"])
    if kind is None:
        return None
    return Reference(kind.resource, transition.reference.namespace if kind.namespaced else "", owner["name"])


def _owner(reference: Object, dependent: Object, cache: Cache) -> Owner:
    kind = kind_named(reference["apiVersion"], reference["kind"])
    if kind is None:
        return Owner(reference, "alive")
    held = cache.get(kind.resource, namespace_of(dependent) if kind.namespaced else "", reference["name"])
    if held is None or held["metadata"]["uid"] != reference["uid"]:
        return Owner(reference, "gone")
    return Owner(reference, "waiting" if _is_waiting(held) else "alive")


def _is_waiting(obj: Object) -> bool:
    return is_being_deleted(obj) and _FOREGROUND in (obj["metadata"].get("finalizers") or [])


def _blocks(dependent: Object, uid: str) -> bool:
    return any(owner["uid"] == uid and owner.get("blockOwnerDeletion") for owner in _references(dependent))
