"""The loop that runs controllers: it retries, survives bad objects, and sees its own writes once."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.sandbox.apiserver import Registry
from flametest.sandbox.cache import Cache, Reference, Transition
from flametest.sandbox.controllers.changes import Create, Failure, Key, Note, Plan, Update
from flametest.sandbox.controllers.loop import Loop, RetryPolicy
from flametest.sandbox.controllers.metadata import own_keys
from flametest.sandbox.objects import Object, WatchEvent
from flametest.sandbox.timestamps import utc_now


def config(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}, "data": data}


@dataclass
class Recording:
    """A controller that notes what it is asked, and answers with the plans that it was given."""

    plans: dict[str, Plan | Exception] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)
    enough: int = 1

    name = "recording-controller"
    watches = ("configmaps",)

    def keys(self, transition: Transition, cache: Cache) -> Iterable[Key]:
        return own_keys(transition)

    def reconcile(self, key: Key, cache: Cache, now: datetime, failure: Failure | None) -> Plan:
        if key.name != "kube-root-ca.crt":
            self.asked.append(key.name)
        if failure:
            self.failures.append(failure)
        if len(self.asked) >= self.enough:
            self.done.set()
        plan = self.plans.get(key.name, Plan())
        if isinstance(plan, Exception):
            raise plan
        return plan


@pytest.fixture
def registry() -> Registry:
    made = Registry()
    made.create("namespaces", {"metadata": {"name": "default"}})
    return made


@asynccontextmanager
async def running(registry: Registry, controller: Recording) -> AsyncIterator[None]:
    loop = Loop(registry, [controller], clock=utc_now, retry=RetryPolicy(first_seconds=0.001, max_seconds=0.002))
    task = asyncio.create_task(loop.run())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_objects_that_were_there_before_are_looked_at(registry: Registry) -> None:
    registry.create("configmaps", config("early"))
    controller = Recording()
    async with running(registry, controller), asyncio.timeout(5):
        await controller.done.wait()
    assert controller.asked == ["early"]


async def test_a_controller_that_stumbles_over_one_object_is_asked_again_and_holds_up_no_other(
    registry: Registry,
) -> None:
    controller = Recording({"bad": RuntimeError("stumbled")}, enough=6)
    async with running(registry, controller), asyncio.timeout(5):
        registry.create("configmaps", config("bad"))
        registry.create("configmaps", config("good"))
        await controller.done.wait()
    assert controller.asked.count("good") == 1
    assert controller.asked.count("bad") == 5


async def test_a_plan_that_fails_is_tried_again_and_told_why(registry: Registry) -> None:
    missing = {**config("child"), "metadata": {"name": "child", "namespace": "nowhere"}}
    note = Note(registry.create("configmaps", config("parent")), "FailedCreate", "Error creating: {error}", "Warning")
    controller = Recording({"parent": Plan((Create("configmaps", missing, failure=note),))}, enough=3)
    async with running(registry, controller), asyncio.timeout(5):
        await controller.done.wait()
    assert isinstance(controller.failures[0].change, Create)
    assert 'namespaces "nowhere" not found' in controller.failures[0].message
    (event,) = registry.list("events")
    assert event["count"] >= 2
    assert event["type"] == "Warning"


async def test_a_conflict_is_resolved_by_looking_again(registry: Registry) -> None:
    stored = registry.create("configmaps", config("one"))
    stale = registry.update("configmaps", {**stored, "data": {"by": "somebody else"}})
    stale["metadata"]["resourceVersion"] = "1"
    controller = Recording({"one": Plan((Update("configmaps", stale),))}, enough=2)
    async with running(registry, controller), asyncio.timeout(5):
        await controller.done.wait()
    assert "modified" in controller.failures[0].message


async def test_a_plan_comes_back_when_it_asked_to(registry: Registry) -> None:
    controller = Recording({"one": Plan(revisit_seconds=0.001)}, enough=3)
    async with running(registry, controller), asyncio.timeout(5):
        registry.create("configmaps", config("one"))
        await controller.done.wait()
    assert controller.asked == ["one"] * 3


async def test_many_changes_of_one_object_are_one_item_in_the_queue(registry: Registry) -> None:
    controller = Recording(enough=2)
    async with running(registry, controller), asyncio.timeout(5):
        for number in range(20):
            if number == 0:
                stored = registry.create("configmaps", config("one"))
            else:
                stored = registry.update("configmaps", {**stored, "data": {"number": str(number)}})
        registry.create("configmaps", config("two"))
        await controller.done.wait()
    assert controller.asked == ["one", "two"]


@given(st.integers(1, 1000))
def test_pauses_grow_and_stay_bounded(failures: int) -> None:
    policy = RetryPolicy()
    assert policy.first_seconds <= policy.pause_seconds(failures) <= policy.max_seconds
    assert policy.pause_seconds(failures) <= policy.pause_seconds(failures + 1)


def stored(name: str, version: int, uid: str = "", owners: tuple[str, ...] = ()) -> Object:
    references = [{"uid": owner, "kind": "X", "name": "x", "apiVersion": "v1"} for owner in owners]
    metadata = {"name": name, "namespace": "default", "uid": uid or f"uid-{name}", "resourceVersion": str(version)}
    return {"metadata": {**metadata, "ownerReferences": references}}


def test_the_cache_knows_its_owners_own_writes_and_ignores_their_echo() -> None:
    cache = Cache()
    written = stored("one", 5)
    assert cache.put("pods", written) is not None
    assert cache.apply(WatchEvent("ADDED", "pods", written)) is None
    assert cache.apply(WatchEvent("MODIFIED", "pods", stored("one", 4))) is None
    assert cache.get("pods", "default", "one") == written


def test_the_cache_does_not_bring_back_what_was_dropped() -> None:
    cache = Cache()
    cache.put("pods", stored("one", 5))
    assert cache.drop("pods", "default", "one") is not None
    assert cache.apply(WatchEvent("MODIFIED", "pods", stored("one", 4))) is None
    assert cache.apply(WatchEvent("DELETED", "pods", stored("one", 6))) is None
    assert cache.get("pods", "default", "one") is None
    assert cache.apply(WatchEvent("ADDED", "pods", stored("one", 7, uid="another"))) is not None


def test_the_end_of_an_object_does_not_end_its_successor_of_the_same_name() -> None:
    cache = Cache()
    cache.put("pods", stored("one", 9, uid="new"))
    assert cache.apply(WatchEvent("DELETED", "pods", stored("one", 8, uid="old"))) is None
    assert cache.get("pods", "default", "one") is not None


def test_the_cache_finds_dependents_and_follows_their_owners() -> None:
    cache = Cache()
    cache.put("pods", stored("one", 1, owners=("a",)))
    cache.put("configmaps", stored("two", 2, owners=("a", "b")))
    assert cache.dependents("a") == [Reference("configmaps", "default", "two"), Reference("pods", "default", "one")]
    assert [obj["metadata"]["name"] for obj in cache.owned("pods", "a")] == ["one"]
    cache.put("pods", stored("one", 3, owners=("b",)))
    assert cache.owned("pods", "a") == []
    cache.drop("configmaps", "default", "two")
    assert cache.dependents("a") == []


def test_filling_the_cache_anew_tells_what_came_changed_and_went(registry: Registry) -> None:
    cache = Cache()
    kept, gone = (registry.create("configmaps", config(name)) for name in ("kept", "gone"))
    cache.fill(registry, ["configmaps"])
    registry.update("configmaps", {**kept, "data": {"a": "b"}})
    registry.delete("configmaps", "default", gone["metadata"]["name"])
    registry.create("configmaps", config("new"))
    told = {
        change.reference.name: (change.before is None, change.after is None)
        for change in cache.fill(registry, ["configmaps"])
    }
    assert told == {"gone": (False, True), "kept": (False, False), "new": (True, False)}
