"""Which load test a run uses, what it may be asked for, and what of Locust's options is taken."""

from pathlib import Path

import click
import pytest

from flametest.cli.ratetype import RateType
from flametest.load import LoadError
from flametest.run.loadtest import RATE_PER_USER, chosen_rate, parse_load_options, read_load_test

ROOT = Path(__file__).parents[2]
OURS = (ROOT / "loadtests/locustfile.py", ROOT / "src/flametest/starter/visitors.py")
THEIRS = "from locust import HttpUser, between\nclass Buyer(HttpUser):\n    wait_time = between(1, 3)\n"


@pytest.mark.parametrize("load_test", OURS)
def test_a_load_test_that_asks_for_a_rate_is_given_one(load_test: Path) -> None:
    assert chosen_rate(None, read_load_test(load_test)) == RATE_PER_USER


@pytest.mark.parametrize(
    ("wanted", "load_test", "chosen"),
    [
        (None, THEIRS, None),
        (None, None, RATE_PER_USER),
        ("reached", THEIRS, None),
        ("reached", "FLAMETEST_RATE_PER_USER", None),
        (7.5, THEIRS, 7.5),
        (7.5, "FLAMETEST_RATE_PER_USER", 7.5),
    ],
)
def test_a_load_test_with_a_pace_of_its_own_is_asked_for_a_rate_only_by_word(
    wanted: float | str | None, load_test: str | None, chosen: float | None
) -> None:
    assert chosen_rate(wanted, load_test) == chosen


@pytest.mark.parametrize(("text", "rate"), [("5", 5.0), ("0.1", 0.1), ("reached", "reached")])
def test_a_rate_is_a_number_or_the_word(text: str, rate: float | str) -> None:
    assert RateType().convert(text, None, None) == rate


@pytest.mark.parametrize("text", ["fast", "0", "101", "nan", "inf", ""])
def test_another_rate_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match=r"is neither a number nor the word|is not in the range"):
        RateType().convert(text, None, None)


def test_options_of_locust_are_split_as_a_shell_does() -> None:
    assert parse_load_options("--tags 'check out' --stop-timeout 5") == ("--tags", "check out", "--stop-timeout", "5")
    assert parse_load_options("") == ()


@pytest.mark.parametrize("text", ["-u 5", "--host=http://elsewhere", "--master", "-f other.py", "--tags 'a"])
def test_what_flametest_says_itself_is_not_taken_from_there(text: str) -> None:
    with pytest.raises(LoadError) as caught:
        parse_load_options(text)
    assert "--load-options" in caught.value.message
    assert caught.value.remedy


def test_a_load_test_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"nowhere\.py cannot be read: No such file"):
        read_load_test(tmp_path / "nowhere.py")
    (tmp_path / "bytes.py").write_bytes(b"\xff\xfe")
    with pytest.raises(LoadError, match="it is no text in UTF-8"):
        read_load_test(tmp_path / "bytes.py")
    with pytest.raises(LoadError, match="comma"):
        read_load_test(tmp_path / "a,b.py")
