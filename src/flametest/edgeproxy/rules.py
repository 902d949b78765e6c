"""Which connections and requests a fault means, and what is done to them: what an experiment says. Pure.

A unit is a connection on a TCP edge and a request on an HTTP edge. Of several rules, the first that applies counts.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, TypeVar

__all__ = ["DIRECTIONS", "Effect", "Match", "Rule", "RuleError", "Unit", "rules_from"]

DIRECTIONS = ("response", "request", "both")
DELAY_MS_MAX = 60_000.0
BYTES_MAX = 10**12
FIRST_MAX = 10**6

OfT = TypeVar("OfT", bound="Effect | Match")


class RuleError(ValueError):
    """A rule that makes no sense; the message names the option, what was expected and what was found."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What is known of a connection, or of a request on it.

    Attributes:
        address: the client's address.
        method, path: of an HTTP request; empty for a connection. The path is without its query.
        headers: those of an HTTP request, by names in lower case.
    """

    address: str
    method: str = ""
    path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Match:
    """Which units a rule is for; what is left out matches all.

    Attributes:
        method: of an HTTP request.
        path: of an HTTP request, without its query; a ``*`` at the end stands for any rest.
        header: values by header names; a ``*`` at the end stands for any rest.
        share: the share of these units, from 0 to 1, drawn at random.
        first: only the first so many of them; 0 for all.
        every: only every so manyth of them; 0 for all.
    """

    CONTENT: ClassVar[tuple[str, ...]] = ("method", "path", "header")

    method: str = ""
    path: str = ""
    header: Mapping[str, str] = field(default_factory=dict)
    share: float = 1.0
    first: int = 0
    every: int = 0

    def __str__(self) -> str:
        parts = [part for part in (self.method, self.path) if part]
        parts += [f"with {name}: {value}" for name, value in self.header.items()]
        parts += [f"the first {self.first}"] * bool(self.first) + [f"one in {self.every}"] * bool(self.every)
        parts += [f"{self.share:.4g} of them"] * (self.share < 1)
        return ", ".join(parts)

    @property
    def content(self) -> tuple[str, ...]:
        """Return the options that can be told from the content only."""
        return tuple(name for name in self.CONTENT if getattr(self, name))

    def check(self) -> None:
        """Return if it makes sense.

        Raises:
            RuleError: it does not.
        """
        if not 0 < self.share <= 1:
            raise RuleError(f"share {self.share:g}: expected more than 0 and at most 1")
        if not (0 <= self.first <= FIRST_MAX and 0 <= self.every <= FIRST_MAX):
            raise RuleError(f"first {self.first} and every {self.every}: expected counts up to {FIRST_MAX}")
        if self.path and not self.path.startswith("/"):
            raise RuleError(f"path {self.path!r}: expected one that begins with /")

    def means(self, unit: Unit) -> bool:
        """Return whether the content of a unit is meant; who sent it and how many there were is not asked here."""
        return (
            (not self.method or self.method.upper() == unit.method)
            and (not self.path or _fits(self.path, unit.path))
            and all(_fits(value, unit.headers.get(name.lower(), "")) for name, value in self.header.items())
        )


@dataclass(frozen=True, slots=True)
class Effect:
    """What is done to a unit.

    Attributes:
        delay_ms: delay of each request; on a TCP edge of all bytes in ``direction``.
        jitter_ms: a further delay, drawn evenly from 0 to this.
        bytes_per_second: limit of each connection, in ``direction``.
        slice_bytes: bytes go on in pieces of this size, in ``direction``.
        slice_delay_ms: the pause after each piece.
        reset: the connection is reset at once.
        reset_after_bytes: it is reset after so many bytes in ``direction``.
        reset_after_ms: it is reset after this time.
        close_after_bytes: it is closed in order after so many bytes in ``direction``.
        close_delay_ms: what one side closes stays open for so long to the other.
        silence: it is accepted, and never answered.
        silence_ms: with ``silence``: it is closed after this time; 0 for never.
        refuse: connections are refused, as by a port that nobody listens on.
        status: an HTTP request is answered by one of these statuses, drawn evenly, and not passed on.
        direction: ``response`` is what the Service sends, ``request`` what is sent to it, or ``both``.
    """

    delay_ms: float = 0.0
    jitter_ms: float = 0.0
    bytes_per_second: int = 0
    slice_bytes: int = 0
    slice_delay_ms: float = 0.0
    reset: bool = False
    reset_after_bytes: int = 0
    reset_after_ms: float = 0.0
    close_after_bytes: int = 0
    close_delay_ms: float = 0.0
    silence: bool = False
    silence_ms: float = 0.0
    refuse: bool = False
    status: tuple[int, ...] = ()
    direction: str = "response"

    def __str__(self) -> str:
        told = [
            (self.delay_ms or self.jitter_ms, f"delay by {_span(self.delay_ms, self.jitter_ms)} ms"),
            (self.bytes_per_second, f"limit to {self.bytes_per_second} bytes/s"),
            (self.slice_bytes, f"slice into pieces of {self.slice_bytes} bytes"),
            (self.reset, "reset"),
            (self.reset_after_bytes, f"reset after {self.reset_after_bytes} bytes"),
            (self.reset_after_ms, f"reset after {self.reset_after_ms:g} ms"),
            (self.close_after_bytes, f"close after {self.close_after_bytes} bytes"),
            (self.close_delay_ms, f"close {self.close_delay_ms:g} ms late"),
            (self.silence, "accept and never answer"),
            (self.refuse, "refuse"),
            (self.status, f"answer by {' or '.join(map(str, self.status))}"),
        ]
        return " and ".join(text for given, text in told if given)

    @property
    def endings(self) -> tuple[str, ...]:
        """Return the options that say how a unit ends; a unit has one end."""
        names = ("reset", "reset_after_bytes", "reset_after_ms", "close_after_bytes", "silence", "refuse", "status")
        return tuple(name for name in names if getattr(self, name))

    @property
    def shapes(self) -> bool:
        """Return whether bytes that are passed on are paced or counted."""
        return bool(self.bytes_per_second or self.slice_bytes or self.reset_after_bytes or self.close_after_bytes)

    @property
    def ends_at_once(self) -> bool:
        """Return whether nothing of a unit is passed on."""
        return bool(self.reset or self.silence or self.status)

    def towards(self, direction: str) -> bool:
        """Return whether bytes in ``direction``, ``request`` or ``response``, are meant."""
        return self.direction in (direction, "both")

    def check(self) -> None:
        """Return if it makes sense.

        Raises:
            RuleError: it does not.
        """
        for name in ("delay_ms", "jitter_ms", "slice_delay_ms", "reset_after_ms", "close_delay_ms", "silence_ms"):
            if not 0 <= (value := getattr(self, name)) <= DELAY_MS_MAX:
                raise RuleError(f"{name} {value:g}: expected 0 to {DELAY_MS_MAX:g} ms")
        for name in ("bytes_per_second", "slice_bytes", "reset_after_bytes", "close_after_bytes"):
            if not 0 <= (value := getattr(self, name)) <= BYTES_MAX:
                raise RuleError(f"{name} {value}: expected a count of bytes")
        if not str(self):
            raise RuleError("nothing is to be injected: expected an effect, such as delay_ms")
        if len(self.endings) > 1:
            raise RuleError(f"{' and '.join(self.endings)} exclude each other: expected one of them")
        if not all(400 <= one <= 599 for one in self.status):
            raise RuleError(f"status {list(self.status)}: expected statuses from 400 to 599")
        if self.direction not in DIRECTIONS:
            raise RuleError(f"direction {self.direction!r}: expected one of {', '.join(DIRECTIONS)}")
        if (self.silence_ms and not self.silence) or (self.slice_delay_ms and not self.slice_bytes):
            raise RuleError("silence_ms needs silence, and slice_delay_ms needs slice_bytes")


@dataclass(frozen=True, slots=True)
class Rule:
    """What is done to which units; ``of_caller`` is whether it is for the clients that the switch was told only."""

    effect: Effect
    match: Match = Match()
    of_caller: bool = False

    def __str__(self) -> str:
        return f"{self.effect} ({self.match})" if str(self.match) else str(self.effect)

    def check(self, protocol: str) -> None:
        """Return if it makes sense on an edge of this protocol, ``tcp`` or ``http``.

        Raises:
            RuleError: it does not.
        """
        self.match.check()
        self.effect.check()
        needing = (*self.match.content, *(["status"] if self.effect.status else []))
        if protocol == "tcp" and needing:
            raise RuleError(
                f"{', '.join(needing)}: the content of a TCP edge is not read (nor can it be with TLS): expected "
                'protocol "http", or a rule by caller, share, first or every'
            )
        if protocol == "http" and self.effect.direction == "request" and not self.effect.shapes:
            raise RuleError('direction "request": on an HTTP edge a request is delayed as a whole: leave it out')
        if self.effect.refuse and (self.of_caller or self.match != Match()):
            raise RuleError("refuse: who connects, and what for, is not known yet: use reset with such a rule")

    def as_json(self) -> dict[str, Any]:
        """Return what `rules_from` reads."""
        effect, match = asdict(self.effect), asdict(self.match)
        return {"effect": effect | {"status": list(self.effect.status)}, "match": match, "of_caller": self.of_caller}


def rules_from(document: Iterable[Mapping[str, Any]]) -> tuple[Rule, ...]:
    """Return the rules that `Rule.as_json` has written.

    Raises:
        RuleError: an option is unknown, or of another type.
    """
    return tuple(
        Rule(
            options(Effect, one.get("effect") or {}), options(Match, one.get("match") or {}), bool(one.get("of_caller"))
        )
        for one in document
    )


def options(kind: type[OfT], given: Mapping[str, Any]) -> OfT:
    """Return an `Effect` or a `Match` of what was written in an experiment.

    Raises:
        RuleError: an option is unknown, or of another type; the message names it.
    """
    known = {one.name: getattr(kind(), one.name) for one in fields(kind)}
    taken: dict[str, Any] = {}
    for name, value in given.items():
        if name not in known:
            raise RuleError(f"{name!r} is no {kind.__name__.lower()}: expected one of {', '.join(known)}")
        taken[name] = _value(name, value, known[name])
    return kind(**taken)


def _value(name: str, value: Any, like: Any) -> Any:
    if isinstance(like, tuple):
        found = value if isinstance(value, list | tuple) else [value]
        if all(isinstance(one, int) and not isinstance(one, bool) for one in found):
            return tuple(found)
    elif isinstance(like, Mapping):
        if isinstance(value, Mapping) and all(isinstance(part, str) for pair in value.items() for part in pair):
            return dict(value)
    elif isinstance(like, bool) or isinstance(value, bool):
        if isinstance(value, type(like)):
            return value
    elif isinstance(like, float) and isinstance(value, int | float) and math.isfinite(value):
        return float(value)
    elif isinstance(value, type(like)):
        return value
    expected = {"tuple": "a status or a list of them", "dict": "names with values"}.get(type(like).__name__)
    raise RuleError(f"{name} {value!r}: expected {expected or type(like).__name__}")


def _fits(pattern: str, found: str) -> bool:
    return found.startswith(pattern[:-1]) if pattern.endswith("*") else found == pattern


def _span(least: float, more: float) -> str:
    return f"{least:g} to {least + more:g}" if more else f"{least:g}"
