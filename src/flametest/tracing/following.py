"""The logs of all containers of a namespace, followed from now on until their containers end.

A watch tells of pods; each container that runs has a thread that reads its log as it is written, so that what a pod
wrote until it was deleted is read although its log goes with it. A connection that breaks, or says nothing for
`QUIET_SECONDS`, is made again from the last line on. What was written before, and what a node that is lost has not
sent, is not seen. Lives in the follower's process, whose end ends the threads.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

import urllib3

from flametest.kube import KubeClient
from flametest.kube.errors import ApiRejectedError, KubeError
from flametest.kube.resources import PODS, Object
from flametest.kube.watch import Change, Interruption, split_lines
from flametest.model.events import ChangeKind, Stamp
from flametest.tracing.keeper import RawLine

__all__ = ["CONTAINERS_MAX", "Following", "read_stamped"]

CONTAINERS_MAX = 200
QUIET_SECONDS = 60.0
_AGAIN_SECONDS = 0.5
_LOOK_BACK_SECONDS = 2  # before the follower was there, and for clocks that differ
_FORBIDDEN = (401, 403)


@dataclass(frozen=True, slots=True)
class _Container:
    """One container of one pod, through all its restarts."""

    uid: str
    pod: str
    name: str


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
        self._is_running: dict[_Container, bool] = {}
        self._present: set[str] = set()
        self._watch = client.watch(PODS, namespace, self._changed, _ignored)
        self.followed = 0
        self.forbidden = 0
        self.unfollowed = 0

    def start(self) -> None:
        """Begin with all pods that there are.

        Raises:
            KubeError: they cannot be listed.
        """
        self._watch.start()

    def _changed(self, change: Change) -> None:
        uid = str(change.object["metadata"]["uid"])
        if change.kind is ChangeKind.DELETED:
            self._present.discard(uid)
            return
        self._present.add(uid)
        for container, is_running in _begun(change.object):
            is_known = container in self._is_running
            self._is_running[container] = is_running
            if is_known:
                continue
            if self.followed >= CONTAINERS_MAX:
                self.unfollowed += 1
                continue
            self.followed += 1
            name = f"log of {container.pod} {container.name}"
            threading.Thread(target=self._follow, args=(container,), name=name, daemon=True).start()

    def _follow(self, container: _Container) -> None:
        """Read one log until its pod is gone; its end is that of the container, which may be started again."""
        reader = _Reader(container)
        while True:
            try:
                if self._is_running[container] or not reader.has_read:
                    for line in reader.lines(self._client, self._namespace):
                        self._saw(line)
            except ApiRejectedError as error:
                if error.code in _FORBIDDEN:
                    self.forbidden += 1
                    return
            except (KubeError, urllib3.exceptions.HTTPError, OSError):
                pass  # the watch tells when the pod is gone
            if container.uid not in self._present:
                return
            time.sleep(_AGAIN_SECONDS)


class _Reader:
    """Where one log has been read to; ``has_read`` once it was read to an end."""

    def __init__(self, container: _Container) -> None:
        self._container = container
        self._last_ns = 0
        self.has_read = False

    def lines(self, client: KubeClient, namespace: str) -> Iterator[RawLine]:
        """Yield the lines that are new, as they come.

        Raises:
            KubeError: the log cannot be read.
            HTTPError, OSError: the connection broke, or nothing came for `QUIET_SECONDS`.
        """
        pod, name, before_ns = self._container.pod, self._container.name, self._last_ns
        # What came since the connection broke is read again, and left out as far as it was read before.
        seconds = _LOOK_BACK_SECONDS + (int(QUIET_SECONDS) if before_ns else 0)
        query = {"container": name, "follow": "true", "timestamps": "true", "sinceSeconds": str(seconds)}
        with client.api.stream(f"{PODS.path(namespace, pod)}/log", query, QUIET_SECONDS) as response:
            for raw, _ in split_lines(response.stream(amt=None, decode_content=False), _no_stamp):
                found = read_stamped(raw.decode(errors="replace"))
                if found is not None and found[0] > before_ns:
                    self._last_ns = found[0]
                    yield RawLine(pod, name, *found)
        self.has_read = True


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


def _begun(pod: Object) -> Iterator[tuple[_Container, bool]]:
    """Yield the containers of a pod that run or have run, and whether they run."""
    metadata, status = pod["metadata"], pod.get("status", {})
    for one in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        state = one.get("state") or {}
        if "running" in state or "terminated" in state or one.get("restartCount"):
            yield _Container(str(metadata["uid"]), str(metadata["name"]), str(one["name"])), "running" in state


def _ignored(_: Interruption) -> None:
    """Do nothing: the watch goes on by itself, and tells pods again."""


def _no_stamp() -> Stamp:
    return Stamp(0, 0.0)
