"""When exactly a mutating request was sent and answered: t0 to the millisecond, not to the length of an activity.

Chaos Toolkit's own activities and those of its extensions say only when they began and ended. While
`stamp_mutations` is in force, every POST, PUT, PATCH and DELETE that goes through the official client, or through
`flametest.kube`, is stamped on the monotonic clock before it is sent and after its answer's status has arrived.
Requests of all threads are stamped, since an activity may use threads of its own.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

__all__ = ["Mutation", "stamp_mutations", "stamped"]

_MUTATING = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True, slots=True)
class Mutation:
    """A mutating request.

    Attributes:
        method: POST, PUT, PATCH or DELETE.
        path: path of the URL, without host and query.
        status: HTTP status of the answer; 0 when none came.
        sent_ns: `time.monotonic_ns` before it was sent.
        acknowledged_ns: the same after the answer's status arrived, or after the request failed.
    """

    method: str
    path: str
    status: int
    sent_ns: int
    acknowledged_ns: int

    @property
    def accepted(self) -> bool:
        """Return whether the API server did what was asked."""
        return 200 <= self.status < 300


_lock = threading.Lock()
_collectors: list[list[Mutation]] = []
_original_request: Callable[..., Any] | None = None


@contextmanager
def stamp_mutations() -> Iterator[list[Mutation]]:
    """Collect the stamped mutating requests of this process while the block runs; yields the growing list.

    May be nested and used from several threads: each block gets every request that ends while it runs.
    """
    collected: list[Mutation] = []
    _enter(collected)
    try:
        yield collected
    finally:
        _leave(collected)


def stamped(method: str, url: str, send: Callable[[], Any]) -> Any:
    """Return what ``send`` returns, after stamping it for whoever collects; its ``status`` is noted.

    An exception passes through; its ``status`` attribute, if any, is noted.
    """
    if method.upper() not in _MUTATING:
        return send()
    status = 0
    sent_ns = time.monotonic_ns()
    try:
        answer = send()
        status = int(answer.status)
        return answer
    except Exception as error:
        status = int(getattr(error, "status", 0) or 0)
        raise
    finally:
        mutation = Mutation(method.upper(), urlsplit(url).path, status, sent_ns, time.monotonic_ns())
        with _lock:
            for collected in _collectors:
                collected.append(mutation)


def _enter(collected: list[Mutation]) -> None:
    global _original_request  # noqa: PLW0603 (the wrapped method is one for the whole process)
    from kubernetes.client.rest import RESTClientObject  # noqa: PLC0415 (takes more than a second)

    with _lock:
        if not _collectors:
            original = _original_request = RESTClientObject.request

            def request(client: Any, method: str, url: str, *args: Any, **options: Any) -> Any:
                return stamped(method, url, lambda: original(client, method, url, *args, **options))

            RESTClientObject.request = request
        _collectors.append(collected)


def _leave(collected: list[Mutation]) -> None:
    from kubernetes.client.rest import RESTClientObject  # noqa: PLC0415 (takes more than a second)

    with _lock:
        # By identity: two empty lists are equal.
        _collectors[:] = [one for one in _collectors if one is not collected]
        if not _collectors:
            RESTClientObject.request = _original_request
