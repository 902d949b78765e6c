"""Faults of one experiment that last at the same time on the same object, and are healed in any order.

Each fault changes one aspect of its targets, and heals that one only. So two faults on one object do not touch each
other unless they change the same aspect. Where they do, the later one has recorded as the state of before what the
earlier one has made. Healed newest first, that is right. To heal the earlier one first, its record hands what it has
found over to the later one, which then leads back to that: the earlier one is over anyway, covered by the later one.
Where that cannot be done, the later one is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from flametest.faults.errors import FaultError
from flametest.faults.holding import shared
from flametest.faults.undo import UndoRecord

__all__ = [
    "ASPECTS",
    "HandedOver",
    "contested",
    "handed_over",
    "later_on_same",
    "refuse_contested",
    "refuse_unknown",
    "to_be_healed_before",
]

ASPECTS: Mapping[str, str] = {
    "bad_rollout": "image",
    "cpu_hog": "processor",
    "dependency_outage": "replicas",
    "dns_outage": "names",
    "edge": "service",
    "frozen_process": "running",
    "full_volume": "room",
    "intrusion": "intruder",
    "network_partition": "admission",
    "new_version": "image",
    "node_drain": "cordon",
    "node_loss": "power",
    "random_errors": "switch",
    "scaling": "replicas",
    "service_removal": "service",
}
"""What each fault that lasts changes of its targets; one that is not listed is taken to change all of them."""


@dataclass(frozen=True, slots=True)
class _Handing:
    """What a record hands over to a later one; ``heals`` when something of its own is left to heal then."""

    keys: tuple[str, ...]
    heals: bool = False


SIDE_BY_SIDE = frozenset({("edge", "edge")})
"""Faults of one aspect that share what they make, and know themselves whether they heal the last of it."""

_HANDINGS: Mapping[tuple[str, str], _Handing] = {
    ("bad_rollout", "bad_rollout"): _Handing(("container", "before")),
    ("dependency_outage", "dependency_outage"): _Handing(("before",)),
    ("dependency_outage", "scaling"): _Handing(("before",)),
    ("edge", "service_removal"): _Handing(("service",), heals=True),
    ("node_drain", "node_drain"): _Handing(("cordoned",)),
    ("scaling", "dependency_outage"): _Handing(("before",)),
    ("scaling", "scaling"): _Handing(("before",)),
}


@dataclass(frozen=True, slots=True)
class HandedOver:
    """The later record with what it leads back to from now on; ``heals`` when the earlier one is still to be healed."""

    later: UndoRecord
    heals: bool


def contested(one: UndoRecord, other: UndoRecord) -> bool:
    """Return whether two faults change the same aspect of the same object, so that their order counts."""
    if (one.fault, other.fault) in SIDE_BY_SIDE:
        return False
    aspects = (ASPECTS.get(one.fault, ""), ASPECTS.get(other.fault, ""))
    return (aspects[0] == aspects[1] or not all(aspects)) and shared(one, other) is not None


def later_on_same(records: Sequence[UndoRecord], record: UndoRecord) -> UndoRecord | None:
    """Return the next record that came after this one and changes the same of the same object; None without one."""
    later = (one for one in records if one.identifier > record.identifier and contested(record, one))
    return min(later, key=lambda one: one.identifier, default=None)


def to_be_healed_before(records: Sequence[UndoRecord], record: UndoRecord) -> UndoRecord | None:
    """Return a later record that has to be healed first; None without one, or when it leads back to the right state."""
    later = later_on_same(records, record)
    handed = None if later is None else handed_over(record, later)
    return None if handed is not None and handed.heals and handed.later == later else later


def handed_over(earlier: UndoRecord, later: UndoRecord) -> HandedOver | None:
    """Return the later record as it leads back to what the earlier one has found; None when it cannot."""
    handing = _HANDINGS.get((earlier.fault, later.fault))
    if handing is None or not all(key in earlier.state for key in handing.keys):
        return None
    state = later.state | {key: earlier.state[key] for key in handing.keys}
    return HandedOver(replace(later, state=state), handing.heals)


def refuse_unknown(records: Sequence[UndoRecord], wanted: UndoRecord) -> None:
    """Return if this experiment has a record of each fault with which one is to share what they make.

    Raises:
        FaultError: it has not: healing would never remove what they share.
    """
    known = {one.state.get("edge") for one in records}
    if any(key not in known for key in wanted.state.get("beside", ())):
        raise FaultError(
            f"{wanted.title}: there is a fault proxy that this experiment knows nothing about",
            "run `flametest undo` first",
        )


def refuse_contested(records: Sequence[UndoRecord], wanted: UndoRecord) -> None:
    """Return if a fault may come on top of those that this experiment has injected and not healed.

    Raises:
        FaultError: one of them changes the same of the same object, and could not be healed before it.
    """
    sharing = [one for one in records if contested(one, wanted) and (one.fault, one.fault) in SIDE_BY_SIDE]
    if len(sharing) > 1:
        raise FaultError(
            f"{wanted.title}: {len(sharing)} faults of this experiment share what is in front of it "
            f"({'; '.join(one.title for one in sharing)}), and could not be healed one by one under it",
            "heal all but one of them first by heal_faults",
        )
    for one in records:
        if not contested(one, wanted) or (one.fault, wanted.fault) in _HANDINGS:
            continue
        target = shared(wanted, one)
        assert target is not None
        raise FaultError(
            f"{wanted.title}: {target.kind} {target.name} is under {one.title!r} of this experiment already, and two "
            "faults that change the same of it could not be healed one by one",
            "heal that one first by heal_faults, or choose another target",
        )
