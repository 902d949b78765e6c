"""The history survives its file: every event comes back equal, also after a crash cut the last line off."""

import dataclasses
import math
from enum import Enum
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flametest.model import events
from flametest.model.events import ChangeKind, Event, Noted, PodObserved, Stamp
from flametest.model.history import History, HistoryError, decode, encode

KINDS = [
    kind
    for name in events.__all__
    if isinstance(kind := getattr(events, name), type) and issubclass(kind, Event) and kind is not Event
]
PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(),
    float: st.floats(allow_nan=False),
    str: st.text(max_size=12),
    bool: st.booleans(),
}


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Return a strategy for the values of a field."""
    if hint in PLAIN:
        return PLAIN[hint]
    if get_origin(hint) is tuple:
        return st.lists(values_of(get_args(hint)[0]), max_size=3).map(tuple)
    if issubclass(hint, Enum):
        return st.sampled_from(hint)
    assert isinstance(hint, type)
    assert dataclasses.is_dataclass(hint)
    return st.builds(hint, **{name: values_of(field) for name, field in get_type_hints(hint).items()})


ANY_EVENT = st.sampled_from(KINDS).flatmap(values_of)


@pytest.mark.parametrize("kind", KINDS)
def test_there_is_a_strategy_for_every_kind_of_event(kind: type[Event]) -> None:
    assert not values_of(kind).is_empty


@given(ANY_EVENT)
@settings(deadline=None)
def test_an_event_is_one_line_and_comes_back_equal(event: Event) -> None:
    line = encode(event)
    assert line.splitlines() == [line]
    assert decode(line) == event
    assert type(decode(line)) is type(event)


def test_a_field_that_came_later_may_be_missing() -> None:
    at, states = Stamp(1, 1.0), (True, False, True)
    pod = PodObserved(at, "s", ChangeKind.ADDED, "u", "p", "n", "a", "o", "Running", *states, 0, 1.0)
    line = encode(pod)
    for later in (',"ended_because":""', ',"owner_kind":""', ',"hostname":""'):
        assert later in line
        line = line.replace(later, "")
    assert decode(line) == pod
    with pytest.raises(HistoryError):
        decode(line.replace(',"restarts":0', ""))


@given(st.lists(ANY_EVENT, max_size=6))
@settings(deadline=None)
def test_a_history_comes_back_equal(recorded: list[Event]) -> None:
    history = History(recorded)
    assert History.from_lines(history.to_lines().splitlines(keepends=True)) == history


@given(st.lists(ANY_EVENT, min_size=1, max_size=4), st.data())
@settings(deadline=None)
def test_a_history_cut_off_anywhere_keeps_its_whole_lines(recorded: list[Event], data: st.DataObject) -> None:
    lines = [f"{encode(event)}\n" for event in recorded]
    text = "".join(lines)
    cut = text[: data.draw(st.integers(min_value=0, max_value=len(text)))]
    # The last line may lack nothing but its end; then it is whole.
    whole = sum(cut.startswith("".join(lines[:count])[:-1]) for count in range(1, len(lines) + 1))
    assert History.from_lines(cut.splitlines(keepends=True)) == History(recorded[:whole])


def test_a_broken_line_in_the_middle_is_an_error_with_its_number() -> None:
    good = encode(Noted(Stamp(1, 1.0), "", "fine"))
    with pytest.raises(HistoryError, match="line 2: not an event of a known kind"):
        History.from_lines([f"{good}\n", good[:20] + "\n", f"{good}\n"])


@pytest.mark.parametrize(
    "line",
    ["", "[]", "{}", '{"event":"Unheard"}', '{"event":"Noted"}', '{"event":"Noted","at":1,"scenario":"","message":""}'],
)
def test_what_is_no_event_is_refused(line: str) -> None:
    with pytest.raises(HistoryError):
        decode(line)


@given(st.lists(st.integers(0, 50), max_size=20))
@settings(deadline=None)
def test_events_are_in_the_order_of_their_stamps(moments: list[int]) -> None:
    history = History(Noted(Stamp(moment, math.pi), "", str(moment)) for moment in moments)
    assert [event.at.monotonic_ns for event in history] == sorted(moments)


@given(st.lists(ANY_EVENT, max_size=8))
@settings(deadline=None)
def test_scenarios_part_a_history(recorded: list[Event]) -> None:
    history = History(recorded)
    names = {event.scenario for event in recorded}
    assert sum(len(history.scenario(name)) for name in names) == len(history)
