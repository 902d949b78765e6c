"""What a ledger writes, one write after the other, and which are sent twice. Pure; the draws come from a seed."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass

from flametest.ledger.definition import Write
from flametest.ledger.template import fill

__all__ = ["REPEAT_DELAYS_SECONDS", "PlannedWrite", "plan_write"]

# A repeat at the same moment shows a race of the two, a later one shows a key that was forgotten.
REPEAT_DELAYS_SECONDS = (0.0, 0.5)


@dataclass(frozen=True, slots=True)
class PlannedWrite:
    """One write.

    Attributes:
        key: the ledger's key.
        values: what its placeholders are.
        contents: what is known of it by name, as JSON.
        repeat_delay_seconds: after how long it is sent again; None when it is sent once.
    """

    key: str
    values: Mapping[str, object]
    contents: str
    repeat_delay_seconds: float | None


def plan_write(write: Write, prefix: str, number: int, draws: random.Random) -> PlannedWrite:
    """Return the write of this number in a ledger whose keys begin with ``prefix``."""
    chosen = {name: draws.choice(values) for name, values in write.choose.items()}
    is_repeated = draws.random() < write.repeat
    delay = draws.choice(REPEAT_DELAYS_SECONDS)
    key = f"{prefix}{number}"
    values = {"key": key, "run": prefix.rstrip("-"), "number": number, **chosen}
    body = write.body if isinstance(write.body, Mapping) else {}
    named = {name: fill(body[name], values) for name in body if name in write.known()}
    contents = json.dumps(named | chosen, sort_keys=True)
    return PlannedWrite(key, values, contents, delay if is_repeated else None)
