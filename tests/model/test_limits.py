"""Limits: one file for all scenarios, the command line in its place, and messages that say what is wrong."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.model.limits import LimitsError, Override, parse_limits, parse_override
from flametest.model.verdict import Bound, Limit

KNOWN = ("outage_seconds", "availability", "p95_ms")
BOOK = parse_limits(
    """
    [default]
    outage_seconds = 3
    availability = 0.99
    [one]
    outage_seconds = 1
    p95_ms = 250
    [two]
    availability = false
    """,
    "limits.toml",
    KNOWN,
)


def values(scenario: str, own: tuple[Limit, ...] = (), overrides: tuple[Override, ...] = ()) -> dict[str, float]:
    return {limit.criterion: limit.value for limit in BOOK.of(scenario, own, overrides)}


def test_a_scenarios_own_limits_take_the_place_of_the_defaults() -> None:
    assert values("one") == {"outage_seconds": 1.0, "availability": 0.99, "p95_ms": 250.0}
    assert values("unheard-of") == {"outage_seconds": 3.0, "availability": 0.99}
    assert BOOK.scenarios() == ("one", "two")


def test_false_lifts_a_limit() -> None:
    assert values("two") == {"outage_seconds": 3.0}


def test_a_limit_says_where_it_was_set_and_which_side_is_good() -> None:
    outage, availability = BOOK.of("unheard-of")
    assert outage == Limit("outage_seconds", Bound.AT_MOST, 3.0, "limits.toml [default]")
    assert availability.bound is Bound.AT_LEAST


def test_the_command_line_replaces_a_limit() -> None:
    (outage, _) = BOOK.of("unheard-of", (), [Override("", "outage_seconds", 0.1)])
    assert outage == Limit("outage_seconds", Bound.AT_MOST, 0.1, "--limit outage_seconds=0.1")


def test_an_override_for_another_scenario_changes_nothing() -> None:
    assert values("one", (), (Override("two", "outage_seconds", 0.1),)) == values("one")


def test_an_override_for_all_passes_by_scenarios_without_that_limit() -> None:
    assert values("two", (), (Override("", "p95_ms", 1.0),)) == values("two")


def test_an_override_that_names_a_scenario_without_that_limit_is_refused() -> None:
    with pytest.raises(LimitsError, match="two has no limit called 'p95_ms'") as caught:
        BOOK.of("two", (), [Override("two", "p95_ms", 1.0)])
    assert caught.value.remedy == "use one of: outage_seconds"


def test_an_experiments_own_range_takes_the_place_of_a_default() -> None:
    own = (Limit("outage_seconds", Bound.AT_MOST, 9.0, "experiments/x.json"),)
    assert values("unheard-of", own)["outage_seconds"] == 9.0


def test_two_places_that_state_different_limits_are_refused() -> None:
    own = (Limit("outage_seconds", Bound.AT_MOST, 9.0, "experiments/one.json"),)
    with pytest.raises(LimitsError, match=r"one limit in limits.toml and another in experiments/one.json"):
        BOOK.of("one", own)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[default", "is no TOML"),
        ("outage_seconds = 3", "is outside any table"),
        ("[default]\nlatency = 3", "no criterion is called 'latency'"),
        ("[default]\np95_ms = true", "p95_ms is True"),
        ("[default]\np95_ms = 'slow'", "p95_ms is 'slow'"),
        ("[default]\np95_ms = nan", "p95_ms is nan"),
    ],
)
def test_what_is_no_limit_is_named(text: str, complaint: str) -> None:
    with pytest.raises(LimitsError, match=complaint) as caught:
        parse_limits(text, "limits.toml", KNOWN)
    assert caught.value.remedy


@given(st.from_regex(r"[a-z_]+", fullmatch=True), st.floats(allow_nan=False, allow_infinity=False))
def test_a_limit_of_the_command_line_is_read_back(criterion: str, value: float) -> None:
    assert parse_override(f"{criterion}={value!r}") == Override("", criterion, value)
    assert parse_override(f"pod-delete-api:{criterion}={value!r}") == Override("pod-delete-api", criterion, value)


@pytest.mark.parametrize("text", ["", "outage_seconds", "=3", "outage_seconds=", "outage_seconds=nan", ":x=1", "x=y"])
def test_a_limit_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(LimitsError, match="is not understood"):
        parse_override(text)
