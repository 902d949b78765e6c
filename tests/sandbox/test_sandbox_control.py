"""Messages between the sandbox's processes, the settings they read, and the parts that end together."""

import asyncio
import os
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.sandbox import control
from flametest.sandbox.errors import SandboxError
from flametest.sandbox.lifetime import Parts
from flametest.sandbox.settings import Settings

SETTINGS = Settings("default", "/state", "127.0.0.1", 0, "127.0.0.1", "", 3)

_values = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=50)


@given(st.dictionaries(st.text(max_size=20), _values | st.lists(_values, max_size=5), max_size=8))
def test_a_message_arrives_as_it_was_sent(content: dict[str, object]) -> None:
    here, there = control.pair()
    with here, there:
        control.send(here, content)
        assert control.receive(there) == control.Message(content)


def test_a_descriptor_comes_along_and_is_not_inherited() -> None:
    here, there = control.pair()
    reader, writer = os.pipe()
    with here, there:
        control.send(here, {"type": "listener"}, writer)
        message = control.receive(there)
    assert message is not None
    assert message.descriptor is not None
    os.write(message.descriptor, b"!")
    assert os.read(reader, 1) == b"!"
    assert not os.get_inheritable(message.descriptor)
    for descriptor in (reader, writer, message.descriptor):
        os.close(descriptor)


def test_the_end_of_the_other_side_is_told_and_silence_is_not() -> None:
    here, there = control.pair()
    with there:
        there.setblocking(False)
        with pytest.raises(BlockingIOError):
            control.receive(there)
        here.close()
        assert control.receive(there) is None


def test_settings_are_read_back_equal() -> None:
    changed = replace(SETTINGS, images_file="/a b/ü.toml", api_port=6443)
    assert Settings.from_json(changed.to_json()) == changed


def test_nodes_have_names_addresses_and_ranges_of_their_own() -> None:
    assert [(node.name, node.address, node.pod_range) for node in SETTINGS.node_list()] == [
        ("sandbox-1", "10.240.0.1", "10.244.1.0/24"),
        ("sandbox-2", "10.240.0.2", "10.244.2.0/24"),
        ("sandbox-3", "10.240.0.3", "10.244.3.0/24"),
    ]


async def _forever(ended: list[str], name: str) -> None:
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        ended.append(name)


async def _run_parts(**works: Coroutine[Any, Any, None]) -> None:
    async with Parts() as parts:
        for name, work in works.items():
            parts.start(name, work)
        await parts.run_until(asyncio.get_running_loop().create_future())


async def test_the_end_of_one_part_is_the_end_of_all_and_says_which() -> None:
    async def fail() -> None:
        raise ValueError("broken")

    ended: list[str] = []
    with pytest.raises(SandboxError, match="scheduler ended: ValueError: broken"):
        await _run_parts(agent=_forever(ended, "agent"), scheduler=fail())
    assert ended == ["agent"]


async def test_a_part_that_merely_returns_ends_all_too() -> None:
    async def done() -> None:
        return

    with pytest.raises(SandboxError, match="scheduler ended: without an error"):
        await _run_parts(scheduler=done())


async def test_parts_end_in_the_reverse_of_their_order_when_the_moment_comes() -> None:
    ended: list[str] = []
    moment: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    async with Parts() as parts:
        for name in ("network", "agent", "controllers"):
            parts.start(name, _forever(ended, name))
        asyncio.get_running_loop().call_soon(moment.set_result, None)
        await parts.run_until(moment)
    assert ended == ["controllers", "agent", "network"]
