"""One fault of an edge: its rules while they are in force, the draws that they make, and what was done so far.

Decisions only; clock and seed are passed in. The rules are off until somebody turns them on, and go off by themselves
when their time is over: an experimenter that dies leaves a proxy that passes everything on.
"""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from .rules import Effect, Rule, Unit

__all__ = ["Applied", "Edge", "Sounding", "sounding_of"]

_SOUNDINGS = "127.1."
_CALLER, _OTHER, _VOLUME = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Sounding:
    """What the address of a sounding stands for: nobody but the proxy itself reaches it by such an address.

    Attributes:
        number: the edge by whose rules alone it is judged.
        role: 1 for a caller whom a rule means, 2 for somebody else, 3 for that caller, answered by the proxy at length.
    """

    number: int
    role: int

    @property
    def address(self) -> str:
        """Return the loopback address."""
        return f"{_SOUNDINGS}{self.number}.{self.role}"

    @property
    def is_of_caller(self) -> bool:
        """Return whether it stands for a caller whom rules mean."""
        return self.role != _OTHER

    @property
    def is_volume(self) -> bool:
        """Return whether the proxy itself answers it, at length."""
        return self.role == _VOLUME

    @classmethod
    def of(cls, number: int, *, caller: bool = True, volume: bool = False) -> "Sounding":
        """Return that of an edge's number."""
        return cls(number, _VOLUME if volume else _CALLER if caller else _OTHER)


def sounding_of(address: str) -> Sounding | None:
    """Return what an address stands for; None for that of anybody but the proxy itself."""
    if not address.startswith(_SOUNDINGS):
        return None
    number, _, role = address.removeprefix(_SOUNDINGS).partition(".")
    return Sounding(int(number), int(role))


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


class Edge:
    """The rules of one fault. Used from the process' event loop only.

    Soundings are decided by the same rules with counts of their own, so that they use up no "first n" that is meant
    for others.

    Attributes:
        number: tells its soundings from those of other edges.
        ports: the proxy's ports that it is about; none for all.
        protocol: whether a unit is a connection, ``tcp``, or a request, ``http``; empty for either.
        callers: addresses of clients whom rules of a caller mean.
        counts: what was done since it was turned on.
    """

    def __init__(self, number: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.number = number
        self.ports: frozenset[int] = frozenset()
        self.protocol = ""
        self.callers: set[str] = set()
        self.counts: Counter[str] = Counter()
        self._clock = clock
        self._until = 0.0
        self._states: list[_State] = []
        self._states_sounding: list[_State] = []
        self._draw = random.Random()  # noqa: S311  # faults, not secrets

    def turn_on(self, rules: Sequence[Rule], seconds: float, seed: int | None) -> None:
        """Replace whatever was on by ``rules`` for ``seconds``, and count from zero."""
        self._draw = random.Random(seed)  # noqa: S311
        self._states, self._states_sounding = self._fresh(rules), self._fresh(rules)
        self._until = self._clock() + seconds
        self.counts.clear()

    def turn_off(self) -> None:
        """Pass everything on again; the counts stay."""
        self._until = 0.0

    @property
    def active(self) -> bool:
        """Return whether its rules are in force."""
        return self._clock() < self._until

    @property
    def seconds_left(self) -> float:
        """Return for how long still."""
        return max(0.0, self._until - self._clock())

    @property
    def refuses(self) -> bool:
        """Return whether all connections to its ports are to be refused."""
        return self.active and any(state.rule.effect.refuse for state in self._states)

    def is_about(self, port: int) -> bool:
        """Return whether what comes to one of the proxy's ports is judged by it."""
        return not self.ports or port in self.ports

    def decide(self, unit: Unit) -> Effect | None:
        """Return what is done to a unit; None for nothing."""
        if not self.active:
            return None
        sounding = sounding_of(unit.address)
        if sounding is None:
            self.counts["units"] += 1
        known = unit.address in self.callers if sounding is None else sounding.is_of_caller
        for state in self._states if sounding is None else self._states_sounding:
            rule = state.rule
            if (known or not rule.of_caller) and rule.match.means(unit) and state.applies():
                if sounding is None:
                    self.counts["affected"] += 1
                    self.counts.update(_kinds(rule.effect))
                return rule.effect
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
            "ports": sorted(self.ports),
            "rules": [
                state.rule.as_json() | {"meant": state.meant, "applied": state.applied} for state in self._states
            ],
            "counts": dict(self.counts),
            "callers": sorted(self.callers),
        }

    def _fresh(self, rules: Iterable[Rule]) -> list[_State]:
        return [_State(rule, random.Random(self._draw.random())) for rule in rules]  # noqa: S311


@dataclass(frozen=True, slots=True)
class Applied:
    """An effect, and the edge that it is of: it is over when that is turned off."""

    edge: Edge
    effect: Effect


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
