"""The faults to combine: an alphabet of letters, each with levels of strength, the strongest first. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from itertools import combinations
from typing import Any

__all__ = ["Alphabet", "Dose", "Kind", "Letter", "Level", "Trial", "subsets"]


class Kind(StrEnum):
    """What a fault does to the part that it hits.

    GONE takes all of a part away, DEGRADED leaves it slow or failing at times, REPLICAS takes some of its pods,
    ROLLOUT replaces or adds pods in an orderly way, NODE takes a node with whatever runs there.
    """

    GONE = "gone"
    DEGRADED = "degraded"
    REPLICAS = "replicas"
    ROLLOUT = "rollout"
    NODE = "node"


@dataclass(frozen=True, slots=True)
class Level:
    """How strong a fault is: in words such as ``500 ms``, empty where there is one strength only, and as arguments."""

    words: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Letter:
    """A fault on one part.

    Attributes:
        name: tells it from others, such as ``slow-redis``.
        title: what it does, such as ``answers of redis are delayed``.
        kind: what that means for the part.
        part: the workload that it hits; empty for a node.
        levels: its strengths, the strongest first; at least one.
        func, module: the action that injects it.
        lasts: whether it lasts until it is healed.
        targets: how many objects it hits at least; a node's pods are known on the cluster only.
        pods: how many of the part's pods it takes at its strongest; 0 where it takes none.
        nodes: how many nodes it hits.
        targets_max, pods_share_max: the blast radius that its own experiment states; a share of 1 where it takes the
            only pod of its part.
        source: where the fault was found: an experiment's file, or ``needs graph``.
    """

    name: str
    title: str
    kind: Kind
    part: str
    levels: tuple[Level, ...]
    func: str
    module: str = "flametest.chaos.actions"
    lasts: bool = True
    targets: int = 1
    pods: int = 0
    nodes: int = 0
    targets_max: int = 5
    pods_share_max: float = 0.5
    source: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Dose:
    """A letter at one of its levels; 0 is the strongest."""

    letter: str
    level: int = 0


@dataclass(frozen=True)
class Trial:
    """A set of faults at given strengths, held for a given time.

    Attributes:
        doses: sorted by their letters; none for a control.
        hold: index of how long lasting faults are held; 0 is the longest.
        beside: of a control, what it is run in turn with, so that it counts for that alone.
    """

    doses: tuple[Dose, ...]
    hold: int = 0
    beside: str = ""

    @classmethod
    def of(cls, letters: Iterable[str]) -> "Trial":
        """Return the trial of letters at their strongest, held longest."""
        return cls(tuple(Dose(one) for one in sorted(letters)))

    @cached_property
    def letters(self) -> frozenset[str]:
        """Return the names of its letters."""
        return frozenset(one.letter for one in self.doses)

    @cached_property
    def key(self) -> str:
        """Return what names this very trial, such as ``redis-outage+slow-logic@1/0``."""
        named = (f"{one.letter}@{one.level}" if one.level else one.letter for one in self.doses)
        return f"{'+'.join(named) or self.beside}/{self.hold}"

    def only(self, letters: Iterable[str]) -> "Trial":
        """Return this trial with some of its letters, at the same strength and for the same time."""
        kept = frozenset(letters)
        return Trial(tuple(one for one in self.doses if one.letter in kept), self.hold)


@dataclass(frozen=True, slots=True)
class Alphabet:
    """All letters, by their names, and why others are not among them."""

    letters: Mapping[str, Letter]
    left_out: tuple[str, ...] = field(default=())

    def of(self, names: Iterable[str]) -> tuple[Letter, ...]:
        """Return letters by their names, sorted by these."""
        return tuple(self.letters[name] for name in sorted(names))


def subsets(letters: frozenset[str]) -> Iterator[frozenset[str]]:
    """Yield every proper subset that is not empty, larger ones first."""
    for size in range(len(letters) - 1, 0, -1):
        yield from map(frozenset, combinations(sorted(letters), size))
