"""Namespaces: when one is being deleted, everything in it goes first, then its finalizer, and with that itself.

Every namespace also gets its ServiceAccount ``default`` here, which on a real cluster another controller makes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from flametest.sandbox.cache import Cache, Reference, Transition
from flametest.sandbox.controllers.changes import Change, Create, Delete, Failure, Key, Plan, Update
from flametest.sandbox.controllers.kinds import NAMESPACED
from flametest.sandbox.controllers.metadata import is_being_deleted, own_keys, reference_of
from flametest.sandbox.objects import Object

__all__ = ["NamespaceController", "Observed", "ServiceAccountController", "plan"]

_FINALIZER = "kubernetes"


@dataclass(frozen=True, slots=True)
class Observed:
    """A namespace and what is in it, by place."""

    namespace: Object
    contents: tuple[tuple[Reference, Object], ...]


def plan(observed: Observed) -> Plan:
    """Return the deletions of what is left in a namespace that goes, and its end once nothing is."""
    namespace = observed.namespace
    if not is_being_deleted(namespace):
        return Plan()
    if not observed.contents:
        finalizers = [each for each in namespace["spec"].get("finalizers") or [] if each != _FINALIZER]
        if finalizers == (namespace["spec"].get("finalizers") or []):
            return Plan()
        return Plan((Update("namespaces", {**namespace, "spec": {**namespace["spec"], "finalizers": finalizers}}),))
    deletions: list[Change] = [
        Delete(place, obj["metadata"]["uid"]) for place, obj in observed.contents if not is_being_deleted(obj)
    ]
    return Plan(tuple(deletions))


class NamespaceController:
    """Feeds `plan` from the cache."""

    name = "namespace-controller"
    watches = ("namespaces", *NAMESPACED)

    def keys(self, transition: Transition, cache: Cache) -> Iterable[Key]:
        """Return the namespace itself, or that of an object that came into or went out of one that is going."""
        if transition.resource == "namespaces":
            return own_keys(transition)
        namespace = cache.get("namespaces", "", transition.reference.namespace)
        if namespace is None or not is_being_deleted(namespace):
            return ()
        return (Key("", transition.reference.namespace),)

    def reconcile(self, key: Key, cache: Cache, now: datetime, failure: Failure | None) -> Plan:
        """Return the plan for one namespace; none for one that is gone."""
        namespace = cache.get("namespaces", "", key.name)
        if namespace is None or not is_being_deleted(namespace):
            return Plan()
        held = [(reference_of(each, obj), obj) for each in NAMESPACED for obj in cache.objects_of(each, key.name)]
        return plan(Observed(namespace, tuple(held)))


class ServiceAccountController:
    """Makes the ServiceAccount ``default`` of every namespace, and makes it again when it is deleted."""

    name = "serviceaccount-controller"
    watches = ("namespaces", "serviceaccounts")

    def keys(self, transition: Transition, cache: Cache) -> Iterable[Key]:
        """Return the namespace."""
        reference = transition.reference
        return (Key("", reference.namespace or reference.name),)

    def reconcile(self, key: Key, cache: Cache, now: datetime, failure: Failure | None) -> Plan:
        """Return the making of the account where it lacks."""
        namespace = cache.get("namespaces", "", key.name)
        if namespace is None or is_being_deleted(namespace) or cache.get("serviceaccounts", key.name, "default"):
            return Plan()
        metadata = {"name": "default", "namespace": key.name}
        return Plan((Create("serviceaccounts", {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}),))
