"""The prober's process: ``python -m flametest.load.prober_main URL SAMPLES --summary FILE``.

Two lanes, each sending at a fixed interval on an absolute schedule, whatever became of the requests before (open
loop). It runs until SIGTERM, SIGINT, the death of its parent or its own time limit, lets what is under way finish,
and writes its summary, one JSON object. Standard library only, so that it starts at once and stays small.
"""

import argparse
import asyncio
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from flametest.load import resolving
from flametest.load.exchange import Entry, route_of
from flametest.load.lanes import FreshLane, KeepAliveLane, Progress, Sender, probe
from flametest.load.priority import go_first
from flametest.load.processors import ProcessorMeter
from flametest.load.program import add_common_arguments, positive, record
from flametest.load.samplefile import FLUSH_SECONDS, SampleFile
from flametest.load.schedule import Schedule, Slot
from flametest.load.stopping import Stop
from flametest.model.requestids import RequestIds

__all__ = ["main"]

# A sample whose time limit was noticed this late tells of a prober that did not run, not of the system under test.
_STALL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class _Options:
    url: str
    samples: Path
    summary: Path
    interval_ms: float
    timeout_ms: float
    seconds_max: float
    parent: int


class _Prober:
    """The running prober; one for its process."""

    def __init__(self, options: _Options, file: SampleFile) -> None:
        self._timeout_seconds = options.timeout_ms / 1000
        self._interval_ns = round(options.interval_ms * 1e6)
        self._file = file
        entry = Entry.from_url(options.url, route_of(options.url))
        self._name = f"GET {entry.target}"
        self._ids = RequestIds.of(os.environ)
        self._senders: tuple[Sender, ...] = (FreshLane(entry), KeepAliveLane(entry))
        self._stop = Stop(options.parent)
        self._probes: set[asyncio.Task[None]] = set()
        # Twice as many as can be under way while every one keeps its time limit.
        self._probes_max = 2 * len(self._senders) * (int(options.timeout_ms / options.interval_ms) + 1)
        self._sent = 0
        self._late = 0
        self._unsent = 0
        self._lag_max_ns = 0
        self._processors = ProcessorMeter()

    async def run(self, seconds_max: float) -> dict[str, int]:
        """Probe until told to stop; return the summary."""
        start_ns = time.monotonic_ns() + self._interval_ns
        lanes = [
            # Evenly shifted, so that the lanes do not disturb one another.
            asyncio.create_task(
                self._run_lane(sender, start_ns + number * self._interval_ns // len(self._senders)), name=sender.lane
            )
            for number, sender in enumerate(self._senders)
        ]
        house = self._stop.keep_house(FLUSH_SECONDS, seconds_max, self._keep)
        watch = asyncio.create_task(house, name="flush, and watch the parent and the processors")
        try:
            await asyncio.gather(watch, *lanes)
            if self._probes:
                await asyncio.wait(self._probes)
        finally:
            for sender in self._senders:
                sender.close()
        return {
            "interval_ns": self._interval_ns,
            "sent": self._sent,
            "dropped": self._late + self._unsent,
            "late": self._late,
            "send_lag_max_ns": self._lag_max_ns,
            "looked_ms": self._processors.looked_ms,
            "busy_ms": self._processors.busy_ms,
        }

    def _keep(self) -> None:
        self._file.flush()
        self._processors.look()

    async def _run_lane(self, sender: Sender, start_ns: int) -> None:
        schedule = Schedule(start_ns, self._interval_ns)
        while not await self._stop.within(schedule.seconds_to_next(time.monotonic_ns())):
            slot = schedule.take(time.monotonic_ns())
            self._late += slot.dropped
            if len(self._probes) >= self._probes_max:
                self._unsent += 1
                continue
            task = asyncio.create_task(self._probe(sender, slot), name=f"{sender.lane} {slot.intended_ns}")
            self._probes.add(task)
            task.add_done_callback(self._probes.discard)

    async def _probe(self, sender: Sender, slot: Slot) -> None:
        progress = Progress()
        try:
            sample = await probe(
                sender, self._name, slot.intended_ns, self._timeout_seconds, progress=progress, ids=self._ids
            )
        except resolving.LookupLimitError:  # it was not sent, for a reason of this process
            self._unsent += 1
            return
        self._lag_max_ns = max(self._lag_max_ns, sample.sent_ns - sample.intended_ns)
        late_seconds = (sample.done_ns - sample.sent_ns) / 1e9 - self._timeout_seconds
        # A request that went out and brought nothing back was hanging, however late that was noticed.
        if sample.error == "timeout" and late_seconds > _STALL_SECONDS and not progress.is_unanswered:
            self._late += 1
            self._lag_max_ns = max(self._lag_max_ns, round(late_seconds * 1e9))
            return
        self._sent += 1
        self._file.append(sample)


def main(arguments: list[str] | None = None) -> int:
    """Probe until told to stop; return the exit code: 0, or 2 when an argument cannot be used."""
    options = _parse(arguments)
    go_first()
    return record("prober", lambda: _probe(options), options.summary)


def _probe(options: _Options) -> dict[str, int]:
    async def run(file: SampleFile) -> dict[str, int]:
        return await _Prober(options, file).run(options.seconds_max)

    with SampleFile(options.samples) as file:
        return resolving.run(run(file), options.timeout_ms / 1000)


def _parse(arguments: list[str] | None) -> _Options:
    parser = argparse.ArgumentParser(prog="python -m flametest.load.prober_main", description=(__doc__ or "").strip())
    parser.add_argument("url", help="what is requested, such as http://127.0.0.1:30080/")
    parser.add_argument("samples", type=Path, help="CSV file to write; must not exist")
    parser.add_argument("--interval-ms", type=positive, default=50.0)
    parser.add_argument("--timeout-ms", type=positive, default=1000.0)
    add_common_arguments(parser)
    return _Options(**vars(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
