"""What a promise is: limits of the command line, or of a table of limits.toml. Pure."""

from collections.abc import Iterable

from flametest.measure.scenario import LIMITABLE
from flametest.model.limits import LimitBook, bound_of, parse_override
from flametest.model.verdict import Limit
from flametest.search.errors import SearchError

__all__ = ["hold_seconds", "limits_text", "promise_of"]

_USUAL = ("outage_seconds", "availability", "unhandled_errors")
_HOLD_SECONDS_MIN = 4.0
_BEYOND_SECONDS = 2.0
_HOLD_SECONDS_LEAST = 1.0


def promise_of(asked: Iterable[str], book: LimitBook) -> tuple[Limit, ...]:
    """Return the limits of a promise.

    Args:
        asked: each ``CRITERION=NUMBER``, or the name of a table of limits.toml; none for what users feel at once among
            the defaults there.
        book: limits.toml.

    Raises:
        SearchError: a criterion or a table is not known, or nothing is promised.
        LimitsError: a limit cannot be understood.
    """
    found: dict[str, Limit] = {}
    for text in asked:
        for limit in _limits(text, book):
            found[limit.criterion] = limit
    if not found:
        found = {one.criterion: one for one in book.of("") if one.criterion in _USUAL}
    if not found:
        raise SearchError("nothing is promised", "name a limit, such as --promise availability=0.99")
    return tuple(found[name] for name in sorted(found))


def hold_seconds(promise: Iterable[Limit]) -> tuple[float, ...]:
    """Return for how long lasting faults are held, the longest first: longer than any time that is promised."""
    times = [one.value for one in promise if one.criterion.endswith("_seconds")]
    longest = max([_HOLD_SECONDS_MIN, *(value + _BEYOND_SECONDS for value in times)])
    halves = [longest / 2**number for number in range(3)]
    return tuple(round(one, 2) for one in halves if one >= _HOLD_SECONDS_LEAST)


def limits_text(promise: Iterable[Limit], table: str = "default") -> str:
    """Return a table of limits.toml with the promise."""
    lines = "".join(f"{one.criterion} = {one.value:g}\n" for one in promise)
    return f"[{table}]\n{lines}"


def _limits(text: str, book: LimitBook) -> tuple[Limit, ...]:
    if "=" not in text:
        if text not in book.tables:
            raise SearchError(
                f"no limits are called {text!r}", f"write CRITERION=NUMBER, or one of: {', '.join(book.tables)}"
            )
        return book.of(text)
    override = parse_override(text)
    if override.criterion not in LIMITABLE or override.scenario:
        raise SearchError(f"promise {text!r} names no figure", f"use one of: {', '.join(LIMITABLE)}")
    source = f"--promise {text}"
    return (Limit(override.criterion, bound_of(override.criterion), override.value, source),)
