"""The history of a run: an append-only sequence of events, one JSON object a line.

`encode` and `decode` are pure; `History` adds nothing but the order. Files are opened by whoever writes them.
"""

import dataclasses
import json
import types
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from flametest.model import events as _events
from flametest.model.events import Event

__all__ = ["History", "HistoryError", "decode", "encode"]

EventT = TypeVar("EventT", bound=Event)

_KINDS: Mapping[str, type[Event]] = types.MappingProxyType(
    {
        name: cls
        for name in _events.__all__
        if isinstance(cls := getattr(_events, name), type) and issubclass(cls, Event) and cls is not Event
    }
)


class HistoryError(ValueError):
    """A line of a history that cannot be read; the message names the line and what was expected."""


def encode(event: Event) -> str:
    """Return ``event`` as one line of JSON, without the line's end."""
    return json.dumps({"event": type(event).__name__} | _plain(event), separators=(",", ":"))


def decode(line: str) -> Event:
    """Return the event that `encode` wrote as ``line``.

    Raises:
        HistoryError: the line is no JSON, its kind is unknown, or a field is missing or of a wrong type.
    """
    try:
        raw = json.loads(line)
        kind = _KINDS[raw["event"]]
        return _typed(kind, {key: value for key, value in raw.items() if key != "event"})  # type: ignore[no-any-return]
    except (ValueError, KeyError, TypeError) as error:
        raise HistoryError(f"not an event of a known kind: {line[:80]!r} ({error})") from error


class History:
    """Events in the order of their stamps; iterating yields them, earliest first."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._events: tuple[Event, ...] = tuple(sorted(events, key=lambda event: event.at.monotonic_ns))

    def __iter__(self) -> Iterator[Event]:
        return iter(self._events)

    def __len__(self) -> int:
        return len(self._events)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and self._events == other._events

    def __hash__(self) -> int:
        return hash(self._events)

    def of(self, kind: type[EventT]) -> list[EventT]:
        """Return the events of one kind, earliest first."""
        return [event for event in self._events if isinstance(event, kind)]

    def scenario(self, name: str) -> "History":
        """Return the events of one scenario."""
        return History(event for event in self._events if event.scenario == name)

    def append(self, event: Event) -> "History":
        """Return a history with ``event`` added."""
        return History((*self._events, event))

    def to_lines(self) -> str:
        """Return the whole history as JSON lines."""
        return "".join(f"{encode(event)}\n" for event in self._events)

    @classmethod
    def from_lines(cls, lines: Iterable[str]) -> "History":
        """Read JSON lines; a last line that was cut off in the middle (a crash) is left out.

        Raises:
            HistoryError: any other line cannot be read; the message has its number.
        """
        events: list[Event] = []
        pending = enumerate(lines, start=1)
        for number, line in pending:
            if not line.strip():
                continue
            try:
                events.append(decode(line))
            except HistoryError as error:
                if not line.endswith("\n") and next(pending, None) is None:
                    break
                raise HistoryError(f"line {number}: {error}") from error
        return cls(events)


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _typed(kind: Any, raw: Any) -> Any:
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        hints = get_type_hints(kind)
        # What has a default came later than the first histories, which are read all the same.
        needed = {field.name for field in dataclasses.fields(kind) if field.default is dataclasses.MISSING}
        if not isinstance(raw, dict) or not needed <= set(raw) <= set(hints):
            raise TypeError(f"{kind.__name__} has the fields {sorted(hints)}")
        return kind(**{name: _typed(hints[name], value) for name, value in raw.items()})
    if get_origin(kind) is tuple:
        return tuple(_typed(get_args(kind)[0], item) for item in raw)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(raw)
    if kind is float and isinstance(raw, int) and not isinstance(raw, bool):
        return float(raw)
    if not isinstance(raw, kind) or (kind is int and isinstance(raw, bool)):
        raise TypeError(f"expected {kind.__name__}, found {raw!r}")
    return raw
