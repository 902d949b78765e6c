"""Takes out of a log line what looks like a secret, and bounds its length. Pure.

A report is passed around, and a log may hold anything. What is taken out is replaced by `REMOVED`: values of fields
whose name says that they are secret, what follows ``Bearer`` and ``Basic``, passwords in addresses, tokens by their
form, mail addresses, and long strings without a meaning. A secret that looks like none stays.
"""

import re

__all__ = ["CHARACTERS_MAX", "REMOVED", "redacted"]

REMOVED = "[removed]"
CHARACTERS_MAX = 1200

_INPUT_CHARACTERS_MAX = 16_384
_TAIL_CHARACTERS = 400  # loggers that sort their fields put some of the telling ones last
# Of which names of fields are made, and those that are parts of other words.
_PARTS = (
    r"passw(?:or)?d|passphrase|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|authorization|credential|cookie|"
    r"signature"
)
_WORDS = r"pwd|session|csrf|jwt|otp|pin|iban|card"
_VALUE = r"""(?:\\?"(?:[^"\\]|\\[^"])*(?:\\?")?|'[^']*'?|[^\s,;&}\])"']+)"""
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]+-----.*", re.DOTALL), REMOVED),
    (re.compile(r"\b(bearer|basic|digest|negotiate)\s+[A-Za-z0-9._~+/=-]{4,}", re.IGNORECASE), rf"\1 {REMOVED}"),
    (re.compile(r"\b((?:set-)?cookie\s*[:=]\s*)[^\"\n]+", re.IGNORECASE), rf"\1{REMOVED}"),
    (
        re.compile(
            rf"((?:{_PARTS}|(?<![A-Za-z])(?:{_WORDS})s?(?![a-z]))[\w.-]{{0,40}}\\?[\"']?\s*[:=]\s*){_VALUE}",
            re.IGNORECASE,
        ),
        rf"\1{REMOVED}",
    ),
    (re.compile(r"://[^/\s:@\"]*:[^/\s@\"]+@"), f"://{REMOVED}@"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"), REMOVED),
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|\bxox[a-z]-[A-Za-z0-9-]{10,}"), REMOVED),
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), REMOVED),
)
_LONG = re.compile(r"(?<![A-Za-z0-9+_-])(?=[A-Za-z+_-]*\d)(?=[\d+_-]*[A-Za-z])[A-Za-z0-9+_-]{40,}={0,2}")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_UNPRINTED = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


def redacted(line: str) -> str:
    """Return a log line without what looks like a secret, at most `CHARACTERS_MAX` characters of its ends."""
    text = _UNPRINTED.sub("", line[:_INPUT_CHARACTERS_MAX])
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    text = _LONG.sub(_kept_or_removed, text)
    if len(text) <= CHARACTERS_MAX:
        return text
    return f"{text[: CHARACTERS_MAX - _TAIL_CHARACTERS - 3]} … {text[-_TAIL_CHARACTERS:]}"


def _kept_or_removed(found: re.Match[str]) -> str:
    return found.group() if _TRACEPARENT.fullmatch(found.group()) else REMOVED
