"""The ledger's process: ``python -m flametest.load.ledger_main URL LEDGER --summary FILE --prefix TEXT ...``.

It sends one unique order after the other at a constant rate on an absolute schedule, whatever became of those before
(open loop), each on a connection of its own, and some of them twice. It runs until SIGTERM, SIGINT, the death of its
parent or its own time limit, lets what is under way finish, and writes its summary, one JSON object. Standard library
only, and some dozen requests a second: small enough to leave the figures of prober and load alone.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flametest.load.exchange import Entry, route_of
from flametest.load.lanes import Progress, ask, send_freshly
from flametest.load.ledgerfile import LedgerFile
from flametest.load.orders import REPEAT_DELAYS_SECONDS, OrderMix, OrderPlan, outcome_of, plan_order
from flametest.load.program import add_common_arguments, positive, record
from flametest.load.schedule import Schedule
from flametest.load.stopping import Stop
from flametest.model.writes import Attempt, WriteOutcome

__all__ = ["main"]

_QUANTITY = 1
_HOUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class _Options:
    url: str
    ledger: Path
    summary: Path
    prefix: str
    customer: str
    seed: str
    mix: OrderMix
    orders_per_second: float
    timeout_seconds: float
    seconds_max: float
    parent: int


class _Ledger:
    """The running ledger; one for its process."""

    def __init__(self, options: _Options, file: LedgerFile) -> None:
        self._options = options
        self._entry = Entry.from_url(options.url, route_of(options.url))
        self._file = file
        self._draws = random.Random(options.seed)  # noqa: S311  # a mix of orders, not secrets
        self._stop = Stop(options.parent)
        self._under_way: set[asyncio.Task[None]] = set()
        # Twice as many as can be under way while every one keeps its time limit.
        open_seconds = options.timeout_seconds + max(REPEAT_DELAYS_SECONDS)
        self._under_way_max = 2 * 2 * (int(open_seconds * options.orders_per_second) + 1)
        self._orders = 0
        self._dropped = 0

    async def run(self) -> dict[str, int]:
        """Order until told to stop; return the summary."""
        interval_ns = round(1e9 / self._options.orders_per_second)
        schedule = Schedule(time.monotonic_ns() + interval_ns, interval_ns)
        house = self._stop.keep_house(_HOUSE_SECONDS, self._options.seconds_max, lambda: None)
        watch = asyncio.create_task(house, name="watch the parent")
        while not await self._stop.within(schedule.seconds_to_next(time.monotonic_ns())):
            slot = schedule.take(time.monotonic_ns())
            self._dropped += slot.dropped
            if len(self._under_way) >= self._under_way_max:
                self._dropped += 1
                continue
            self._order(slot.intended_ns)
        await watch
        if self._under_way:
            await asyncio.wait(self._under_way)
        return {"orders": self._orders, "dropped": self._dropped}

    def _order(self, intended_ns: int) -> None:
        self._orders += 1
        key = f"{self._options.prefix}{self._orders}"
        plan = plan_order(self._options.mix, self._draws)
        self._begin(f"{key} 1", self._attempt(key, 1, plan, intended_ns))
        if plan.repeat_delay_seconds is not None:
            self._begin(f"{key} 2", self._repeat(key, plan, intended_ns, plan.repeat_delay_seconds))

    def _begin(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=name)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _repeat(self, key: str, plan: OrderPlan, intended_ns: int, delay_seconds: float) -> None:
        await asyncio.sleep(delay_seconds)
        await self._attempt(key, 2, plan, intended_ns + round(delay_seconds * 1e9))

    async def _attempt(self, key: str, number: int, plan: OrderPlan, intended_ns: int) -> None:
        order = {"event_id": plan.event_id, "quantity": _QUANTITY, "customer": self._options.customer}
        request = self._entry.post(json.dumps(order).encode(), key)
        progress = Progress()
        opened = Attempt(
            key, number, plan.event_id, _QUANTITY, intended_ns, time.monotonic_ns(), 0, WriteOutcome.UNKNOWN, 0, 0, ""
        )
        self._file.append(opened)
        sending = send_freshly(self._entry, request, progress)
        answer, error = await ask(sending, self._options.timeout_seconds)
        outcome, order_id, error = outcome_of(answer, error, request_sent=progress.request_sent)
        self._file.append(
            opened._replace(
                done_ns=time.monotonic_ns(),
                outcome=outcome,
                status=answer.status if answer is not None else 0,
                order_id=order_id,
                error=error,
            )
        )


def main(arguments: list[str] | None = None) -> int:
    """Order until told to stop; return the exit code: 0, or 2 when an argument cannot be used."""
    options = _parse(arguments)
    return record("ledger", lambda: _order(options), options.summary)


def _order(options: _Options) -> dict[str, int]:
    async def run(file: LedgerFile) -> dict[str, int]:
        return await _Ledger(options, file).run()

    with LedgerFile(options.ledger) as file:
        return asyncio.run(run(file))


def _parse(arguments: list[str] | None) -> _Options:
    parser = argparse.ArgumentParser(prog="python -m flametest.load.ledger_main", description=(__doc__ or "").strip())
    parser.add_argument("url", help="where orders are posted, such as http://127.0.0.1:30080/shop/api/orders")
    parser.add_argument("ledger", type=Path, help="CSV file to write; must not exist")
    parser.add_argument("--prefix", required=True, help="beginning of every Idempotency-Key, never used before")
    parser.add_argument("--customer", default="ledger", help="who orders")
    parser.add_argument("--seed", required=True, help="of the mix of orders")
    parser.add_argument("--event", type=int, required=True, help="event that is ordered")
    parser.add_argument("--scarce-event", type=int, default=0, help="event that sells out; 0 for none")
    parser.add_argument("--scarce-share", type=float, default=0.1, help="share of orders for the latter")
    parser.add_argument("--repeat-share", type=float, default=0.1, help="share of orders that are sent twice")
    parser.add_argument("--orders-per-second", type=positive, default=10.0)
    parser.add_argument("--timeout-seconds", type=positive, default=3.0)
    add_common_arguments(parser)
    given = vars(parser.parse_args(arguments))
    mix = OrderMix(*(given.pop(name) for name in ("event", "scarce_event", "scarce_share", "repeat_share")))
    return _Options(mix=mix, **given)


if __name__ == "__main__":
    sys.exit(main())
