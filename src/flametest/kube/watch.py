"""Follow all objects of one kind in a namespace, each change stamped on receipt.

API timestamps have a resolution of one second, so the moment at which a change reached this process is what is
measured: a line is stamped as soon as its last byte was read, before it is parsed. A `Watch` lists first, in
`Watch.start`, then follows in a thread of its own until `Watch.stop`. When its connection breaks it goes on from
the last version that it saw, and when that has become too old it lists again; either is told to its owner, since
what happened in between was stamped late or not seen.

A connection may also stop to deliver without breaking, and a quiet one looks the same. Bookmarks come about once a
minute from a real API server, which is too rarely for a heartbeat, and TCP's own keep-alive is answered by a proxy
whose other side is dead. So a watch asks the server to end it after `WINDOW_SECONDS` and goes on in the next one, which
misses nothing: what has not ended a little later is silent, and is told so. `Watch.compare` finds what ends in good
order and delivers late, or not everything.
"""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from flametest.kube.api import Api
from flametest.kube.errors import ApiRejectedError, GoneError, KubeError
from flametest.kube.resources import Object, Resource
from flametest.kube.shown import Shown
from flametest.model.events import ChangeKind, Stamp

__all__ = ["Change", "Comparison", "Interruption", "Watch", "split_lines"]

