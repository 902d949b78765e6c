"""A system as far as it decides which faults belong together: its parts, their needs, and what users ask for. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

__all__ = ["Part", "Relation", "Structure"]


class Relation(StrEnum):
    """How two parts stand to one another on what users ask for."""

    SAME = "same part"
    SIBLINGS = "needed by one caller"
    CALL = "one asks the other"
    PATH = "on one path"


@dataclass(frozen=True, slots=True)
class Part:
    """A workload: how many pods it has, and whether what it keeps can be made again, as of a cache."""

    name: str
    replicas: int = 1
    is_cache: bool = False


@dataclass(frozen=True, slots=True)
class Structure:
    """Parts and their needs.

    Attributes:
        parts: by name.
        needs: the parts that each part asks, by its name.
        paths: the parts that answers to a path go through, by the path.
    """

    parts: Mapping[str, Part]
    needs: Mapping[str, frozenset[str]] = field(default_factory=dict)
    paths: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def path_of(self, parts: Iterable[str]) -> str:
        """Return the first path that all of these parts are on; empty where there is none."""
        wanted = frozenset(parts)
        return next((path for path, on in self.paths.items() if wanted <= on), "")

    def relation(self, first: str, second: str) -> Relation | None:
        """Return how two parts are related; None where no path goes through both."""
        if not self.path_of((first, second)):
            return None
        if first == second:
            return Relation.SAME
        if self._asks(first, second) or self._asks(second, first):
            return Relation.CALL
        if any({first, second} <= needed for needed in self.needs.values()):
            return Relation.SIBLINGS
        return Relation.PATH

    def hidden_by(self, gone: frozenset[str], path: str) -> frozenset[str]:
        """Return the parts of a path that nobody asks while some parts are away: all their callers are, or are hidden.

        Parts that nothing is seen to ask are asked by users.
        """
        on = self.paths.get(path, frozenset())
        callers = {name: {caller for caller in on if self._asks(caller, name)} - {name} for name in on}
        hidden: set[str] = set()
        while more := {one for one in on - hidden if callers[one] and callers[one] <= gone | hidden}:
            hidden |= more
        return frozenset(hidden)

    def caller(self, first: str, second: str) -> str:
        """Return a part that needs both; empty where there is none."""
        return next((name for name, needed in sorted(self.needs.items()) if {first, second} <= needed), "")

    def _asks(self, caller: str, callee: str) -> bool:
        return callee in self.needs.get(caller, frozenset())
