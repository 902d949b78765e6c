"""The books of a system: whether the laws hold for what it counts, beside what a ledger knows of its own writes."""

from collections.abc import Mapping, Sequence

from flametest.model.laws import BEFORE, Law
from flametest.model.writes import Audit, Count, WriteOutcome

__all__ = ["broken_laws"]

_TOLERANCE = 1e-9  # of sums of prices, which are no whole numbers


def broken_laws(
    audit: Audit, writes: Sequence[tuple[WriteOutcome, Mapping[str, object]]]
) -> Mapping[str, Sequence[str]]:
    """Return for each law what breaks it, in words; nothing for one that holds, or is broken by no more than before.

    Args:
        audit: what was read back, the laws among it.
        writes: outcome and contents of each write of the ledger.
    """
    before = {count.name: count for count in audit.counts_before}
    broken: dict[str, list[str]] = {law.name: [] for law in audit.laws}
    for count in audit.counts:
        values = _values(count, before.get(count.name), writes)
        for law in audit.laws:
            if not _applies(law, values):
                continue
            if text := _breach(law, count, values, before.get(count.name)):
                broken[law.name].append(text)
    return broken


def _applies(law: Law, values: Mapping[str, float]) -> bool:
    """Return whether every figure of the law is there: those of before are not where they could not be read."""
    return law.figures() <= set(values)


def _breach(law: Law, count: Count, values: Mapping[str, float], before: Count | None) -> str:
    excesses = law.excesses(values)
    earlier = _earlier(law, before) if before is not None else ()
    differences = [
        now if abs(now) > _TOLERANCE and abs(now - then) > _TOLERANCE and not _lessened(now, then) else 0.0
        for now, then in zip(excesses, earlier or [0.0] * len(excesses), strict=True)
    ]
    if not any(differences):
        return ""
    figures = ", ".join(f"{name} {values[name]:g}" for name in sorted(law.figures()))
    astray = ", broken by less when the ledger began" if any(earlier) else ""
    return f"{count.name}: {law.text} does not hold ({figures}{astray})"


def _lessened(now: float, then: float) -> bool:
    """Return whether a breach has become smaller; what was wrong already is not this ledger's."""
    return 0 < now < then


def _earlier(law: Law, before: Count) -> tuple[float, ...]:
    """Return by how much a law was broken before; nothing where it speaks of what the ledger did."""
    return law.excesses(before.values) if law.figures() <= set(before.values) else ()


def _values(
    count: Count, before: Count | None, writes: Sequence[tuple[WriteOutcome, Mapping[str, object]]]
) -> Mapping[str, float]:
    """Return the figures that a law of this count may name."""
    own = [
        (outcome, contents)
        for outcome, contents in writes
        if all(contents.get(name) == value for name, value in count.joined.items())
    ]
    earlier = {f"{name}{BEFORE}": value for name, value in before.values.items()} if before is not None else {}
    return {
        **earlier,
        **count.values,
        "acknowledged": sum(_amount(one, count.sum) for outcome, one in own if outcome is WriteOutcome.ACKNOWLEDGED),
        "unknown": sum(_amount(one, count.sum) for outcome, one in own if outcome is WriteOutcome.UNKNOWN),
    }


def _amount(contents: Mapping[str, object], field: str) -> float:
    value = contents.get(field, 0) if field else 1
    return float(value) if isinstance(value, int | float) else 0.0
