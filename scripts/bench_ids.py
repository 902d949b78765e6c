"""Measure what the ids of requests cost the system under test: requests with and without them, in turn, in one run.

    python -m scripts.bench_ids URL [--requests 4000]

Each request has a connection of its own, as the prober's fresh lane has. Which of a pair comes first is drawn, so that
neither profits from the other's warm caches.
"""

import argparse
import asyncio
import random
import statistics
import sys
import time
from dataclasses import dataclass

from flametest.load.exchange import Entry
from flametest.load.lanes import FreshLane, probe
from flametest.model.requestids import RequestIds
from flametest.model.samples import Outcome

__all__ = ["Cost", "measure"]

TIMEOUT_SECONDS = 5.0
WAYS = (RequestIds(is_on=False), RequestIds())


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians of the latency without and with ids, in milliseconds, of so many pairs."""

    pairs: int
    without_ms: float
    with_ms: float

    @property
    def ratio(self) -> float:
        """Return how many times the latency without ids that with them is."""
        return self.with_ms / self.without_ms


def measure(url: str, requests: int) -> Cost:
    """Return what ids cost; requests that failed, and those of the first tenth, are left out with their pair."""
    pairs = asyncio.run(_pairs(url, requests // 2))[requests // 20 :]
    without, with_ids = zip(*pairs, strict=True)
    return Cost(len(pairs), statistics.median(without), statistics.median(with_ids))


async def _pairs(url: str, count: int) -> list[tuple[float, float]]:
    lane, draws, found = FreshLane(Entry.from_url(url)), random.Random(7), []  # noqa: S311 (an order, no secret)
    for _ in range(count):
        taken: dict[bool, float] = {}
        for ids in draws.sample(WAYS, 2):
            one = await probe(lane, "GET", time.monotonic_ns(), TIMEOUT_SECONDS, ids=ids)
            if one.outcome is Outcome.OK:
                taken[ids.is_on] = (one.done_ns - one.sent_ns) / 1e6
        if len(taken) == len(WAYS):
            found.append((taken[False], taken[True]))
    return found


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--requests", type=int, default=4000)
    options = parser.parse_args()
    cost = measure(options.url, options.requests)
    print(
        f"{cost.without_ms:.3f} ms without ids, {cost.with_ms:.3f} ms with: {cost.ratio:.4f} times, {cost.pairs} pairs"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
