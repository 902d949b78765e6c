"""How figures become text: decimals, units, errors, limits and moments. Pure; every renderer writes numbers by it.

The figures themselves stand in the Result. What is decided here is how they are written: with the decimals that
`flametest.model.digits` allows where there is an error bar, and a figure that misses its limit is never rounded onto
that limit.
"""

import math
import re
from datetime import UTC, datetime

from flametest.model.digits import error_digits, supported_decimals
from flametest.model.verdict import Bound, Limit

__all__ = [
    "NOT_MEASURED",
    "NO_OUTAGE",
    "count",
    "duration",
    "exact",
    "figure",
    "first_sentence",
    "limit_text",
    "moment",
    "percent",
    "plain",
    "sentence",
    "shortened",
    "signed_seconds",
    "unparted",
    "utc",
]

NO_OUTAGE = "no user-visible outage"
NOT_MEASURED = "not measured"

_SPACE = "\N{NO-BREAK SPACE}"
_MINUS = "\N{MINUS SIGN}"
_DECIMALS_MAX = 4
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:s|ms|min)\b|%)|(?<=[±≤≥>]) (?=\d)")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
# Control characters, halves of surrogate pairs and marks that turn the direction of writing: none can be shown,
# some cannot be written to a file, and the last make a name look like another.
_UNSHOWABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069\ufffe\uffff]")


def plain(text: str) -> str:
    """Return ``text`` with every character that cannot be shown or stored replaced by U+FFFD."""
    return _UNSHOWABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def shortened(text: str, length: int) -> str:
    """Return ``text`` cut in its middle to at most ``length`` characters, so that both its ends can be told."""
    text = plain(text)
    if len(text) <= length:
        return text
    tail = (length - 1) * 3 // 5
    return f"{text[: length - 1 - tail]}…{text[-tail:]}"


def count(number: int) -> str:
    """Return a whole number with thousands separated, such as ``31,204``."""
    return _signed(f"{number:,d}")


def figure(value: float, unit: str, *, uncertainty: float | None = None, limit: Limit | None = None) -> str:
    """Return a figure with its error and unit, such as ``12.4 ± 0.1 s``.

    Args:
        value: the figure.
        unit: ``s``, ``ms``, ``%``, ``share`` (a ratio that is shown in percent), ``ratio``, ``1/s`` or ``count``.
        uncertainty: half the width of its bracket, which decides on the decimals.
        limit: a limit that the figure misses stays visibly missed, whatever the decimals.
    """
    if not math.isfinite(value):
        return NOT_MEASURED
    scale = 100.0 if unit == "share" else 1.0
    value, error = value * scale, None if uncertainty is None else uncertainty * scale
    decimals = _decimals(value, unit, error)
    supported = decimals
    if limit is not None and not limit.holds(value / scale):
        decimals = _apart(value, limit.value * scale, decimals)
    if unit in ("share", "%") and value != 100.0:
        decimals = _apart(value, 100.0, decimals)
    if not error and (value == 0 or (value == 100.0 and unit in ("share", "%"))):
        decimals = 0
    text = _signed(f"{value:,.{decimals}f}")
    if error and not text.strip("0.\N{MINUS SIGN}"):
        text = "0"
    if value != 0 and not error and float(f"{value:.{decimals}f}") == 0:
        text = f"under{_SPACE}{10**-decimals:.{decimals}f}"
    if error:
        text += f"{_SPACE}±{_SPACE}{error_digits(error, supported)}"
    return text + _suffix(unit)


def exact(value: float, unit: str, decimals: int = _DECIMALS_MAX) -> str:
    """Return a figure without needless zeros and without an error, such as ``10 s`` or ``0.5 ms``."""
    return _signed(_trimmed(value * 100 if unit == "share" else value, decimals)) + _suffix(unit)


def sentence(text: str) -> str:
    """Return ``text`` with a capital at its start and a full stop at its end, and no unit parted from its figure."""
    text = unparted(text.strip())
    ending = "" if text.endswith((".", "!", "?", "…")) or not text else "."
    return f"{text[:1].upper()}{text[1:]}{ending}"


def first_sentence(text: str) -> str:
    """Return what stands before the second sentence of ``text``."""
    return _SENTENCE_END.split(text.strip(), maxsplit=1)[0]


def unparted(text: str) -> str:
    """Return ``text`` so that no line ends between a figure and its unit or sign."""
    return _BEFORE_UNIT.sub(_SPACE, text)


def percent(ratio: float) -> str:
    """Return a share in percent, such as ``33.1 %``."""
    return figure(ratio * 100, "%")


def limit_text(limit: Limit, unit: str) -> str:
    """Return a limit with its sign and unit, such as ``≤ 10 s``."""
    return f"{'≤' if limit.bound is Bound.AT_MOST else '≥'}{_SPACE}{exact(limit.value, unit)}"


def signed_seconds(seconds: float) -> str:
    """Return a moment relative to the injection, such as ``+1.94 s`` or ``−20 s``."""
    if seconds == 0:
        return f"0{_SPACE}s"
    return f"{'+' if seconds > 0 else _MINUS}{_trimmed(abs(seconds), 2)}{_SPACE}s"


def moment(seconds: float) -> str:
    """Return a tick of the time axis, without its unit: ``0``, ``+20``, ``−10``."""
    return "0" if seconds == 0 else f"{'+' if seconds > 0 else _MINUS}{_trimmed(abs(seconds), 2)}"


def duration(seconds: float) -> str:
    """Return how long something took, such as ``4.2 s`` or ``2 min 41 s``."""
    if seconds < 60:
        return f"{seconds:.1f}{_SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}{_SPACE}min {rest}{_SPACE}s"


def utc(wall_s: float) -> str:
    """Return seconds since the epoch as date and time in UTC."""
    return f"{datetime.fromtimestamp(wall_s, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _decimals(value: float, unit: str, error: float | None) -> int:
    if error:
        return supported_decimals(value, error, unit)
    if unit == "count":
        return 0
    size = abs(value)
    if unit == "ms":
        return 0 if size >= 100 else 1
    if unit == "%":
        return 1
    return 2 if size < 10 or unit in ("share", "ratio") else 1


def _apart(value: float, other: float, decimals: int) -> int:
    """Return the least number of decimals, at least ``decimals``, at which two numbers do not look the same."""
    while decimals < _DECIMALS_MAX and f"{value:.{decimals}f}" == f"{other:.{decimals}f}":
        decimals += 1
    return decimals


def _trimmed(value: float, decimals: int = _DECIMALS_MAX) -> str:
    text = f"{value:,.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _signed(text: str) -> str:
    return text.replace("-", _MINUS)


def _suffix(unit: str) -> str:
    match unit:
        case "share" | "%":
            return f"{_SPACE}%"
        case "1/s":
            return "/s"
        case "s" | "ms":
            return f"{_SPACE}{unit}"
        case _:
            return ""
