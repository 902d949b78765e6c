"""The gate of a set: what several faults hit together has to lie within one blast radius. Pure.

The recorder asks the cluster again, with the targets themselves, before the first fault of a trial; here sets are left
out that it would refuse.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from flametest.search.letters import Letter
from flametest.search.structure import Part

__all__ = ["Reach", "reach", "refusal"]

TARGETS_MAX = 5
PODS_SHARE_MAX = 0.5


@dataclass(frozen=True, slots=True)
class Reach:
    """The blast radius that the experiment of a set states; see `flametest.faults.safety.Radius`."""

    targets_max: int
    pods_share_max: float
    nodes_max: int


def reach(letters: Iterable[Letter], nodes_max: int) -> Reach:
    """Return the radius of a set: the usual one, wider only where the experiment of one of its letters states so.

    Radii are not added up: what one fault alone may hit at most, all of them together may.
    """
    chosen = tuple(letters)
    share = max((PODS_SHARE_MAX, *(one.pods_share_max for one in chosen)))
    targets = max((TARGETS_MAX, *(one.targets_max for one in chosen)))
    return Reach(targets, share, nodes_max if any(one.nodes for one in chosen) else 0)


def refusal(letters: Iterable[Letter], parts: Mapping[str, Part], nodes_max: int) -> str:
    """Return why a set may not be injected; empty when it may."""
    chosen = tuple(letters)
    radius = reach(chosen, nodes_max)
    if (hit := sum(one.targets for one in chosen)) > radius.targets_max:
        return f"together it hits {hit} objects, more than the {radius.targets_max} that are allowed"
    if (nodes := sum(one.nodes for one in chosen)) > nodes_max:
        return f"together it hits {nodes} nodes, more than the {nodes_max} that are allowed"
    for name in {one.part for one in chosen if one.pods}:
        of_part = [one for one in chosen if one.part == name]
        share = max((PODS_SHARE_MAX, *(one.pods_share_max for one in of_part)))
        taken, replicas = sum(one.pods for one in of_part), parts[name].replicas if name in parts else 1
        if taken > share * replicas:
            return f"together it takes {taken} of {replicas} pods of {name}, more than the share of {share:.0%}"
    return ""
