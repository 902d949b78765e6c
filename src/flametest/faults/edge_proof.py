"""Whether soundings show what rules of an edge do: their ends, their times, and how many bytes came. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from flametest.edgeproxy.rules import Effect, Rule
from flametest.faults.http_faults import LATENCY_REQUESTS, Latency, delay_shown, rate_shown
from flametest.faults.odds import requests_needed
from flametest.faults.protocol import Proof

__all__ = [
    "Seen",
    "Volume",
    "judge",
    "judge_untouched",
    "judge_volume",
    "needs_order",
    "needs_volume",
    "shows",
    "soundings_of",
]

BANDWIDTH_SHARE = 0.1
BEYOND_FIRST = 5  # soundings after the last one that a "first n" means
ROUNDS_OF_EVERY = 4
ORDERED_MAX = 500
NO_REQUESTS = "no sounding was sent"

Check = tuple[bool, str]


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of soundings, in the order in which they ended: a status, or ``reset``, ``silent`` and so on."""

    ends: tuple[str, ...]
    latencies_ms: tuple[float, ...]

    @property
    def latency(self) -> Latency:
        """Return how long they took."""
        return Latency.of(self.latencies_ms)


@dataclass(frozen=True, slots=True)
class Volume:
    """What became of one that was answered at length: how many bytes came, in which time, and how it ended."""

    received_bytes: int
    seconds: float
    end: str


def needs_order(rules: Sequence[Rule]) -> bool:
    """Return whether soundings have to be sent one after the other, since it is counted which of them is meant."""
    return any(rule.match.first or rule.match.every for rule in rules)


def needs_volume(rule: Rule) -> bool:
    """Return whether it takes many bytes to see what a rule does."""
    effect = rule.effect
    limits = (effect.bytes_per_second, effect.reset_after_bytes, effect.close_after_bytes, effect.reset_after_ms)
    return any(limits)


def shows(effect: Effect) -> bool:
    """Return whether ends or times of soundings show an effect."""
    return bool(_ends(effect) or effect.delay_ms or effect.jitter_ms or effect.slice_delay_ms)


def soundings_of(rules: Sequence[Rule]) -> int:
    """Return how many soundings show the rules."""
    counts = [LATENCY_REQUESTS]
    for rule in rules:
        match = rule.match
        if match.first:
            counts.append(min(ORDERED_MAX, match.first + BEYOND_FIRST))
        elif match.every:
            counts.append(min(ORDERED_MAX, match.every * ROUNDS_OF_EVERY))
        if match.share < 1:
            counts.append(requests_needed(match.share))
    return max(counts)


def judge(rules: Sequence[Rule], before: Seen, seen: Seen) -> Proof:
    """Return whether soundings show the rules, with the figures; ``before`` went to the service directly."""
    if not seen.ends:
        return Proof(False, NO_REQUESTS)
    checks = _in_order(rules[0], before, seen) if needs_order(rules) else _in_shares(rules, before, seen)
    return _proof(checks)


def judge_untouched(rules: Sequence[Rule], before: Seen, seen: Seen) -> Proof:
    """Return whether soundings that no rule means were left alone."""
    strange = [end for end in seen.ends if end not in set(before.ends)]
    delay_ms = max((rule.effect.delay_ms for rule in rules), default=0.0)
    late = delay_ms > 0 and seen.latency.median_ms >= before.latency.median_ms + delay_ms
    told = f"{len(seen.ends) - len(strange)} of {len(seen.ends)} soundings that no rule means were answered as before"
    return Proof(bool(seen.ends) and not strange and not late, told + (", but late" if late else ""))


