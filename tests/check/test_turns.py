"""A block that was prepared goes on when it is given its turn, and not before."""

import threading
import urllib.error
import urllib.request

import pytest

from flametest.check.turns import Turns, turns
from tests.patience import PATIENCE_SECONDS


def asked(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE_SECONDS) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def asking(given: Turns, number: int, answers: dict[int, int]) -> threading.Thread:
    """Have a block ask for its turn, and return once it waits."""
    thread = threading.Thread(target=lambda: answers.update({number: asked(given.url(number))}))
    thread.start()
    while not given.is_waiting(number):
        assert thread.is_alive()
    return thread


def test_each_block_is_let_go_on_by_its_own_turn_only() -> None:
    answers: dict[int, int] = {}
    with turns() as given:
        first, second = (asking(given, number, answers) for number in (0, 1))
        given.give(1)
        second.join(PATIENCE_SECONDS)
        assert answers == {1: 200}
        given.give(0)
        first.join(PATIENCE_SECONDS)
    assert answers == {0: 200, 1: 200}


def test_a_turn_that_was_given_before_is_not_waited_for() -> None:
    with turns() as given:
        given.give(3)
        assert asked(given.url(3)) == 200


def test_whoever_still_waits_in_the_end_gets_no_turn() -> None:
    answers: dict[int, int] = {}
    with turns() as given:
        thread = asking(given, 0, answers)
    thread.join(PATIENCE_SECONDS)
    assert answers == {0: 503}


@pytest.mark.parametrize("path", ["", "x", "-1"])
def test_what_is_no_block_is_refused(path: str) -> None:
    with turns() as given:
        assert asked(given.url(0).removesuffix("0") + path) == 503
