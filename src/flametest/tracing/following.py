"""The logs of all containers of a namespace, read from now on until their pods are gone.

A watch tells of pods; each container that runs has a thread. It asks for the new lines of its log once a second, or
more rarely where there are many, since a log that is followed costs the node a question to the container runtime for
each line that is written. Only the log of a pod that is being deleted is followed, because it goes with the pod. After
a restart, the end of the container's former log is read as well. What was written before, and what a node that is lost
or a pod that was deleted without a grace period wrote since it was read last, is not seen. Lives in the follower's
process, whose end ends the threads.
"""

import contextlib
import math
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import urllib3

from flametest.kube import KubeClient
from flametest.kube.errors import ApiRejectedError, KubeError
from flametest.kube.resources import PODS, Object
from flametest.kube.watch import Change, Interruption, split_lines
from flametest.model.events import ChangeKind, Stamp
from flametest.tracing.keeper import RawLine

__all__ = ["CONTAINERS_MAX", "PAUSE_SECONDS_MAX", "Following", "read_stamped"]

CONTAINERS_MAX = 200
PAUSE_SECONDS_MIN = 1.0
READS_PER_SECOND_MAX = 40  # of all logs together, however many there are: each burdens an API server and a kubelet
PAUSE_SECONDS_MAX = CONTAINERS_MAX / READS_PER_SECOND_MAX
QUIET_SECONDS = 60.0  # a connection of a followed log that says nothing for so long is opened again
_TAIL_LINES_MIN = 200  # a kubelet finds a log's last lines from its end, and those of a time only from its beginning
_TAIL_LINES_MAX = 5000
_LOOK_BACK_SECONDS = 2  # before the follower was there, and for clocks that differ
_FORBIDDEN = (401, 403)


@dataclass(frozen=True, slots=True)
class _Container:
    """One container of one pod, through all its restarts."""

    uid: str
    pod: str
    name: str


@dataclass(frozen=True, slots=True)
class _State:
    """What the watch said of a container last."""

    is_running: bool
    restarts: int
    is_leaving: bool


class _Life:
    """A container's state, as the watch changes it, and the wish to hear of a change."""

    def __init__(self, state: _State) -> None:
        self.state = state
        self.is_present = True
        self._news = threading.Event()

    def tell(self, state: _State) -> None:
        if state != self.state:
            self.state = state
            self._news.set()

    def end(self) -> None:
        self.is_present = False
        self._news.set()

    def wait(self, seconds: float) -> None:
        """Wait for news, so long at most."""
        self._news.wait(seconds)
        self._news.clear()


class Following:
    """Follows a namespace; ``saw`` takes each line in threads of this object, and must not raise.

    Attributes:
        followed: how many logs were followed.
        forbidden: how many logs may not be read.
        unfollowed: how many were not followed, since there were too many.
    """

    def __init__(self, client: KubeClient, namespace: str, saw: Callable[[RawLine], None]) -> None:
        self._client = client
        self._namespace = namespace
        self._saw = saw
        self._lives: dict[_Container, _Life] = {}
        self._watch = client.watch(PODS, namespace, self._changed, _ignored)
        self.followed = 0
        self.forbidden = 0
        self.unfollowed = 0

    @property
    def pause_seconds(self) -> float:
        """Return how long after one reading of a log the next one comes."""
        return max(PAUSE_SECONDS_MIN, self.followed / READS_PER_SECOND_MAX)

    def start(self) -> None:
        """Begin with all pods that there are.

        Raises:
            KubeError: they cannot be listed.
        """
        self._watch.start()

    def _changed(self, change: Change) -> None:
        if change.kind is ChangeKind.DELETED:
            uid = str(change.object["metadata"]["uid"])
            for life in [life for container, life in self._lives.items() if container.uid == uid]:
                life.end()
            return
        for container, state in _begun(change.object):
            if container in self._lives:
                self._lives[container].tell(state)
                continue
            self._lives[container] = life = _Life(state)
            if self.followed >= CONTAINERS_MAX:
                self.unfollowed += 1
                continue
            self.followed += 1
            name = f"log of {container.pod} {container.name}"
            threading.Thread(target=self._follow, args=(container, life), name=name, daemon=True).start()

    def _follow(self, container: _Container, life: _Life) -> None:
        """Read one log until its pod is gone; its end is that of the container, which may be started again."""
        reader = _Reader(self._client, PODS.path(self._namespace, container.pod), container, life.state.restarts)
        life.wait(random.uniform(0, self.pause_seconds))  # noqa: S311 (so that not all logs are asked for at once)
        while life.is_present:
            try:
                for line in reader.new_lines(life.state):
                    self._saw(line)
            except ApiRejectedError as error:
                if error.code in _FORBIDDEN:
                    self.forbidden += 1
                    return
            except (KubeError, urllib3.exceptions.HTTPError, OSError):
                pass  # the watch tells when the pod is gone
            life.wait(self.pause_seconds)


