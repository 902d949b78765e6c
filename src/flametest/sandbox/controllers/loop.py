"""The one loop that runs every controller: it watches, queues keys, asks for plans, carries them out, and retries.

It lives as long as the cluster process and serves all controllers from one task: reads and writes of the state are
immediate, so nothing is gained by more. Two tasks of it share the work: one takes in the watch, one works the queue.
A plan that fails is tried again after a bounded, growing pause; an object that a controller stumbles over is logged
and retried, and holds up nobody else.

The queue holds each key once per controller, so its length is bounded by the number of objects.
"""

import asyncio
import copy
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from flametest.sandbox.cache import Cache, Reference, Transition
from flametest.sandbox.controllers.changes import Change, Create, Delete, Failure, Key, Note, Plan, Update
from flametest.sandbox.errors import StatusError
from flametest.sandbox.eventrecorder import EventRecorder
from flametest.sandbox.objects import Object, Objects
from flametest.sandbox.timestamps import Clock

__all__ = ["Controller", "Loop", "RetryPolicy"]

_log = logging.getLogger(__name__)


class Controller(Protocol):
    """One kind of decision. It reads the cache and never changes an object in it."""

    @property
    def name(self) -> str:
        """Who it is, in events and logs, such as ``replicaset-controller``."""

    @property
    def watches(self) -> Sequence[str]:
        """The resources whose changes concern it."""

    def keys(self, transition: Transition, cache: Cache) -> Iterable[Key]:
        """Return the keys that a change concerns."""

    def reconcile(self, key: Key, cache: Cache, now: datetime, failure: Failure | None) -> Plan:
        """Return what to change so that reality follows what is wanted. ``failure`` is that of the last attempt."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait before a key that failed is tried again.

    Attributes:
        first_seconds: after the first failure; doubled after each further one.
        max_seconds: never longer.
    """

    first_seconds: float = 0.005
    max_seconds: float = 10.0

    def pause_seconds(self, failures: int) -> float:
        """Return the pause after so many failures in a row."""
        return min(self.first_seconds * float(2 ** min(failures - 1, 30)), self.max_seconds)


@dataclass(slots=True)
class _Progress:
    """How a key of a controller fares: failures in a row, the last one, and the timer that will bring it back."""

    failures: int = 0
    failure: Failure | None = None
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class _Writer:
    """Carries out one plan; knows which objects the plan has already written, so that it follows their versions."""

    objects: Objects
    recorder: EventRecorder
    learn: Callable[[Transition | None], None]
    cache: Cache
    written: dict[Reference, str] = field(default_factory=dict)

    def carry_out(self, change: Change) -> None:
        match change:
            case Note():
                self.recorder.record(change.about, change.type, change.reason, change.message)
            case Create():
                self._create(change)
            case Delete():
                self._delete(change)
            case _:
                self._write(change.resource, change.object, status=not isinstance(change, Update))
                if isinstance(change, Update):
                    self._note(change.note, change.object["metadata"]["name"])

    def _create(self, change: Create) -> None:
        try:
            made = self.objects.create(change.resource, copy.deepcopy(change.object))
        except StatusError as error:
            if change.failure is not None:
                self._note(change.failure, "", str(error))
            raise
        self.learn(self.cache.put(change.resource, made))
        self._note(change.note, made["metadata"]["name"])

    def _write(self, resource: str, obj: Object, *, status: bool) -> None:
        wanted = copy.deepcopy(obj)
        metadata = wanted["metadata"]
        reference = Reference(resource, metadata.get("namespace", ""), metadata["name"])
        if reference in self.written:
            metadata["resourceVersion"] = self.written[reference]
        write = self.objects.update_status if status else self.objects.update
        try:
            stored = write(resource, wanted)
        except StatusError:
            self._refresh(reference)
            raise
        self.written[reference] = stored["metadata"]["resourceVersion"]
        # An update may have completed a deletion that waited for a finalizer: then there is nothing to hold.
        self._refresh(reference)

    def _delete(self, change: Delete) -> None:
        place = change.reference
        try:
            self.objects.delete(
                place.resource,
                place.namespace,
                place.name,
                uid=change.uid,
                grace_seconds=change.grace_seconds,
                propagation=change.propagation,
            )
        except StatusError as error:
            self._refresh(place)
            if error.code == 404:
                return
            raise
        self._refresh(place)
        self._note(change.note, place.name)

    def _refresh(self, place: Reference) -> None:
        stored = self.objects.get(place.resource, place.namespace, place.name)
        if stored is None:
            self.learn(self.cache.drop(place.resource, place.namespace, place.name))
        else:
            self.learn(self.cache.put(place.resource, stored))

    def _note(self, note: Note | None, name: str, error: str = "") -> None:
        if note is not None:
            message = note.message.replace("{name}", name).replace("{error}", error)
            self.recorder.record(note.about, note.type, note.reason, message)


