"""A promise is some limits; faults are held longer than any time that is promised."""

import pytest

from flametest.measure.scenario import LIMITABLE
from flametest.model.errors import FlametestError
from flametest.model.limits import parse_limits
from flametest.model.verdict import Bound
from flametest.search.promise import hold_seconds, limits_text, promise_of

BOOK = parse_limits(
    "[default]\noutage_seconds = 3\navailability = 0.99\np95_ms = 500\n[calm]\noutage_seconds = 1\n",
    "limits.toml",
    LIMITABLE,
)


def test_limits_of_the_command_line_are_all_that_is_promised() -> None:
    [one] = promise_of(["availability=0.95"], BOOK)

    assert (one.criterion, one.bound, one.value) == ("availability", Bound.AT_LEAST, 0.95)


def test_a_table_of_the_limits_is_a_promise() -> None:
    assert {one.criterion: one.value for one in promise_of(["calm"], BOOK)} == {
        "outage_seconds": 1,
        "availability": 0.99,
        "p95_ms": 500,
    }


def test_without_a_word_what_users_feel_at_once_is_promised() -> None:
    assert [one.criterion for one in promise_of([], BOOK)] == ["availability", "outage_seconds"]


@pytest.mark.parametrize("text", ["speed=3", "nowhere", "availability=", "calm:availability=1"])
def test_what_is_no_limit_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(FlametestError) as refused:
        promise_of([text], BOOK)

    assert refused.value.remedy


def test_nothing_promised_is_refused() -> None:
    with pytest.raises(FlametestError, match="nothing is promised"):
        promise_of([], parse_limits("", "limits.toml", LIMITABLE))


def test_faults_are_held_longer_than_the_outage_that_is_promised_and_then_shorter() -> None:
    holds = hold_seconds(promise_of(["outage_seconds=10"], BOOK))

    assert holds[0] > 10
    assert list(holds) == sorted(holds, reverse=True)
    assert hold_seconds(promise_of(["availability=0.9"], BOOK))[0] >= 4


def test_the_promise_is_written_as_limits_that_are_read_back() -> None:
    promise = promise_of(["availability=0.99", "outage_seconds=3"], BOOK)

    again = parse_limits(limits_text(promise), "limits.toml", LIMITABLE).of("any")

    assert {(one.criterion, one.value) for one in again} == {(one.criterion, one.value) for one in promise}
