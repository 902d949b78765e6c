"""What an API server serves: the catalogue, its views, and what definitions of custom resources add while it runs."""

from collections.abc import Iterable

from flametest.sandbox.apiserver.resources import CATALOGUE, Resource
from flametest.sandbox.apiserver.views import VIEWS

__all__ = ["Served"]


class Served:
    """The resources of one registry; lives as long as it.

    Attributes:
        resources: all of them, those of the catalogue first.
    """

    def __init__(self) -> None:
        self._custom: dict[str, tuple[Resource, ...]] = {}
        self._arrange()

    def define(self, definition: str, resources: Iterable[Resource]) -> None:
        """Serve the resources of a definition from now on, in place of what it said before."""
        self._custom[definition] = tuple(resources)
        self._arrange()

    def forget(self, definition: str) -> None:
        """Serve the resources of a definition no longer."""
        self._custom.pop(definition, None)
        self._arrange()

    def find(self, group: str, version: str, plural: str) -> Resource | None:
        """Return the resource of a path, or None."""
        return self._by_path.get((group, version, plural))

    def has_version(self, group: str, version: str) -> bool:
        """Return whether anything of a group is served in a version."""
        return (group, version) in self._versions

    def storage(self, resource: Resource) -> Resource:
        """Return the resource as which the objects of a resource are stored: itself, unless it is a view."""
        return self._stored[resource.stored_name]

    def named(self, name: str) -> Resource:
        """Return the resource with objects of its own of that name, such as ``deployments.apps``."""
        return self._stored[name]

    @property
    def stored(self) -> tuple[Resource, ...]:
        """The resources with objects of their own."""
        return tuple(self._stored.values())

    def _arrange(self) -> None:
        fixed = (*CATALOGUE, *VIEWS)
        paths = {(r.group, r.version, r.plural) for r in fixed}
        added = (r for resources in self._custom.values() for r in resources)
        # Nobody replaces what is there by a definition of the same name.
        self.resources: tuple[Resource, ...] = (
            *fixed,
            *(r for r in added if (r.group, r.version, r.plural) not in paths),
        )
        self._by_path = {(r.group, r.version, r.plural): r for r in self.resources}
        self._versions = frozenset((r.group, r.version) for r in self.resources)
        self._stored = {r.name: r for r in self.resources if not r.stored_as}
