"""Measure what the ids of requests cost the system under test: requests with and without them, in turn, in one run.

    python -m scripts.bench_ids URL [--requests 4000]

Each request has a connection of its own, as the prober's fresh lane has. Which of a pair comes first is drawn, so that
neither profits from the other's warm caches. The interval of the ratio comes from 1,000 draws of as many pairs, with
replacement (bootstrap): 4,000 requests tell a ratio to some 2 %, 40,000 to less than 1 %.
"""

import argparse
import asyncio
import random
import sys
import time
from dataclasses import dataclass

import numpy as np

from flametest.load.exchange import Entry
from flametest.load.lanes import FreshLane, probe
from flametest.model.requestids import RequestIds
from flametest.model.samples import Outcome

__all__ = ["Cost", "measure"]

TIMEOUT_SECONDS = 5.0
DRAWS, LEVEL = 1000, 95
WAYS = (RequestIds(is_on=False), RequestIds())


@dataclass(frozen=True, slots=True)
class Cost:
    """Medians of the latency without and with ids, in milliseconds, of so many pairs.

    ``low`` and ``high`` are the bounds of the 95 % interval of their ratio.
    """

    pairs: int
    without_ms: float
    with_ms: float
    low: float
    high: float

    @property
    def ratio(self) -> float:
        """Return how many times the latency without ids that with them is."""
        return self.with_ms / self.without_ms


def measure(url: str, requests: int) -> Cost:
    """Return what ids cost; requests that failed, and those of the first tenth, are left out with their pair."""
    pairs = np.array(asyncio.run(_pairs(url, requests // 2))[requests // 20 :])
    drawing = np.random.default_rng(7)
    drawn = [np.median(pairs[drawing.integers(len(pairs), size=len(pairs))], axis=0) for _ in range(DRAWS)]
    low, high = np.percentile([with_ids / without for without, with_ids in drawn], [50 - LEVEL / 2, 50 + LEVEL / 2])
    without, with_ids = np.median(pairs, axis=0)
    return Cost(len(pairs), float(without), float(with_ids), float(low), float(high))


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
        f"{cost.without_ms:.3f} ms without ids, {cost.with_ms:.3f} ms with: {cost.ratio:.4f} times "
        f"({cost.low:.4f} to {cost.high:.4f}), {cost.pairs} pairs"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