class Loop:
    """Runs controllers.

    Args:
        objects: the state of the cluster.
        controllers: in the order in which a change is shown to them.
        clock: the present time, as conditions and deadlines see it.
        retry: how failures are retried.
    """

    def __init__(
        self,
        objects: Objects,
        controllers: Sequence[Controller],
        *,
        clock: Clock,
        retry: RetryPolicy = RetryPolicy(),
    ) -> None:
        self._objects = objects
        self._controllers = tuple(controllers)
        self._clock = clock
        self._retry = retry
        self._cache = Cache()
        self._queue: dict[tuple[int, Key], None] = {}
        self._progress: dict[tuple[int, Key], _Progress] = {}
        self._wake = asyncio.Event()
        self._recorders = [EventRecorder(objects, each.name, clock) for each in self._controllers]
        self._resources = tuple(dict.fromkeys(resource for each in self._controllers for resource in each.watches))
        self._listeners = {
            resource: [index for index, each in enumerate(self._controllers) if resource in each.watches]
            for resource in self._resources
        }

    async def run(self) -> None:
        """Run until cancelled."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._take_in(), name="controllers: watch")
                tasks.create_task(self._work(), name="controllers: queue")
        finally:
            for progress in self._progress.values():
                if progress.timer is not None:
                    progress.timer.cancel()

    async def _take_in(self) -> None:
        failures = 0
        while True:
            events = self._objects.watch(*self._resources)
            try:
                # The subscription stands, so nothing is lost between this listing and the first event.
                for transition in self._cache.fill(self._objects, self._resources):
                    self._learn(transition)
                async for event in events:
                    failures = 0
                    self._learn(self._cache.apply(event))
            except StatusError as error:
                # The watch fell too far behind: begin again from a fresh listing.
                failures += 1
                _log.warning("the controllers' watch ended and starts again: %s", error)
            finally:
                close = getattr(events, "aclose", None)
                if close is not None:
                    await close()
            await asyncio.sleep(self._retry.pause_seconds(failures + 1))

    def _learn(self, transition: Transition | None) -> None:
        if transition is None:
            return
        for index in self._listeners.get(transition.resource, ()):
            try:
                for key in self._controllers[index].keys(transition, self._cache):
                    self._enqueue((index, key))
            except Exception:
                _log.exception("%s cannot read %s", self._controllers[index].name, transition.reference)

    def _enqueue(self, item: tuple[int, Key]) -> None:
        self._queue[item] = None
        self._wake.set()

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            while self._queue:
                item = next(iter(self._queue))
                del self._queue[item]
                self._reconcile(item)
                # Requests and probes take their turn between any two plans.
                await asyncio.sleep(0)
            self._wake.clear()

    def _reconcile(self, item: tuple[int, Key]) -> None:
        index, key = item
        controller, progress = self._controllers[index], self._progress.get(item) or _Progress()
        if progress.timer is not None:
            progress.timer.cancel()
            progress.timer = None
        try:
            plan = controller.reconcile(key, self._cache, self._clock(), progress.failure)
        except Exception:
            _log.exception("%s cannot plan for %s/%s", controller.name, key.namespace, key.name)
            self._again(item, progress, None)
            return
        failure = self._carry_out(index, plan)
        if failure is not None:
            self._again(item, progress, failure)
        elif plan.revisit_seconds is not None:
            self._progress[item] = _Progress(timer=self._later(item, plan.revisit_seconds))
        else:
            self._progress.pop(item, None)

    def _carry_out(self, index: int, plan: Plan) -> Failure | None:
        writer = _Writer(self._objects, self._recorders[index], self._learn, self._cache)
        for change in plan.changes:
            try:
                writer.carry_out(change)
            except StatusError as error:
                _log.debug("%s: %s", self._controllers[index].name, error)
                return Failure(change, str(error))
            except Exception as error:
                _log.exception("%s cannot carry out a change", self._controllers[index].name)
                return Failure(change, str(error))
        return None

    def _again(self, item: tuple[int, Key], progress: _Progress, failure: Failure | None) -> None:
        failures = progress.failures + 1
        timer = self._later(item, self._retry.pause_seconds(failures))
        self._progress[item] = _Progress(failures, failure, timer)

    def _later(self, item: tuple[int, Key], seconds: float) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(max(seconds, 0.0), self._enqueue, item)