WINDOW_SECONDS = 10  # the API server ends the watch then, which is no interruption
LATE_SECONDS_MAX = 5.0  # how much later the end may come; a busy API server takes a second or two
LAG_SECONDS_MAX = 3.0  # how much later than a list a watch may show what the list has shown
RETRY_SECONDS_MIN = 0.1
RETRY_SECONDS_MAX = 2.0
STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one object.

    Attributes:
        at: when the line that told it was received.
        kind: listed, added, modified or deleted.
        object: the object after the change; for a deletion its last known state.
    """

    at: Stamp
    kind: ChangeKind
    object: Object


@dataclass(frozen=True, slots=True)
class Interruption:
    """Why changes may have been missed, or were stamped late.

    Attributes:
        reason: what happened, in words.
        silent_since_ns: when a watch that fell silent was heard last (monotonic); 0 for one that broke.
        objects: how many objects there were when the silence was noticed.
        missed: how many of them the silent watch had not shown as they were then.
    """

    reason: str
    silent_since_ns: int = 0
    objects: int = 0
    missed: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """A list, and what a watch had shown of it within `LAG_SECONDS_MAX`.

    Attributes:
        at: when the list was received.
        objects: how many objects it has.
        unseen: names of those that the watch had not shown as the list has them, or had not shown to be gone.
        heard_ns: when the watch was heard last before the list (monotonic).
    """

    at: Stamp
    objects: int
    unseen: tuple[str, ...]
    heard_ns: int


class _SilentError(Exception):
    """Nothing came for longer than a window of a watch lasts."""


_KINDS = {"ADDED": ChangeKind.ADDED, "MODIFIED": ChangeKind.MODIFIED, "DELETED": ChangeKind.DELETED}


class Watch:
    """Follows one resource of one namespace; both callbacks run in the watch's thread and must not block.

    Args:
        api: the cluster.
        resource: the kind to follow.
        namespace: the namespace.
        on_change: gets every change in the order of the API.
        on_interruption: is told when changes may have been missed or were stamped late.
    """

    def __init__(
        self,
        api: Api,
        resource: Resource,
        namespace: str,
        on_change: Callable[[Change], None],
        on_interruption: Callable[[Interruption], None],
    ) -> None:
        self._api = api
        self._path = resource.path(namespace)
        self._on_change = on_change
        self._on_interruption = on_interruption
        self._version = ""
        self._interruption: Interruption | None = None
        self._shown = Shown()
        self._heard_ns = 0
        self._stopping = threading.Event()
        self._response: Any = None
        self._response_lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=f"watch-{resource.plural}", daemon=True)

    def start(self) -> None:
        """List what exists (each object is told as ``listed`` before this returns), then follow in a thread.

        Raises:
            KubeError: the list was refused or the API is unreachable; nothing runs then.
        """
        self._list()
        self._thread.start()

    def stop(self) -> None:
        """End the watch; returns when its thread has ended and no callback can come any more. May be repeated."""
        self._stopping.set()
        with self._response_lock:
            if self._response is not None:
                _unblock(self._response)
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(STOP_SECONDS)

    def compare(self) -> Comparison:
        """List the objects, and return once the watch has shown each as it is in the list, or after a time limit.

        Raises:
            KubeError: the list was refused or the API is unreachable.
        """
        heard_ns, before = self._heard_ns, self._shown.objects()
        listed = self._api.listed(self._path).items
        at = _now()
        return Comparison(at, len(listed), self._shown.unseen(before, listed, LAG_SECONDS_MAX), heard_ns)

    def _run(self) -> None:
        retry_seconds = RETRY_SECONDS_MIN
        while not self._stopping.is_set():
            begin = time.monotonic()
            try:
                self._follow()
            except GoneError as error:
                self._version = ""
                self._interruption = Interruption(f"listed again, since the last version is too old: {error.message}")
            except _SilentError:
                self._interruption = self._silence()
            except Exception as error:  # of whatever kind: a thread that ended unseen would leave a hole
                self._interruption = self._interruption or Interruption(f"the connection broke: {error}")
            # A watch that lasted goes on without a gap; a server that ends each at once is asked ever more rarely.
            if time.monotonic() - begin > RETRY_SECONDS_MAX:
                retry_seconds = RETRY_SECONDS_MIN
            else:
                self._stopping.wait(retry_seconds)
                retry_seconds = min(retry_seconds * 2, RETRY_SECONDS_MAX)

    def _silence(self) -> Interruption:
        """Return what a watch missed that fell silent; it goes on where it was, so that nothing is left out."""
        since_ns, objects, missed = self._heard_ns, 0, 0
        with suppress(KubeError):  # that the API does not answer at all is told by what comes next
            before, listed = self._shown.objects(), self._api.listed(self._path).items
            objects, missed = len(listed), len(self._shown.unseen(before, listed, 0))
        seconds = (time.monotonic_ns() - since_ns) / 1e9
        return Interruption(f"it fell silent: nothing was heard for {seconds:.1f} s", since_ns, objects, missed)

    def _follow(self) -> None:
        if not self._version:
            self._list()
        for line, at in self._lines():
            self._take(line, at)

    def _list(self) -> None:
        listed = self._api.listed(self._path)
        at = _now()
        self._heard_ns = at.monotonic_ns
        found = {str(item["metadata"]["uid"]): item for item in listed.items}
        for item in self._shown.objects():
            if str(item["metadata"]["uid"]) not in found:
                self._tell(Change(at, ChangeKind.DELETED, item))
        for item in found.values():
            self._tell(Change(at, ChangeKind.LISTED, item))
        self._version = listed.version

    def _lines(self) -> Iterator[tuple[bytes, Stamp]]:
        query = {
            "watch": "true",
            "resourceVersion": self._version,
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WINDOW_SECONDS),
        }
        response = self._api.stream(self._path, query, WINDOW_SECONDS + LATE_SECONDS_MAX)
        self._heard_ns = time.monotonic_ns()
        with self._response_lock:
            self._response = response
        try:
            if self._stopping.is_set():
                return
            if self._interruption is not None:
                self._on_interruption(self._interruption)
                self._interruption = None
            yield from split_lines(_chunks(response), _now)
        finally:
            with self._response_lock:
                self._response = None
            response.close()

    def _take(self, line: bytes, at: Stamp) -> None:
        self._heard_ns = at.monotonic_ns
        event = json.loads(line)
        obj = event["object"]
        if event["type"] == "ERROR":
            raise _status_error(obj)
        self._version = str(obj["metadata"]["resourceVersion"])
        kind = _KINDS.get(event["type"])
        if kind is None:
            return  # a bookmark, which carries a version only
        self._tell(Change(at, kind, obj))

    def _tell(self, change: Change) -> None:
        if self._stopping.is_set():
            return
        self._on_change(change)
        self._shown.take(change.object, deleted=change.kind is ChangeKind.DELETED)


def split_lines(chunks: Iterator[bytes], clock: Callable[[], Stamp]) -> Iterator[tuple[bytes, Stamp]]:
    """Yield each line of a stream, without its end, with the moment at which its last byte was received.

    Lines that came in one chunk have one stamp. A last line without an end was cut off, and is left out.
    """
    pending = b""
    for chunk in chunks:
        at = clock()
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield line, at


def _chunks(response: Any) -> Iterator[bytes]:
    import urllib3  # noqa: PLC0415 (comes with the official package)

    try:
        yield from response.stream(amt=None, decode_content=False)
    except urllib3.exceptions.ReadTimeoutError as error:
        raise _SilentError from error
    except urllib3.exceptions.HTTPError as error:
        raise ConnectionError(str(error)) from error


def _unblock(response: Any) -> None:
    """End a read that another thread is blocked in, by shutting the socket down; closing alone would wait for it."""
    connection = getattr(response, "connection", None)
    sock = getattr(connection, "sock", None)
    if sock is not None:
        with suppress(OSError):  # the other side may have closed it at this very moment
            sock.shutdown(socket.SHUT_RDWR)


def _status_error(status: Object) -> ApiRejectedError:
    code = int(status.get("code", 0))
    kind = GoneError if code == 410 else ApiRejectedError
    return kind(str(status.get("message", "")), code=code, reason=str(status.get("reason", "")))


def _now() -> Stamp:
    return Stamp(time.monotonic_ns(), time.time())
