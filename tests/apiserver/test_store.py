"""The store keeps bytes under one version and tells its watchers every change in order."""

import asyncio
import tracemalloc
from typing import Any

import pytest

from flametest.sandbox.errors import StatusError
from flametest.sandbox.store import Store


def thing(name: str, **labels: str) -> dict[str, Any]:
    return {"kind": "Thing", "apiVersion": "v1", "metadata": {"name": name, "labels": labels}}


def test_every_write_has_a_higher_version_than_the_one_before() -> None:
    store = Store()
    versions = [store.put("things", ("", "a"), thing("a")).version, store.put("others", ("", "b"), thing("b")).version]
    versions.append(store.remove("things", ("", "a")).version)
    assert versions == [1, 2, 3]
    assert store.version == 3


def test_a_record_carries_its_version_in_its_bytes() -> None:
    store = Store()
    record = store.put("things", ("", "a"), thing("a"))
    assert record.load()["metadata"]["resourceVersion"] == "1"


def test_objects_come_by_namespace_and_name() -> None:
    store = Store()
    for key in (("b", "x"), ("a", "y"), ("a", "x")):
        store.put("things", key, thing(key[1]))
    assert [key for key, _ in store.items("things")] == [("a", "x"), ("a", "y"), ("b", "x")]
    assert [key for key, _ in store.items("things", "a")] == [("a", "x"), ("a", "y")]
    assert [key for key, _ in store.items("things", after=("a", "x"))] == [("a", "y"), ("b", "x")]


async def test_a_subscription_sees_the_changes_of_its_resources_alone() -> None:
    store = Store()
    subscription = store.subscribe(["things"])
    store.put("things", ("", "a"), thing("a"))
    store.put("others", ("", "o"), thing("o"))
    store.put("things", ("", "a"), thing("a", x="y"))
    store.remove("things", ("", "a"))
    changes = await subscription.changes()
    assert [change.type for change in changes] == ["ADDED", "MODIFIED", "DELETED"]
    assert changes[2].record.labels == {"x": "y"}


async def test_a_waiting_reader_is_woken_by_a_change() -> None:
    store = Store()
    subscription = store.subscribe(["things"])
    reader = asyncio.create_task(subscription.changes())
    await asyncio.sleep(0)
    store.put("things", ("", "a"), thing("a"))
    assert [change.key for change in await reader] == [("", "a")]


async def test_a_subscription_may_start_in_the_past() -> None:
    store = Store()
    store.put("things", ("", "a"), thing("a"))
    store.put("things", ("", "b"), thing("b"))
    assert [change.key[1] for change in await store.subscribe(["things"], since=1).changes()] == ["b"]


def test_a_past_beyond_the_ring_is_gone() -> None:
    store = Store(ring_changes=2)
    for name in "abcd":
        store.put("things", ("", name), thing(name))
    store.subscribe(["things"], since=2)
    with pytest.raises(StatusError, match="too old resource version: 1") as caught:
        store.subscribe(["things"], since=1)
    assert caught.value.code == 410


async def test_a_slow_reader_is_dropped_and_told_so() -> None:
    store = Store()
    subscription = store.subscribe(["things"], capacity=2)
    for name in "abc":
        store.put("things", ("", name), thing(name))
    assert subscription.closed
    with pytest.raises(StatusError) as caught:
        await subscription.changes()
    assert caught.value.code == 410


async def test_closing_the_store_ends_waiting_readers() -> None:
    store = Store()
    subscription = store.subscribe(["things"])
    reader = asyncio.create_task(subscription.changes())
    await asyncio.sleep(0)
    store.close()
    assert await reader == []


def test_what_is_kept_of_an_object_is_no_larger_than_its_json() -> None:
    """The encoder hands out bytes with room behind them, of which thousands are kept."""
    store = Store()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        records = [store.put("things", ("", str(n)), thing(str(n)) | {"data": "x" * 3000}) for n in range(50)]
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 2 * sum(len(record.data) for record in records)
