"""The ledger's process: ``python -m flametest.ledger.main URL RECORD --definition FILE --summary FILE --prefix TEXT``.

It sends one unique write after the other at a constant rate on an absolute schedule, whatever became of those before
(open loop), each on a connection of its own, and some of them twice; some that were acknowledged it looks for at once.
It runs until SIGTERM, SIGINT, the death of its parent or its own time limit, lets what is under way finish, and writes
its summary, one JSON object.
"""

import argparse
import asyncio
import random
import sys
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flametest.ledger.definition import Definition
from flametest.ledger.plan import REPEAT_DELAYS_SECONDS, PlannedWrite, plan_write
from flametest.ledger.records import RecordFile
from flametest.ledger.store import LedgerWriter
from flametest.ledger.stores import writer_of
from flametest.ledger.template import placeholders
from flametest.load.program import add_common_arguments, record
from flametest.load.schedule import Schedule
from flametest.load.stopping import Stop
from flametest.model.writes import ATTEMPT_COLUMNS, LOOK_COLUMNS, Attempt, Look, WriteOutcome

__all__ = ["main"]

_HOUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class _Options:
    url: str
    ledger: Path
    looks: Path
    definition: Path
    summary: Path
    prefix: str
    seed: str
    seconds_max: float
    parent: int


@dataclass(frozen=True, slots=True)
class _Files:
    attempts: RecordFile
    looks: RecordFile


class _Ledger:
    """The running ledger; one for its process."""

    def __init__(self, options: _Options, definition: Definition, store: LedgerWriter, files: _Files) -> None:
        self._options = options
        self._write = definition.write
        read = definition.read
        find = read.find if read is not None and read.find is not None else ""
        self._looks = read.looks if read is not None and find else 0.0
        self._looks_by_id = "id" in placeholders(find)
        self._store = store
        self._files = files
        self._draws = random.Random(options.seed)  # noqa: S311  # a mix of writes, not secrets
        self._look_draws = random.Random(f"{options.seed} looks")  # noqa: S311
        self._stop = Stop(options.parent)
        self._under_way: set[asyncio.Task[None]] = set()
        # Twice as many as can be under way while every one keeps its time limit.
        open_seconds = 2 * self._write.timeout_seconds + max(REPEAT_DELAYS_SECONDS)
        self._under_way_max = 2 * 2 * (int(open_seconds * self._write.per_second) + 1)
        self._writes = 0
        self._dropped = 0

    async def run(self) -> dict[str, int]:
        """Write until told to stop; return the summary."""
        interval_ns = round(1e9 / self._write.per_second)
        schedule = Schedule(time.monotonic_ns() + interval_ns, interval_ns)
        house = self._stop.keep_house(_HOUSE_SECONDS, self._options.seconds_max, lambda: None)
        watch = asyncio.create_task(house, name="watch the parent")
        while not await self._stop.within(schedule.seconds_to_next(time.monotonic_ns())):
            slot = schedule.take(time.monotonic_ns())
            self._dropped += slot.dropped
            if len(self._under_way) >= self._under_way_max:
                self._dropped += 1
                continue
            self._begin_write(slot.intended_ns)
        await watch
        if self._under_way:
            await asyncio.wait(self._under_way)
        return {"writes": self._writes, "dropped": self._dropped}

    def _begin_write(self, intended_ns: int) -> None:
        self._writes += 1
        planned = plan_write(self._write, self._options.prefix, self._writes, self._draws)
        self._begin(f"{planned.key} 1", self._attempt(planned, 1, intended_ns))
        if planned.repeat_delay_seconds is not None:
            self._begin(f"{planned.key} 2", self._repeat(planned, intended_ns, planned.repeat_delay_seconds))

    def _begin(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=name)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _repeat(self, planned: PlannedWrite, intended_ns: int, delay_seconds: float) -> None:
        await asyncio.sleep(delay_seconds)
        await self._attempt(planned, 2, intended_ns + round(delay_seconds * 1e9))

    async def _attempt(self, planned: PlannedWrite, number: int, intended_ns: int) -> None:
        trace_id, sent_ns = self._store.new_id(), time.monotonic_ns()
        opened = Attempt(
            planned.key, number, planned.contents, intended_ns, sent_ns, 0, WriteOutcome.UNKNOWN, 0, "", "", trace_id
        )
        self._files.attempts.append(opened)
        outcome, status, named, error = await self._store.write(planned.values, trace_id)
        done = opened._replace(done_ns=time.monotonic_ns(), outcome=outcome, status=status, id=named, error=error)
        self._files.attempts.append(done)
        is_named = bool(named) or not self._looks_by_id
        if outcome is WriteOutcome.ACKNOWLEDGED and is_named and self._look_draws.random() < self._looks:
            await self._look(planned, named)

    async def _look(self, planned: PlannedWrite, named: str) -> None:
        trace_id, sent_ns = self._store.new_id(), time.monotonic_ns()
        looked = await self._store.look({**planned.values, "id": named}, trace_id)
        self._files.looks.append(Look(planned.key, sent_ns, time.monotonic_ns(), *looked, trace_id))


def main(arguments: list[str] | None = None) -> int:
    """Write until told to stop; return the exit code: 0, or 2 when an argument cannot be used."""
    options = _parse(arguments)
    definition = Definition.model_validate_json(options.definition.read_bytes())
    return record("ledger", lambda: _keep(options, definition), options.summary)


def _keep(options: _Options, definition: Definition) -> dict[str, int]:
    async def run(files: _Files) -> dict[str, int]:
        with writer_of(definition, options.url) as store:
            return await _Ledger(options, definition, store, files).run()

    with RecordFile(options.ledger, ATTEMPT_COLUMNS) as attempts, RecordFile(options.looks, LOOK_COLUMNS) as looks:
        return asyncio.run(run(_Files(attempts, looks)))


def _parse(arguments: list[str] | None) -> _Options:
    parser = argparse.ArgumentParser(prog="python -m flametest.ledger.main", description=(__doc__ or "").strip())
    parser.add_argument("url", help="the entry of the system under test, such as http://127.0.0.1:30080")
    parser.add_argument("ledger", type=Path, help="CSV file to write; must not exist")
    parser.add_argument("--looks", type=Path, required=True, help="CSV file of single reads; must not exist")
    parser.add_argument("--definition", type=Path, required=True, help="the definition, as JSON")
    parser.add_argument("--prefix", required=True, help="beginning of every key, never used before")
    parser.add_argument("--seed", required=True, help="of the draws")
    add_common_arguments(parser)
    return _Options(**vars(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
