"""A mirror of part of the state, fed by a watch: what controllers and the scheduler look things up in.

It lives as long as its owner's loop. Objects in it are shared: read them, never change them. A write of one's own is
put in at once (`Cache.put`, `Cache.drop`), so that the next decision sees it; its echo in the watch is recognised
by the resource version and comes back as None. So no owner acts twice on a change of its own.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from flametest.sandbox.objects import Object, Objects, WatchEvent

__all__ = ["Cache", "Reference", "Transition"]


@dataclass(frozen=True, slots=True)
class Reference:
    """Where an object is: its resource, namespace (empty for none) and name."""

    resource: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of one object: what it was and what it is; None before it existed and after it went."""

    reference: Reference
    before: Object | None
    after: Object | None

    @property
    def resource(self) -> str:
        """The resource of the object."""
        return self.reference.resource

    @property
    def states(self) -> tuple[Object, ...]:
        """The states that there are, old one first."""
        return tuple(state for state in (self.before, self.after) if state is not None)


class Cache:
    """Objects by reference, by namespace and by the unique identifiers of their owners."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[tuple[str, str], Object]] = {}
        self._dependents: dict[str, set[Reference]] = {}
        self._dropped: set[str] = set()

    def fill(self, objects: Objects, resources: Iterable[str]) -> list[Transition]:
        """Replace everything by the present state; return what differs from before."""
        transitions = []
        self._dropped.clear()
        for resource in resources:
            present = {_key(obj): obj for obj in objects.list(resource)}
            for key in [key for key in self._objects.get(resource, {}) if key not in present]:
                transitions += self._listed(self.drop(resource, *key))
            for obj in present.values():
                transitions += self._listed(self.put(resource, obj))
        self._dropped.clear()
        return transitions

    @staticmethod
    def _listed(transition: Transition | None) -> list[Transition]:
        return [] if transition is None else [transition]

    def apply(self, event: WatchEvent) -> Transition | None:
        """Take in an event of the watch; return the change, or None for one that is known already."""
        uid = event.object["metadata"].get("uid", "")
        if event.type != "DELETED":
            return None if uid in self._dropped else self.put(event.resource, event.object)
        if uid in self._dropped:
            self._dropped.discard(uid)
            return None
        namespace, name = _key(event.object)
        known = self.get(event.resource, namespace, name)
        if known is not None and known["metadata"].get("uid", "") != uid:
            return None  # Another object has taken the name since.
        return self._forget(Reference(event.resource, namespace, name))

    def put(self, resource: str, obj: Object) -> Transition | None:
        """Take in a state of an object; return the change, or None if it is not newer than what is known."""
        key = _key(obj)
        before = self._objects.get(resource, {}).get(key)
        if before is not None and _version(obj) <= _version(before):
            return None
        reference = Reference(resource, *key)
        self._unlink(reference, before)
        self._objects.setdefault(resource, {})[key] = obj
        for owner in obj["metadata"].get("ownerReferences") or []:
            self._dependents.setdefault(owner["uid"], set()).add(reference)
        return Transition(reference, before, obj)

    def drop(self, resource: str, namespace: str, name: str) -> Transition | None:
        """Forget an object that its owner has just seen gone; the watch's word of it will be ignored."""
        before = self.get(resource, namespace, name)
        if before is not None:
            self._dropped.add(before["metadata"].get("uid", ""))
        return self._forget(Reference(resource, namespace, name))

    def _forget(self, reference: Reference) -> Transition | None:
        before = self._objects.get(reference.resource, {}).pop((reference.namespace, reference.name), None)
        if before is None:
            return None
        self._unlink(reference, before)
        return Transition(reference, before, None)

    def _unlink(self, reference: Reference, obj: Object | None) -> None:
        for owner in (obj or {}).get("metadata", {}).get("ownerReferences") or []:
            dependents = self._dependents.get(owner["uid"], set())
            dependents.discard(reference)
            if not dependents:
                self._dependents.pop(owner["uid"], None)

    def get(self, resource: str, namespace: str, name: str) -> Object | None:
        """Return the object, or None."""
        return self._objects.get(resource, {}).get((namespace, name))

    def objects_of(self, resource: str, namespace: str | None = None) -> list[Object]:
        """Return the objects of a namespace (None: of all), by namespace and name."""
        return [
            obj
            for (of, _), obj in sorted(self._objects.get(resource, {}).items(), key=lambda item: item[0])
            if namespace is None or of == namespace
        ]

    def dependents(self, uid: str) -> list[Reference]:
        """Return, in order, what names the object of this identifier as one of its owners."""
        return sorted(self._dependents.get(uid, ()), key=lambda each: (each.resource, each.namespace, each.name))

    def owned(self, resource: str, uid: str) -> list[Object]:
        """Return the objects of a resource that name the object of this identifier as one of their owners."""
        found = (self.get(each.resource, each.namespace, each.name) for each in self.dependents(uid))
        return [obj for obj, each in zip(found, self.dependents(uid), strict=True) if obj and each.resource == resource]

    def __iter__(self) -> Iterator[Reference]:
        """Iterate over the references of all objects."""
        return (Reference(resource, *key) for resource, held in self._objects.items() for key in list(held))


def _key(obj: Object) -> tuple[str, str]:
    metadata = obj["metadata"]
    return metadata.get("namespace") or "", metadata["name"]


def _version(obj: Object) -> int:
    return int(obj["metadata"].get("resourceVersion") or 0)
