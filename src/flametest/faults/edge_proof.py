"""Whether soundings show what rules of an edge do: their ends, their times, and how many bytes came. Pure."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from flametest.edgeproxy.rules import Effect, Rule
from flametest.faults.evidence import (
    ADDED_SHARE_MIN,
    JITTER_SHARE,
    LATENCY_REQUESTS,
    Check,
    Latency,
    delay_shown,
    jitter_shown,
    jitter_test,
    rate_shown,
)
from flametest.faults.odds import Decision, RateTest
from flametest.faults.protocol import Proof

__all__ = [
    "Seen",
    "Volume",
    "judge",
    "judge_in_order",
    "judge_untouched",
    "judge_volume",
    "needs_order",
    "needs_volume",
    "rate_tests",
    "rates_of",
    "shows",
    "shows_singly",
    "soundings_in_order",
]

BANDWIDTH_SHARE = 0.1
BEYOND_FIRST = 5  # soundings after the last one that a "first n" means
ROUNDS_OF_EVERY = 4
ORDERED_MAX = 500
ORDERS_MAX = 5000  # the proxy sends no more at a time
NO_REQUESTS = "no sounding was sent"
STRANGE_SHARE_MAX = 0.02  # that end neither as the rules say nor as without them: a time-out of a busy machine


@dataclass(frozen=True, slots=True)
class Seen:
    """What became of soundings, in the order in which they ended: a status, or ``reset``, ``silent`` and so on."""

    ends: tuple[str, ...]
    latencies_ms: tuple[float, ...]

    def __add__(self, other: Self) -> "Seen":
        """Return what became of these and of others."""
        return Seen(self.ends + other.ends, self.latencies_ms + other.latencies_ms)

    @property
    def requests(self) -> int:
        """Return how many there were."""
        return len(self.ends)

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


def shows_singly(effect: Effect) -> bool:
    """Return whether each single sounding shows an effect that soundings show at all."""
    return bool(_ends(effect) or effect.delay_ms) or not shows(effect)


def soundings_in_order(rules: Sequence[Rule]) -> int:
    """Return how many soundings, one after the other, show rules that count."""
    counts = [LATENCY_REQUESTS]
    for match in (rule.match for rule in rules):
        if match.first:
            counts.append(min(ORDERED_MAX, match.first + BEYOND_FIRST))
        elif match.every:
            counts.append(min(ORDERED_MAX, match.every * ROUNDS_OF_EVERY))
            counts.append(min(ORDERS_MAX, match.every))
    return max(counts)


def rates_of(rules: Sequence[Rule]) -> list[float]:
    """Return the rates by which soundings show rules, of which the first that applies counts, besides whole delays."""
    rates = list(_shares(rules).values())
    return rates if (late := _late_share(rules)) is None else [*rates, late]


def rate_tests(rules: Sequence[Rule]) -> list[RateTest]:
    """Return the tests by which such rules are judged."""
    rates = rates_of(rules)
    jitters = [jitter_test(len(rates) + 1)] if _only_jitters(rules) else []
    return [RateTest(rate, len(rates) + len(jitters)) for rate in rates] + jitters


def judge(rules: Sequence[Rule], before: Seen, seen: Seen) -> list[Check]:
    """Return what all soundings so far say of rules; ``before`` went to the service directly."""
    shares, counts, tests = _shares(rules), Counter(seen.ends), rate_tests(rules)
    strange = [end for end in seen.ends if end not in {*before.ends, *(end for ends in shares for end in ends)}]
    told = seen.requests - len(strange)
    checks = [
        rate_shown(test, told, sum(counts[end] for end in ends), _what(ends))
        for test, ends in zip(tests, shares if told else (), strict=False)
    ]
    checks += _delayed(rules, tests[-1:], before, seen)
    if any(rule.effect.slice_delay_ms for rule in rules) and not checks:
        rose = seen.latency.median_ms - before.latency.median_ms
        checks.append(_later(rose > 0, f"the median of {seen.requests} soundings rose by {rose:.1f} ms"))
    if strange:
        few = len(strange) <= STRANGE_SHARE_MAX * seen.requests
        checks.append(
            _later(few, f"{len(strange)} of {seen.requests} ended otherwise: {', '.join(sorted(set(strange)))}")
        )
    return checks


def judge_in_order(rules: Sequence[Rule], before: Seen, seen: Seen) -> Proof:
    """Return whether soundings, sent one after the other, show rules that count."""
    return _proof(_in_order(rules[0], before, seen)) if seen.ends else Proof(False, NO_REQUESTS)


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
        checks.append(Check.of(near, f"{rate:.0f} bytes/s of {effect.bytes_per_second} asked for came"))
    if limit_bytes:
        end = "reset" if effect.reset_after_bytes else "closed"
        right = volume.end == end and (volume.received_bytes == limit_bytes or not effect.towards("response"))
        checks.append(
            Check.of(right, f"a connection was {volume.end} after {volume.received_bytes} bytes of {limit_bytes}")
        )
    if effect.reset_after_ms:
        right = volume.end == "reset" and volume.seconds * 1000 >= effect.reset_after_ms
        checks.append(Check.of(right, f"a connection was {volume.end} after {volume.seconds * 1000:.0f} ms"))
    return _proof(checks)


def _proof(checks: Sequence[Check]) -> Proof:
    proved = bool(checks) and all(check.decision is Decision.SHOWN for check in checks)
    return Proof(proved, "; ".join(check.told for check in checks))


def _later(holds: bool, told: str) -> Check:
    """Return the check of something that more soundings may still show."""
    return Check(Decision.SHOWN if holds else Decision.OPEN, told)


def _shares(rules: Sequence[Rule]) -> dict[tuple[str, ...], float]:
    """Return the share of soundings that end in each way that rules make."""
    shares: dict[tuple[str, ...], float] = {}
    left = 1.0
    for rule in rules:
        if ends := _ends(rule.effect):
            shares[ends] = round(shares.get(ends, 0.0) + left * rule.match.share, 12)
        left *= 1 - rule.match.share
    return shares


def _delay(rules: Sequence[Rule]) -> tuple[float, float]:
    """Return the delay and the jitter that all rules have; zeros when they differ."""
    delays = {(rule.effect.delay_ms, rule.effect.jitter_ms) for rule in rules}
    return delays.pop() if len(delays) == 1 else (0.0, 0.0)


def _affected(rules: Sequence[Rule]) -> float:
    """Return the share of soundings that any rule applies to."""
    return round(1 - math.prod(1 - rule.match.share for rule in rules), 12)


def _late_share(rules: Sequence[Rule]) -> float | None:
    """Return the share of soundings that are late; None where none or all are delayed."""
    (delay_ms, jitter_ms), affected = _delay(rules), _affected(rules)
    if affected == 1 or not (delay_ms or jitter_ms):
        return None
    return affected * (1 if delay_ms else JITTER_SHARE)


def _only_jitters(rules: Sequence[Rule]) -> bool:
    delay_ms, jitter_ms = _delay(rules)
    return _affected(rules) == 1 and bool(jitter_ms and not delay_ms)


def _delayed(rules: Sequence[Rule], test: Sequence[RateTest], before: Seen, seen: Seen) -> list[Check]:
    """Judge the delay of rules; ``test`` is that of its rate where it has one."""
    delay_ms, jitter_ms = _delay(rules)
    if not (delay_ms or jitter_ms):
        return []
    if _only_jitters(rules):
        return [jitter_shown(test[0], jitter_ms, before.latency, seen.latencies_ms)]
    if _late_share(rules) is None:
        return [delay_shown(delay_ms, before.latency, seen.latency, seen.requests)]
    least_ms = before.latency.median_ms + (delay_ms or jitter_ms / 2) * ADDED_SHARE_MIN
    late = sum(one >= least_ms for one in seen.latencies_ms)
    return [rate_shown(test[0], seen.requests, late, "were delayed")]


def _in_order(rule: Rule, before: Seen, seen: Seen) -> list[Check]:
    """Judge a rule that counts, by each single sounding."""
    match = rule.match
    meant = [
        (not match.first or number <= match.first) and (not match.every or number % match.every == 0)
        for number in range(1, len(seen.ends) + 1)
    ]
    found = _found(rule.effect, before, seen, meant)
    pairs = list(zip(meant, found, strict=True))
    right = sum(one == other for one, other in pairs)
    # Of those that count, a share is drawn; none of the others may be hit.
    whole = any(meant) and (all(one or not other for one, other in pairs) if match.share < 1 else right == len(pairs))
    return [Check.of(whole, f"{right} of {len(meant)} soundings, one after the other, were as {match} says")]


def _found(effect: Effect, before: Seen, seen: Seen, meant: Sequence[bool]) -> list[bool]:
    """Return which soundings an effect was found at.

    One that is not meant may be late all the same, on a busy machine: that counts only when half of them are.
    """
    ends, least_ms = _ends(effect), before.latency.median_ms + ADDED_SHARE_MIN * effect.delay_ms
    late = [not effect.delay_ms or latency_ms >= least_ms for latency_ms in seen.latencies_ms]
    others = [one for one, is_meant in zip(late, meant, strict=True) if not is_meant]
    often = 2 * sum(others) >= len(others)
    return [
        (not ends or end in ends) and (is_late if is_meant else bool(ends) or (is_late and often))
        for end, is_late, is_meant in zip(seen.ends, late, meant, strict=True)
    ]


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
