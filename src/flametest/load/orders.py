"""What the ledger orders, and what an answer says of it. Pure; the draws come from a seed.

An outcome is *refused* where the shop said no to the order itself and stated why, such as sold out: that is an answer,
and no failure. It is *failed* where nothing can have happened either, but without such a reason: the request never
left, or was turned away on its way (no such route, no right, too many requests). Whatever else came back after it left
(a time limit, a broken connection, any 5xx) is *unknown*, also a 503 that asks to try again: the pod that says so may
have asked another one before, whose transaction went through.
"""

import json
import random
from dataclasses import dataclass

from flametest.load.exchange import Answer
from flametest.model.writes import WriteOutcome

__all__ = ["REPEAT_DELAYS_SECONDS", "OrderMix", "OrderPlan", "outcome_of", "plan_order"]

# A repeat at the same moment shows a race of the two, a later one shows a key that was forgotten.
REPEAT_DELAYS_SECONDS = (0.0, 0.5)

# Refusals that a proxy on the way may give to a request that it has passed on.
_AMBIGUOUS_REFUSALS = frozenset({408, 425, 499})
# Of these alone (RFC 9110, section 15.5; RFC 4918 and 9457), the status is a statement about what was ordered.
_ABOUT_THE_ORDER = frozenset({402, 409, 410, 412, 422, 423})
# These are about the way to the shop, whatever words come with them.
_ABOUT_THE_WAY = frozenset({401, 404, 405, 406, 407, 411, 413, 414, 415, 417, 421, 426, 428, 429, 431})
_REASON_KEYS = ("error", "reason", "code", "type", "title", "detail", "message")
_REASON_CHARACTERS_MAX = 60


@dataclass(frozen=True, slots=True)
class OrderMix:
    """What is ordered.

    Attributes:
        event_id: an event with more tickets than a run can buy.
        scarce_event_id: one that sells out, since only there can overselling be seen; 0 for none.
        scarce_share: share of orders for the latter.
        repeat_share: share of orders that are sent twice, with the same key.
    """

    event_id: int
    scarce_event_id: int = 0
    scarce_share: float = 0.1
    repeat_share: float = 0.1


@dataclass(frozen=True, slots=True)
class OrderPlan:
    """One order; ``repeat_delay_seconds`` is None when it is sent once."""

    event_id: int
    repeat_delay_seconds: float | None


def plan_order(mix: OrderMix, draws: random.Random) -> OrderPlan:
    """Return the next order of ``mix``."""
    is_scarce = draws.random() < mix.scarce_share and mix.scarce_event_id > 0
    is_repeated = draws.random() < mix.repeat_share
    delay = draws.choice(REPEAT_DELAYS_SECONDS)
    return OrderPlan(mix.scarce_event_id if is_scarce else mix.event_id, delay if is_repeated else None)


def outcome_of(answer: Answer | None, error: str, *, request_sent: bool) -> tuple[WriteOutcome, int, str]:
    """Return the outcome of a request, the order's number (0 without one), and a short class of what went wrong."""
    if answer is None:
        return (WriteOutcome.UNKNOWN if request_sent else WriteOutcome.FAILED), 0, error
    if answer.status in (200, 201):
        number = _order_id(answer.body)
        return WriteOutcome.ACKNOWLEDGED, number, "" if number else "no order id"
    if not 400 <= answer.status < 500 or answer.status in _AMBIGUOUS_REFUSALS:
        return WriteOutcome.UNKNOWN, 0, "status"
    reason = "" if answer.status in _ABOUT_THE_WAY else _reason(answer.body)
    if reason or answer.status in _ABOUT_THE_ORDER:
        return WriteOutcome.REFUSED, 0, reason or f"status {answer.status}"
    return WriteOutcome.FAILED, 0, "status"


def _reason(body: bytes) -> str:
    """Return the reason that a refusal states as JSON, in one line; empty without one."""
    try:
        told = json.loads(body)
    except ValueError:
        return ""
    stated = [told[key] for key in _REASON_KEYS if isinstance(told.get(key), str)] if isinstance(told, dict) else []
    return next((" ".join(text.split())[:_REASON_CHARACTERS_MAX] for text in stated if text.strip()), "")


def _order_id(body: bytes) -> int:
    try:
        number = json.loads(body)["id"]
    except (ValueError, KeyError, TypeError):
        return 0
    return number if type(number) is int and number > 0 else 0
