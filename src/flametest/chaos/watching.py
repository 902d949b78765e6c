"""The watches of a recorder, and whether they have shown what is there, at the moments on which a judgement rests.

A watch that delivers nothing, late, or not everything, without an error, would have an outage pass as "no pod was
lost". So `Watching` lists what the watches follow, in a thread of its own, when a fault was taken back and when pods
are back, and once more at the end. It does not list when a fault is injected: reading a long list would delay the very
stamps that are in question.
"""

import threading
import time
from collections.abc import Callable

from flametest.chaos.observations import WATCHED, observe
from flametest.kube import KubeClient
from flametest.kube.errors import KubeError
from flametest.kube.resources import Resource
from flametest.kube.watch import Change, Interruption, Watch
from flametest.model.events import Event, FaultHealed, Phase, PhaseStarted, Stamp, WatchCompared, WatchInterrupted

__all__ = ["Watching", "is_turning_point"]

_NAMED_MAX = 5
_STOP_SECONDS_MAX = 60.0  # a comparison under way may have to wait for an API server that does not answer


def is_turning_point(event: Event) -> bool:
    """Return whether what follows rests on what the watches have shown by then: a fault is gone, or pods are back."""
    return isinstance(event, FaultHealed) or (isinstance(event, PhaseStarted) and event.phase is Phase.RECOVERY)


class Watching:
    """Follows all that is `WATCHED` in a namespace, and compares it with lists whenever `compare_soon` says so.

    Args:
        client: the cluster; has to outlive it.
        namespace: where the objects are.
        scenario: the scenario that the events belong to.
        saw: takes each event, in threads of this object; must not raise.
    """

    def __init__(self, client: KubeClient, namespace: str, scenario: str, saw: Callable[[Event], None]) -> None:
        self._scenario = scenario
        self._saw = saw
        self._watches = {one.plural: self._watch(client, one, namespace) for one in WATCHED}
        self._asked = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch comparisons", daemon=True)

    def start(self) -> None:
        """Start all watches; what exists is told before this returns. `stop` has to be called also when it fails.

        Raises:
            KubeError: a list was refused or the API is unreachable.
        """
        for watch in self._watches.values():
            watch.start()
        self._thread.start()

    def compare_soon(self) -> None:
        """Have the watches compared with lists; returns at once."""
        self._asked.set()

    def stop(self, *, comparing: bool) -> None:
        """End all watches, after a last comparison if it is wanted; waits for what is under way, within bounds."""
        self._stopping.set()
        self._asked.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_SECONDS_MAX)
            if comparing:
                self._compare()
        for watch in self._watches.values():
            watch.stop()

    def _watch(self, client: KubeClient, resource: Resource, namespace: str) -> Watch:
        def changed(change: Change) -> None:
            self._saw(observe(resource, change, self._scenario))

        def interrupted(told: Interruption) -> None:
            figures = (told.silent_since_ns, told.objects, told.missed)
            self._saw(WatchInterrupted(_now(), self._scenario, resource.plural, told.reason, *figures))

        return client.watch(resource, namespace, changed, interrupted)

    def _run(self) -> None:
        while self._asked.wait() and not self._stopping.is_set():
            self._asked.clear()
            self._compare()

    def _compare(self) -> None:
        problem = ""
        for plural, watch in self._watches.items():
            try:
                if not problem:  # an API server that does not answer is waited for once
                    self._saw(self._compared(plural, watch))
            except KubeError as error:
                problem = error.message
            if problem:
                self._saw(WatchCompared(_now(), self._scenario, plural, 0, 0, (), 0, problem))

    def _compared(self, plural: str, watch: Watch) -> WatchCompared:
        found = watch.compare()
        names = found.unseen[:_NAMED_MAX]
        return WatchCompared(found.at, self._scenario, plural, found.objects, len(found.unseen), names, found.heard_ns)


def _now() -> Stamp:
    return Stamp(time.monotonic_ns(), time.time())
