"""What a weakness is, and what a rule that finds one is. Pure."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from flametest.starter.evidence import Certainty, Evidence
from flametest.starter.system import Route, Service, Workload
from flametest.starter.topology import Topology

__all__ = ["Rule", "Severity", "Weakness"]

Part = TypeVar("Part", Workload, Service, Route)


class Severity(StrEnum):
    """What a weakness leads to: HIGH an outage by itself, MEDIUM one together with an ordinary event, LOW doubt."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Weakness:
    """One weakness; ``rule``, ``evidence`` and ``advice`` are called so in findings of reports, too.

    Attributes:
        rule: its name, which stays the same between versions.
        severity: how bad.
        part: the object, such as ``Deployment api``.
        evidence: what was found.
        advice: what to do about it.
        certainty: how certain it is.
        at: where what was found stands.
    """

    rule: str
    severity: Severity
    part: str
    evidence: str
    advice: str
    certainty: Certainty
    at: Evidence


@dataclass(frozen=True, slots=True)
class Rule(Generic[Part]):
    """One rule: ``evidence`` is asked of every part that is ``among`` a system, and empty for one that is sound."""

    name: str
    severity: Severity
    among: Callable[[Topology], Iterable[Part]]
    evidence: Callable[[Topology, Part], str]
    advice: str
    certainty: Certainty = Certainty.SEEN

    def weaknesses(self, topology: Topology) -> Iterator[Weakness]:
        """Yield the parts that are not sound."""
        for part in self.among(topology):
            if evidence := self.evidence(topology, part):
                told = str(part)
                at = Evidence(told, place=topology.system.place(*told.split(" ", 1)))
                yield Weakness(self.name, self.severity, told, evidence, self.advice, self.certainty, at)
