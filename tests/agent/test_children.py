"""Child processes of the agent: killing one leaves nothing of what it was about to start."""

import asyncio
import os

import pytest

from flametest.sandbox.agent.children import Child

SECONDS_MAX = 60
PATH = {"PATH": "/usr/local/bin:/usr/bin:/bin"}


async def until_ended(pidfd: int) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(pidfd, ended.set)
    try:
        await asyncio.wait_for(ended.wait(), SECONDS_MAX)
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)


@pytest.mark.parametrize("leading", [[], ["setsid", "--ctty"]], ids=["own session", "terminal of its own"])
async def test_what_a_killed_process_has_forked_ends_with_it(leading: list[str]) -> None:
    read, write = os.pipe()
    terminal, theirs = os.openpty()
    script = "sleep 1000 & echo $!; wait"
    child = Child([*leading, "sh", "-c", script], environment=PATH, stdin=theirs, stdout=write, session=not leading)
    for descriptor in (write, theirs):
        os.close(descriptor)
    with os.fdopen(read) as output:
        forked = os.pidfd_open(int(await asyncio.to_thread(output.readline)))
    child.kill()
    assert await child.wait() == 137
    await until_ended(forked)
    os.close(terminal)


async def test_killing_a_process_that_has_ended_does_nothing() -> None:
    child = Child(["true"], environment=PATH)
    assert await child.wait() == 0
    child.kill()
    assert child.ended