def judge_volume(effect: Effect, volume: Volume) -> Proof:
    """Return whether an answer at length shows a limit of bandwidth, of bytes or of time."""
    checks: list[Check] = []
    limit_bytes = effect.reset_after_bytes or effect.close_after_bytes
    if effect.bytes_per_second and volume.seconds:
        rate = volume.received_bytes / volume.seconds
        near = abs(rate - effect.bytes_per_second) <= BANDWIDTH_SHARE * effect.bytes_per_second
        checks.append((near, f"{rate:.0f} bytes/s of {effect.bytes_per_second} asked for came"))
    if limit_bytes:
        end = "reset" if effect.reset_after_bytes else "closed"
        right = volume.end == end and (volume.received_bytes == limit_bytes or not effect.towards("response"))
        checks.append((right, f"a connection was {volume.end} after {volume.received_bytes} bytes of {limit_bytes}"))
    if effect.reset_after_ms:
        right = volume.end == "reset" and volume.seconds * 1000 >= effect.reset_after_ms
        checks.append((right, f"a connection was {volume.end} after {volume.seconds * 1000:.0f} ms"))
    return _proof(checks)


def _proof(checks: Sequence[Check]) -> Proof:
    return Proof(bool(checks) and all(proved for proved, _ in checks), "; ".join(told for _, told in checks))


def _in_shares(rules: Sequence[Rule], before: Seen, seen: Seen) -> list[Check]:
    """Judge rules of which the first that applies counts, by the share of each end."""
    shares: dict[tuple[str, ...], float] = {}
    left = 1.0
    for rule in rules:
        ends = _ends(rule.effect)
        shares[ends] = shares.get(ends, 0.0) + left * rule.match.share
        left *= 1 - rule.match.share
    counts = Counter(seen.ends)
    checks = [
        rate_shown(len(seen.ends), sum(counts[end] for end in ends), share, _what(ends))
        for ends, share in shares.items()
        if ends
    ]
    delays = {(rule.effect.delay_ms, rule.effect.jitter_ms) for rule in rules}
    (delay_ms, jitter_ms), *others = sorted(delays)
    if (delay_ms or jitter_ms) and not others:
        checks.append(_delayed(delay_ms, jitter_ms, 1 - left, before, seen))
    elif any(rule.effect.slice_delay_ms for rule in rules) and not checks:
        rose = seen.latency.median_ms - before.latency.median_ms
        checks.append((rose > 0, f"the median of {len(seen.ends)} soundings rose by {rose:.1f} ms"))
    strange = set(seen.ends) - set(before.ends) - {end for ends in shares for end in ends}
    if strange:
        checks.append((False, f"some ended otherwise: {', '.join(sorted(strange))}"))
    return checks


def _delayed(delay_ms: float, jitter_ms: float, share: float, before: Seen, seen: Seen) -> Check:
    if share >= 1:
        return delay_shown(delay_ms, jitter_ms, before.latency, seen.latency, len(seen.ends))
    late = sum(one >= before.latency.median_ms + (delay_ms or jitter_ms / 2) * 0.8 for one in seen.latencies_ms)
    return rate_shown(len(seen.ends), late, share * (1 if delay_ms else 0.6), "were delayed")


def _in_order(rule: Rule, before: Seen, seen: Seen) -> list[Check]:
    """Judge a rule that counts, by each single sounding."""
    match = rule.match
    meant = [
        (not match.first or number <= match.first) and (not match.every or number % match.every == 0)
        for number in range(1, len(seen.ends) + 1)
    ]
    ends, threshold_ms = _ends(rule.effect), before.latency.median_ms + 0.8 * rule.effect.delay_ms
    found = [
        (not ends or end in ends) and (not rule.effect.delay_ms or latency_ms >= threshold_ms)
        for end, latency_ms in zip(seen.ends, seen.latencies_ms, strict=True)
    ]
    pairs = list(zip(meant, found, strict=True))
    right = sum(one == other for one, other in pairs)
    # Of those that count, a share is drawn; none of the others may be hit.
    whole = all(one or not other for one, other in pairs) if match.share < 1 else right == len(pairs)
    return [(whole, f"{right} of {len(meant)} soundings, one after the other, were as {match} says")]


def _ends(effect: Effect) -> tuple[str, ...]:
    """Return how a sounding ends; nothing where it is answered as without it."""
    if effect.status:
        return tuple(map(str, effect.status))
    if effect.silence:
        return ("silent", "closed")
    return ("reset",) if effect.reset else ("refused",) if effect.refuse else ()


def _what(ends: tuple[str, ...]) -> str:
    told = {"reset": "were reset", "silent": "found silence", "refused": "were refused"}
    return f"{told.get(ends[0], 'failed')} as asked for"
