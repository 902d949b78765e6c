"""What becomes of custom resources when their definitions come, change and go.

A definition is served as soon as it is written. When it is deleted its objects are, and it goes with the last of them.
One `Definitions` belongs to the registry's `Housekeeping` and lives as long.
"""

from typing import TYPE_CHECKING

from flametest.sandbox.apiserver.custom import resources_of
from flametest.sandbox.apiserver.defaults.extensions import CLEANUP
from flametest.sandbox.apiserver.deletion import DeleteOptions, may_go
from flametest.sandbox.apiserver.failures import method_not_allowed
from flametest.sandbox.apiserver.resources import BY_NAME, Resource
from flametest.sandbox.store import Key

if TYPE_CHECKING:
    from flametest.sandbox.apiserver.registry import Registry

__all__ = ["Definitions"]

_DEFINITIONS = BY_NAME["customresourcedefinitions.apiextensions.k8s.io"]


class Definitions:
    """The rules that tie custom resources to their definitions."""

    def __init__(self, registry: "Registry") -> None:
        self._registry = registry
        self._ending: set[str] = set()

    @staticmethod
    def is_definition(resource: Resource) -> bool:
        """Return whether a resource is that of definitions."""
        return resource.name == _DEFINITIONS.name

    def check_may_add(self, resource: Resource) -> None:
        """Check that objects of a resource may still be added.

        Raises:
            StatusError: 405, its definition is being deleted.
        """
        if resource.custom is not None and resource.name in self._ending:
            raise method_not_allowed()

    def written(self, resource: Resource, key: Key) -> None:
        """Serve what a definition defines."""
        record = self._registry.store.get(resource.name, key) if self.is_definition(resource) else None
        if record is not None:
            self._registry.served.define(key[1], resources_of(record.load()))

    def end(self, name: str) -> bool:
        """Delete the objects of a definition that is being deleted; return whether it is gone with them."""
        self._ending.add(name)
        self._empty(name)
        self._end_if_empty(name)
        return self._registry.store.get(_DEFINITIONS.name, ("", name)) is None

    def removed(self, resource: Resource, key: Key) -> None:
        """Let go of a definition whose last object has gone; forget one that has gone itself, with what is left."""
        if self.is_definition(resource):
            registry, name = self._registry, key[1]
            self._ending.discard(name)
            for one, _ in list(registry.store.items(name)):
                registry.drop(registry.served.named(name), one)
            registry.served.forget(name)
        elif resource.custom is not None:
            self._end_if_empty(resource.name)

    def _empty(self, name: str) -> None:
        resource = self._registry.served.named(name)
        for key, _ in list(self._registry.store.items(name)):
            self._registry.erase(resource, *key, DeleteOptions(propagation="Background"))

    def _end_if_empty(self, name: str) -> None:
        registry, key = self._registry, ("", name)
        if name not in self._ending or next(registry.store.items(name), None) is not None:
            return
        self._ending.discard(name)
        definition = registry.record(_DEFINITIONS, *key).load()
        metadata = definition["metadata"]
        metadata["finalizers"] = [one for one in metadata.get("finalizers", []) if one != CLEANUP]
        registry.put(_DEFINITIONS, key, definition)
        if may_go(definition):
            registry.drop(_DEFINITIONS, key)
