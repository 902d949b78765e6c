"""How likely a set of faults is to break a promise, and why: the model by which candidates are ordered. Pure.

A request is answered while every part on its path works. A part works while one of its replicas does, or while
something stands in for it: another need of its caller, a cache, a retry, a replacement pod on another node. So one
fault is a cut of the path where nothing stands in; where a fault was tried and its promise held, something did, and a
cut needs the fault and what stood in for it. That is looked for nearest first: in the part itself (fewer replicas, no
node for the replacement), among the needs of the same caller (a fallback), and in whoever asks it (a retry). What was
felt, though the promise held, has used up part of what the promise allows, and goes first.

The numbers are weights for an order, no probabilities: only how they compare means something.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flametest.search.letters import Kind, Letter
from flametest.search.structure import Relation, Structure

__all__ = ["Likelihood", "likelihood"]

_SEVERITY = {Kind.GONE: 0.9, Kind.DEGRADED: 0.6, Kind.NODE: 0.4, Kind.REPLICAS: 0.3, Kind.ROLLOUT: 0.1}
_ONLY_REPLICA = 0.8  # as bad as a part that is gone, for as long as its replacement takes
_OF_CACHE = 0.7  # what can be made again is asked for elsewhere meanwhile
_NEARNESS = {Relation.SAME: 1.0, Relation.CALL: 0.8, Relation.SIBLINGS: 0.8, Relation.PATH: 0.2}
_NODE_AND_REPLICAS = 1.0  # the replacement of a pod needs a node
_NODE_AND_OTHER = 0.3
_UNFELT = 0.25


@dataclass(frozen=True, slots=True)
class Likelihood:
    """A weight, larger for what is likelier, and the reason in words."""

    weight: float
    reason: str


def likelihood(letters: Sequence[Letter], structure: Structure, felt: Mapping[str, float]) -> Likelihood:
    """Return how likely a set is to break.

    Args:
        letters: the set.
        structure: the system.
        felt: which share of the promise each letter alone has used up, from 0 to 1, by its name; letters that were not
            tried are not in it.
    """
    weight = 1.0
    for one in letters:
        weight *= _severity(one, structure)
        if len(letters) > 1:
            weight *= _UNFELT + (1 - _UNFELT) * felt.get(one.name, 0.0)
    if len(letters) == 1:
        return Likelihood(weight, _alone(letters[0], structure))
    links = _links(letters, structure)
    for nearness, _ in links:
        weight *= nearness
    reasons = [reason for _, reason in links]
    strained = [f"{one.name} alone used up {felt[one.name]:.0%}" for one in letters if felt.get(one.name, 0.0) >= 0.05]
    return Likelihood(weight, "; ".join([*dict.fromkeys(reasons), *strained]))


def _severity(letter: Letter, structure: Structure) -> float:
    part = structure.parts.get(letter.part)
    severity = _SEVERITY[letter.kind]
    if part is None:
        return severity
    if letter.kind is Kind.REPLICAS and letter.pods:
        share = min(1.0, letter.pods / max(part.replicas, 1))
        severity = _ONLY_REPLICA if share >= 1.0 else severity * (0.5 + share)
    return severity * (_OF_CACHE if part.is_cache else 1.0)


def _alone(letter: Letter, structure: Structure) -> str:
    part = structure.parts.get(letter.part)
    if part is None:
        return "pods of a node have to start elsewhere"
    if letter.kind is Kind.GONE:
        return f"nothing is known to stand in for {part.name}"
    if letter.kind is Kind.DEGRADED:
        return f"callers of {part.name} have to wait or retry"
    if letter.kind is Kind.NODE:
        return f"pods of a node that carries one of {part.name} have to start elsewhere"
    if letter.kind is Kind.ROLLOUT:
        return f"every pod of {part.name} is replaced or joined in an orderly way"
    left = max(part.replicas - letter.pods, 0)
    return f"{part.name} is left with {left} of {part.replicas} pods"


def _links(letters: Sequence[Letter], structure: Structure) -> list[tuple[float, str]]:
    """Return the strongest links that join all letters, as a spanning tree grown from the first one."""
    joined, left, links = [letters[0]], list(letters[1:]), []
    while left:
        nearness, reason, nearest = max(
            ((*_link(one, other, structure), other) for one in joined for other in left),
            key=lambda link: (link[0], link[1]),
        )
        links.append((nearness, reason))
        joined.append(nearest)
        left.remove(nearest)
    return links


def _link(one: Letter, other: Letter, structure: Structure) -> tuple[float, str]:
    """Return how near two faults are, and why one may hit what stands in for the other."""
    if Kind.NODE in (one.kind, other.kind):
        node, hit = (one, other) if one.kind is Kind.NODE else (other, one)
        if hit.kind in (Kind.REPLICAS, Kind.ROLLOUT) and node.part in ("", hit.part):
            return _NODE_AND_REPLICAS, f"a replacement of {hit.part} needs a node"
        return _NODE_AND_OTHER, f"a node takes pods of others while {hit.part or 'another node'} is hit"
    relation = structure.relation(one.part, other.part)
    if relation is None:
        return 0.0, "they share no path"
    reason = {
        Relation.SAME: f"the pods that are left of {one.part} are hit as well",
        Relation.CALL: f"{one.part} and {other.part} ask one another: a retry or a fallback of the caller may be hit",
        Relation.SIBLINGS: f"{structure.caller(one.part, other.part)} needs {one.part} and {other.part}: one may stand "
        "in for the other",
        Relation.PATH: f"{one.part} and {other.part} are on one path",
    }[relation]
    return _NEARNESS[relation], reason
