"""Which load test a run uses, and whether it can be asked for a rate."""

import shlex
from pathlib import Path

from flametest.load import LoadError

__all__ = ["RATE_PER_USER", "chosen_rate", "parse_load_options", "read_load_test"]

RATE_PER_USER = 5.0
"""Requests a second of each user, of a load test that can be asked for a rate, where none was."""

_RATE_VARIABLE = "FLAMETEST_RATE_PER_USER"
# What Flametest says itself; another word would measure something else, or nothing.
_OURS = {
    **dict.fromkeys(("-f", "--locustfile"), "name the load test with --load-test"),
    **dict.fromkeys(("-u", "--users", "--num-users"), "name their number with --users"),
    **dict.fromkeys(("-H", "--host"), "name the entry with --url"),
    **dict.fromkeys(("--master", "--worker", "--processes", "--expect-workers"), "ask for pods with --load-workers"),
    **dict.fromkeys(("--headful", "--autostart", "--autoquit", "--web-port"), "leave it out: nobody would look"),
}


def read_load_test(path: Path) -> str:
    """Return the text of a load test.

    Raises:
        LoadError: it cannot be read, or Locust cannot be given its path.
    """
    if "," in str(path):
        raise LoadError(f"load test {path}: Locust takes a comma for the end of a file's name", "rename it")
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise LoadError(f"load test {path} cannot be read: {why}", "name an existing Locust file") from error


def chosen_rate(wanted: float | str | None, load_test: str | None) -> float | None:
    """Return the rate of each user that a load test is asked for; None for the one that it reaches.

    Args:
        wanted: a number, ``reached``, or None to decide by the load test: one that never asks for a rate
            (FLAMETEST_RATE_PER_USER) has its own pace, and is asked for none.
        load_test: its text; None where there is none.
    """
    if isinstance(wanted, float):
        return wanted
    if wanted is None and (load_test is None or _RATE_VARIABLE in load_test):
        return RATE_PER_USER
    return None


def parse_load_options(text: str) -> tuple[str, ...]:
    """Return further arguments of Locust's, as a shell would split them.

    Raises:
        LoadError: a quote is not closed, or one of them is what Flametest says itself.
    """
    try:
        arguments = tuple(shlex.split(text))
    except ValueError as error:
        raise LoadError(f"--load-options {text!r}: {error}", "quote it as a shell takes it") from error
    for argument in arguments:
        name = argument.partition("=")[0]
        if name in _OURS:
            raise LoadError(f"--load-options: {name} is not taken from there", _OURS[name])
    return arguments
