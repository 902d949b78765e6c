"""The rules in force, the draws that they make, and what was done so far. Decisions only; clock and seed are passed in.

The switch is off until somebody turns it on, and goes off by itself when its time is over: an experimenter that dies
leaves a proxy that passes everything on. Soundings, which the proxy sends to itself, are decided by the same rules
with counts of their own, so that they use up no "first n" that is meant for others.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .rules import Effect, Rule, Unit

__all__ = ["SOUNDING_CALLER", "SOUNDING_OTHER", "SOUNDING_VOLUME", "Switch", "is_sounding"]

SOUNDING_CALLER = "127.0.0.1"
"""The address of soundings that stand for a caller whom a rule means."""
SOUNDING_OTHER = "127.0.0.2"
"""The address of soundings that stand for somebody else."""
SOUNDING_VOLUME = "127.0.0.3"
"""The address of soundings that stand for that caller as well, and are answered by the proxy itself, at length."""


def is_sounding(address: str) -> bool:
    """Return whether it is the proxy itself that is there: nobody else reaches it by a loopback address."""
    return address in (SOUNDING_CALLER, SOUNDING_OTHER, SOUNDING_VOLUME)


@dataclass(slots=True)
class _State:
    """What a rule has seen: how many units it means, and its draws."""

    rule: Rule
    draw: random.Random
    meant: int = 0
    applied: int = 0

    def applies(self) -> bool:
        """Count a unit that is meant, and return whether the rule applies to it."""
        self.meant += 1
        match = self.rule.match
        if (match.first and self.meant > match.first) or (match.every and self.meant % match.every):
            return False
        if match.share < 1 and self.draw.random() >= match.share:
            return False
        self.applied += 1
        return True


class Switch:
    """Decides what happens to each connection or request. One per process; used from its event loop only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.counts: Counter[str] = Counter()
        self.connections: Counter[str] = Counter()
        self.callers: set[str] = set()
        self.generator_port = 0
        self._clock = clock
        self._until = 0.0
        self._states: list[_State] = []
        self._states_sounding: list[_State] = []
        self._draw = random.Random()  # noqa: S311  # faults, not secrets
        self._changed: list[Callable[[], None]] = []

    def turn_on(self, rules: Sequence[Rule], seconds: float, seed: int | None) -> None:
        """Replace whatever was on by ``rules`` for ``seconds``, and count from zero."""
        self._draw = random.Random(seed)  # noqa: S311
        self._states, self._states_sounding = self._fresh(rules), self._fresh(rules)
        self._until = self._clock() + seconds
        self.counts.clear()
        self._tell()

    def turn_off(self) -> None:
        """Pass everything on again; the counts stay."""
        self._until = 0.0
        self._tell()

    def on_change(self, told: Callable[[], None]) -> None:
        """Have ``told`` called whenever the switch is turned."""
        self._changed.append(told)

    @property
    def active(self) -> bool:
        """Return whether rules are in force."""
        return self._clock() < self._until

    @property
    def seconds_left(self) -> float:
        """Return for how long still."""
        return max(0.0, self._until - self._clock())

    @property
    def refuses(self) -> bool:
        """Return whether all connections are to be refused."""
        return self.active and any(state.rule.effect.refuse for state in self._states)

    def decide(self, unit: Unit) -> Effect | None:
        """Return what is done to a unit; None for nothing."""
        if not self.active:
            return None
        sounding = is_sounding(unit.address)
        if not sounding:
            self.counts["units"] += 1
        for state in self._states_sounding if sounding else self._states:
            if self._means(state.rule, unit) and state.applies():
                if not sounding:
                    self.counts["affected"] += 1
                    self.counts.update(_kinds(state.rule.effect))
                return state.rule.effect
        return None

    def delay_seconds(self, effect: Effect) -> float:
        """Return a delay, jitter included."""
        return (effect.delay_ms + self._draw.uniform(0, effect.jitter_ms)) / 1000

    def status(self, effect: Effect) -> int:
        """Return one of the effect's statuses."""
        return self._draw.choice(effect.status)

    def state(self) -> dict[str, Any]:
        """Return what is on, for how long still, and what was done, as JSON."""
        return {
            "active": self.active,
            "expires_in_seconds": round(self.seconds_left, 3),
            "rules": [
                state.rule.as_json() | {"meant": state.meant, "applied": state.applied} for state in self._states
            ],
            "counts": dict(self.counts),
            "connections": dict(self.connections),
            "callers": sorted(self.callers),
        }

    def _means(self, rule: Rule, unit: Unit) -> bool:
        known = unit.address in (SOUNDING_CALLER, SOUNDING_VOLUME) or unit.address in self.callers
        return (not rule.of_caller or known) and rule.match.means(unit)

    def _fresh(self, rules: Iterable[Rule]) -> list[_State]:
        return [_State(rule, random.Random(self._draw.random())) for rule in rules]  # noqa: S311

    def _tell(self) -> None:
        for told in self._changed:
            told()


def _kinds(effect: Effect) -> list[str]:
    """Return the counters of an effect."""
    kinds = {
        "delayed": effect.delay_ms or effect.jitter_ms,
        "limited": effect.bytes_per_second,
        "sliced": effect.slice_bytes,
        "reset": effect.reset or effect.reset_after_bytes or effect.reset_after_ms,
        "closed": effect.close_after_bytes or effect.close_delay_ms,
        "silenced": effect.silence,
        "answered": effect.status,
    }
    return [kind for kind, given in kinds.items() if given]