class _Reader:
    """Where one log has been read to."""

    def __init__(self, client: KubeClient, pod: str, container: _Container, restarts: int) -> None:
        """Begin with the instance of the container after so many ``restarts``; ``pod`` is the path of its pod."""
        self._api = client.api
        self._path = f"{pod}/log"
        self._container = container
        self._restarts = restarts
        self._began = time.monotonic()
        self._last_ns = 0
        self._at_last = 0  # so many lines of that moment have been read
        self._tail_lines = _TAIL_LINES_MAX
        self._has_ended = False

    def new_lines(self, state: _State) -> Iterator[RawLine]:
        """Yield the lines that have come since the last call; those of a pod that is leaving until its container ends.

        Raises:
            KubeError: the log cannot be read.
            HTTPError, OSError: the connection broke, or nothing came for `QUIET_SECONDS`.
        """
        if state.restarts > self._restarts:
            with contextlib.suppress(ApiRejectedError):  # it may be gone, and comes no more
                yield from self._polled({"previous": "true"})
            self._restarts, self._has_ended = state.restarts, False
        if state.is_running:
            self._has_ended = False
        elif self._has_ended:
            return
        yield from self._streamed({"follow": "true"}) if state.is_leaving else self._polled({})
        self._has_ended = not state.is_running

    def _polled(self, which: dict[str, str]) -> Iterator[RawLine]:
        """Yield the new lines of those that there are; about as many are asked for as came the last time."""
        asked = self._tail_lines
        text = self._api.text(self._path, self._query(which | {"tailLines": str(asked)}))
        lines = text.split("\n")[:-1]  # what is after the last newline is not yet whole
        self._tail_lines = min(max(2 * len(lines), _TAIL_LINES_MIN), _TAIL_LINES_MAX)
        if len(lines) < asked:
            yield from self._new(lines)
        else:
            yield from self._streamed(which)

    def _streamed(self, which: dict[str, str]) -> Iterator[RawLine]:
        """Yield the new lines as they come."""
        with self._api.stream(self._path, self._query(which), QUIET_SECONDS) as response:
            pieces = split_lines(response.stream(amt=None, decode_content=False), _no_stamp)
            yield from self._new(raw.decode(errors="replace") for raw, _ in pieces)

    def _query(self, which: dict[str, str]) -> dict[str, str]:
        query = {"container": self._container.name, "timestamps": "true", **which}
        if self._last_ns:
            since = datetime.fromtimestamp(self._last_ns // 1_000_000_000, UTC)
            return query | {"sinceTime": since.strftime("%Y-%m-%dT%H:%M:%SZ")}
        return query | {"sinceSeconds": str(math.ceil(time.monotonic() - self._began) + _LOOK_BACK_SECONDS)}

    def _new(self, lines: Iterable[str]) -> Iterator[RawLine]:
        """Yield the lines that have not been read; those of one moment come in the same order each time."""
        before_ns, read = self._last_ns, self._at_last
        for line in lines:
            found = read_stamped(line)
            if found is None or found[0] < before_ns:
                continue
            if found[0] == before_ns and read > 0:
                read -= 1
                continue
            self._at_last = self._at_last + 1 if found[0] == self._last_ns else 1
            self._last_ns = found[0]
            yield RawLine(self._container.pod, self._container.name, *found)


def read_stamped(line: str) -> tuple[int, str] | None:
    """Return the moment before a line of a log, in nanoseconds of the wall clock, and its text; None without one."""
    stamp, _, text = line.partition(" ")
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    digits = fraction[: next((at for at, one in enumerate(fraction) if not one.isdigit()), len(fraction))]
    zone = fraction[len(digits) :] or "+00:00"
    try:
        seconds = datetime.fromisoformat(f"{whole}{zone}").timestamp()
    except ValueError:
        return None
    return round(seconds) * 1_000_000_000 + int(digits.ljust(9, "0")[:9] or 0), text


def _begun(pod: Object) -> Iterator[tuple[_Container, _State]]:
    """Yield the containers of a pod that run or have run, with their states."""
    metadata, status = pod["metadata"], pod.get("status", {})
    is_leaving = "deletionTimestamp" in metadata
    for one in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        state, restarts = one.get("state") or {}, int(one.get("restartCount") or 0)
        if "running" in state or "terminated" in state or restarts:
            container = _Container(str(metadata["uid"]), str(metadata["name"]), str(one["name"]))
            yield container, _State("running" in state, restarts, is_leaving)


def _ignored(_: Interruption) -> None:
    """Do nothing: the watch goes on by itself, and tells pods again."""


def _no_stamp() -> Stamp:
    return Stamp(0, 0.0)
