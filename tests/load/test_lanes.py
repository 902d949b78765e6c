"""The lanes of the prober, against a server that behaves and misbehaves on demand."""

import asyncio
import time
from typing import Any

import pytest

from flametest.load.exchange import Entry
from flametest.load.lanes import FreshLane, KeepAliveLane, Sender, probe
from flametest.model.samples import Lane, Outcome, Sample

LIMIT_SECONDS = 0.3


async def ask(lane: Sender) -> Sample:
    """Send one request on ``lane``."""
    return await probe(lane, "GET /", time.monotonic_ns(), LIMIT_SECONDS)


@pytest.mark.parametrize("make", [FreshLane, KeepAliveLane])
@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("ok", (Outcome.OK, 200, "", "target")),
        ("503", (Outcome.FAILED, 503, "status", "target")),
        ("308", (Outcome.FAILED, 308, "status", "target")),
        ("hang", (Outcome.UNKNOWN, 0, "timeout", "")),
        ("reset", (Outcome.UNKNOWN, 0, "reset", "")),
        ("refused", (Outcome.FAILED, 0, "refused", "")),
    ],
)
async def test_every_end_of_a_request_has_its_outcome(make: Any, mode: str, expected: Any, target: Any) -> None:
    if mode == "refused":
        target.refuse()
    target.mode = mode
    lane = make(Entry.from_url(target.url))
    sample = await ask(lane)
    lane.close()
    assert (sample.outcome, sample.status, sample.error, sample.served_by) == expected
    assert sample.lane is lane.lane
    assert sample.intended_ns <= sample.sent_ns <= sample.done_ns
    assert (sample.done_ns - sample.sent_ns) / 1e9 < LIMIT_SECONDS + 0.2


async def test_the_fresh_lane_connects_for_each_request(target: Any) -> None:
    lane = FreshLane(Entry.from_url(target.url))
    for _ in range(3):
        assert (await ask(lane)).outcome is Outcome.OK
    assert target.connections == 3


async def test_the_keep_alive_lane_stays_on_one_connection(target: Any) -> None:
    lane = KeepAliveLane(Entry.from_url(target.url))
    for _ in range(5):
        sample = await ask(lane)
        assert (sample.lane, sample.outcome) == (Lane.KEEPALIVE, Outcome.OK)
    assert target.connections == 1
    lane.close()


async def test_a_kept_connection_that_hangs_costs_only_the_request_that_is_on_it(target: Any, wait_until: Any) -> None:
    lane = KeepAliveLane(Entry.from_url(target.url))
    await ask(lane)
    target.mode = "hang"
    stuck = asyncio.create_task(ask(lane))
    await asyncio.to_thread(wait_until, lambda: len(target.requests) == 2)
    target.mode = "ok"
    behind = [await ask(lane) for _ in range(3)]
    assert [sample.outcome for sample in behind] == [Outcome.OK] * 3
    assert (await stuck).error == "timeout"
    assert target.connections == 2
    lane.close()


async def test_a_kept_connection_that_the_server_closed_meanwhile_is_replaced_without_an_error(
    target: Any, wait_until: Any
) -> None:
    lane = KeepAliveLane(Entry.from_url(target.url))
    await ask(lane)
    # In another thread, so that this loop sees the connection's end meanwhile.
    await asyncio.to_thread(target.refuse)
    await asyncio.to_thread(target.listen)
    samples = [await ask(lane) for _ in range(2)]
    assert [sample.outcome for sample in samples] == [Outcome.OK] * 2
    assert target.connections == 2
    lane.close()
