"""The state of a dependency is what the call that began last has found."""

import asyncio

import pytest

from servicekit.dependencies import Dependency, DependencyError


async def ended(event: asyncio.Event, error: Exception | None = None) -> None:
    await event.wait()
    if error is not None:
        raise error


async def test_a_late_answer_to_an_earlier_call_does_not_hide_a_later_failure() -> None:
    redis = Dependency("redis", 60.0, (OSError,))
    early, late = asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(redis.call(ended(early)))
    second = asyncio.create_task(redis.call(ended(late, OSError("refused"))))
    late.set()
    with pytest.raises(DependencyError, match="redis: refused"):
        await second
    early.set()
    await first
    assert redis.state == "failing"


async def test_a_late_failure_of_an_earlier_call_does_not_hide_that_it_is_back() -> None:
    redis = Dependency("redis", 60.0, (OSError,))
    early, late = asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(redis.call(ended(early, OSError("refused"))))
    second = asyncio.create_task(redis.call(ended(late)))
    late.set()
    await second
    early.set()
    with pytest.raises(DependencyError):
        await first
    assert redis.state == "ok"


async def test_a_call_without_an_answer_in_time_is_a_failure() -> None:
    redis = Dependency("redis", 0.0, (OSError,))
    assert redis.state == "unknown"
    with pytest.raises(DependencyError, match="no answer within"):
        await redis.call(ended(asyncio.Event()))
    assert redis.state == "failing"
