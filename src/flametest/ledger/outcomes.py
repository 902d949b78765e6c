"""What an answer says of a write. Pure.

An outcome is *refused* where the application said no to the write itself and stated why, such as sold out: that is an
answer, and no failure. It is *failed* where nothing can have happened either, but without such a reason: the request
never left, or was turned away on its way (no such route, no right, too many requests). Whatever else came back after it
left (a timeout, a broken connection, any 5xx) is *unknown*, also a 503 that asks to try again: the pod that says so may
have asked another one before, whose transaction went through.
"""

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import jsonpath

from flametest.ledger.definition import Read, Write
from flametest.load.exchange import Answer
from flametest.model.writes import LookOutcome, WriteOutcome

__all__ = ["Written", "answer_to_look", "answer_to_write", "at", "text_of"]

# Refusals that a proxy on the way may give to a request that it has passed on.
_AMBIGUOUS_REFUSALS = frozenset({408, 425, 499})
# Of these alone (RFC 9110, section 15.5; RFC 4918 and 9457), the status is a statement about what was written.
_ABOUT_THE_WRITE = frozenset({402, 409, 410, 412, 422, 423})
# These are about the way to the application, whatever words come with them.
_ABOUT_THE_WAY = frozenset({401, 404, 405, 406, 407, 411, 413, 414, 415, 417, 421, 426, 428, 429, 431})
_REASON_KEYS = ("error", "reason", "code", "type", "title", "detail", "message")
_REASON_CHARACTERS_MAX = 60
_NO_ID = "no id"


class Written(NamedTuple):
    """What is known of a write: its outcome, the HTTP status (0 without), the id (empty without), what went wrong."""

    outcome: WriteOutcome
    status: int
    id: str
    error: str


def answer_to_write(write: Write, answer: Answer | None, error: str, *, request_sent: bool) -> Written:
    """Return what an answer says of a write; None and an ``error`` where there is none."""
    if answer is None:
        return Written(WriteOutcome.UNKNOWN if request_sent else WriteOutcome.FAILED, 0, "", error)
    status = answer.status
    if status in write.accepted:
        named = "" if write.id is None else text_of(_found(write.id, answer.body))
        return Written(WriteOutcome.ACKNOWLEDGED, status, named, _NO_ID if write.id is not None and not named else "")
    if status in write.refused:
        return Written(WriteOutcome.REFUSED, status, "", _reason(answer.body) or f"status {status}")
    if not 400 <= status < 500 or status in _AMBIGUOUS_REFUSALS:
        return Written(WriteOutcome.UNKNOWN, status, "", "status")
    reason = "" if status in _ABOUT_THE_WAY else _reason(answer.body)
    if reason or status in _ABOUT_THE_WRITE:
        return Written(WriteOutcome.REFUSED, status, "", reason or f"status {status}")
    return Written(WriteOutcome.FAILED, status, "", "status")


def answer_to_look(read: Read, status: int, body: bytes) -> tuple[LookOutcome, str]:
    """Return whether an answer shows the write that was looked for, and what went wrong otherwise."""
    if status in read.missing:
        return LookOutcome.MISSING, ""
    if status != 200:
        return LookOutcome.UNKNOWN, "status"
    if read.found is None:
        return LookOutcome.FOUND, ""
    try:
        shown = at(read.found, json.loads(body))
    except ValueError:
        return LookOutcome.UNKNOWN, "no JSON"
    return LookOutcome.MISSING if shown is None or shown is False else LookOutcome.FOUND, ""


def at(path: str, data: Any) -> Any:
    """Return the first value at a JSON path (RFC 9535); None without one."""
    found: Callable[[Any], list[object]] = jsonpath.compile(path).findall
    return next(iter(found(data)), None)


def text_of(value: object) -> str:
    """Return a key or an id as text; empty for what can be neither, such as a text of several lines."""
    is_text = isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))
    return str(value) if is_text and str(value).isprintable() else ""


def _found(path: str, body: bytes) -> object:
    try:
        return at(path, json.loads(body))
    except ValueError:
        return None


def _reason(body: bytes) -> str:
    """Return the reason that a refusal states as JSON, in one line; empty without one."""
    try:
        told = json.loads(body)
    except ValueError:
        return ""
    stated = [told[key] for key in _REASON_KEYS if isinstance(told.get(key), str)] if isinstance(told, dict) else []
    return next((" ".join(text.split())[:_REASON_CHARACTERS_MAX] for text in stated if text.strip()), "")
