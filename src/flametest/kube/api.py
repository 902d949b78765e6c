"""Requests in plain JSON objects to the API server of one named context.

What is hard (credentials, TLS, proxies, pooled connections) is in `connection`. The official package's generated
classes are left aside: they differ between versions, and a watch that stamps on receipt needs the raw stream.
One `Api` serves all threads of a process and lives as long as its owner; `Api.close` ends it. Nothing here waits
without bound: see `timelimits`.
"""

import json
import logging
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

from flametest.kube.connection import Connection
from flametest.kube.errors import ApiRejectedError, ApiUnreachableError, ContextError, rejection
from flametest.kube.explanations import refused, unreachable
from flametest.kube.kubeconfigs import kubeconfig_files, read_context
from flametest.kube.pages import Listing, whole_list
from flametest.kube.resources import Object
from flametest.kube.stamps import stamped
from flametest.kube.timelimits import TimeLimits
from flametest.kube.websockets import official_client, open_websocket

__all__ = ["APPLY", "JSON", "MERGE", "Api", "open_api"]

JSON = "application/json"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"

_LIST_PAGES = 5  # a list may take as long as so many of its pages

logger = logging.getLogger("flametest")
_WARNING = re.compile(r'\d{3} \S+ "((?:[^"\\]|\\.)*)"')


def open_api(kubeconfig: Path | str, context: str) -> "Api":
    """Return the API of ``context`` of ``kubeconfig``; sends nothing yet, and starts no program.

    Args:
        kubeconfig: a file, or several with the system's path separator, as in KUBECONFIG.
        context: the context's name. There is no default: the current context is never used by accident.

    Raises:
        ContextError: no such file, or the context cannot be used.
    """
    if not context:
        raise ContextError("no context is named, so no cluster is chosen", "name the context of the cluster to use")
    entry = read_context(kubeconfig_files(str(kubeconfig)), context)
    connection = Connection(entry, TimeLimits.of(os.environ))
    if not connection.is_verified and connection.server.startswith("https"):
        _tell_unverified(connection)
    return Api(connection)


_told: set[str] = set()


def _tell_unverified(connection: Connection) -> None:
    """Say once in a process that a server may be anybody; the library's own warning comes with each request."""
    if connection.context not in _told:
        _told.add(connection.context)
        logger.warning(
            f"warning: whether {connection.server} is the API server of context {connection.context!r} is not verified "
            "(insecure-skip-tls-verify)"
        )


@dataclass(frozen=True, slots=True)
class _Request:
    """A request as it goes to the API server; ``body`` is JSON, or None, and ``seconds`` what its answer may take."""

    method: str
    path: str
    query: Mapping[str, str] | None = None
    body: Object | list[Any] | None = None
    content_type: str = JSON
    seconds: float | None = None
    warned: Callable[[str], None] | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Api:
    """Requests to one API server. Use `open_api` to make one; safe to share between threads."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def context(self) -> str:
        """Return the context's name."""
        return self._connection.context

    @property
    def limits(self) -> TimeLimits:
        """Return how long is waited for what."""
        return self._connection.limits

    @property
    def server(self) -> str:
        """Return the API server's address, such as ``https://127.0.0.1:6443``."""
        return self._connection.server

    def official_client(self) -> Any:
        """Return a new ApiClient of the official package on the same connection, for what only that package does."""
        return official_client(self._connection)

    def close(self) -> None:
        """Close the idle connections; streams that are open are their readers' to close."""
        self._connection.clear()

    def get(self, path: str, query: Mapping[str, str] | None = None, *, seconds: float | None = None) -> Object:
        """Return the object or list at ``path``, within ``seconds``, or the time limit of all requests.

        Raises:
            KubeError: the API is unreachable or refused; `NotFoundError` for what does not exist.
        """
        return self._object(_Request("GET", path, query, seconds=seconds))

    def listed(self, path: str, query: Mapping[str, str] | None = None, *, seconds: float | None = None) -> Listing:
        """Return the whole list at ``path``, each page within ``seconds``, or the time limit of lists.

        Raises:
            KubeError: the API is unreachable or refused, or the pages together take too long.
        """
        each = self.limits.list if seconds is None else seconds
        deadline = time.monotonic() + _LIST_PAGES * each

        def page(asked: Mapping[str, str]) -> Object:
            left = deadline - time.monotonic()
            if left <= 0:
                raise ApiUnreachableError(
                    f"the list {path} of context {self.context!r} does not end within {_LIST_PAGES * each:g} s",
                    "FLAMETEST_LIST_SECONDS gives each page longer",
                )
            return self.get(path, asked, seconds=min(each, left))

        return whole_list(page, query or {})

    def send(
        self,
        method: str,
        path: str,
        body: Object | list[Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = JSON,
        warned: Callable[[str], None] | None = None,
    ) -> Object:
        """Send a mutating request (POST, PUT, PATCH, DELETE) and return the object that the API answers with.

        ``warned`` is called with each warning that the answer carries.

        Raises:
            KubeError: the API is unreachable or refused.
        """
        return self._object(_Request(method, path, query, body, content_type, warned=warned))

    def text(self, path: str, query: Mapping[str, str] | None = None) -> str:
        """Return what is at ``path`` as text, such as a log.

        Raises:
            KubeError: the API is unreachable or refused.
        """
        return self._read(_Request("GET", path, query)).decode(errors="replace")

    def stream(self, path: str, query: Mapping[str, str], read_seconds: float) -> Any:
        """Open a stream at ``path`` and return the raw ``urllib3`` response, unread; the caller closes it.

        Args:
            path: path of the resource.
            query: parameters of the URL.
            read_seconds: how long a read may wait for the next byte.

        Raises:
            KubeError: the API is unreachable or refused.
        """
        request = _Request("GET", path, query, seconds=read_seconds)
        response = self._open(request)
        if response.status >= 300:
            with response:
                raise self._rejection(response.status, response.read(), str(request))
        return response

    def websocket(self, path: str, query: Mapping[str, str], protocols: str) -> Any:
        """Open a WebSocket at ``path`` and return it, of the library websocket-client; the caller closes it.

        Raises:
            KubeError: the API is unreachable or refused.
        """
        from websocket import WebSocketBadStatusException, WebSocketException  # noqa: PLC0415 (few need it)

        url = f"ws{self.server.removeprefix('http')}{path}?{urlencode(query)}"
        try:
            return open_websocket(self._connection, url, protocols)
        except WebSocketBadStatusException as error:
            raise self._rejection(error.status_code, error.resp_body or b"", f"GET {path}") from error
        except (OSError, WebSocketException) as error:
            raise self._unreachable(error) from error

    def _object(self, request: _Request) -> Object:
        try:
            answer = json.loads(self._read(request))
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ApiUnreachableError(
                f"{request} was answered with no JSON object", f"is there a Kubernetes API at {self.server}?"
            )
        return answer

    def _read(self, request: _Request) -> bytes:
        import urllib3  # noqa: PLC0415 (comes with the official package)

        deadline = time.monotonic() + self._seconds(request)
        with self._open(request) as response:
            try:
                answer = _whole(response, deadline)
            except (urllib3.exceptions.HTTPError, TimeoutError) as error:
                raise self._unreachable(error) from error
            if response.status >= 300:
                raise self._rejection(response.status, answer, str(request))
            if request.warned is not None:
                for text in _warnings(response.headers.getlist("Warning")):
                    request.warned(text)
            return answer

    def _open(self, request: _Request) -> Any:
        import urllib3  # noqa: PLC0415 (comes with the official package)

        url = f"{self.server}{request.path}" + (f"?{urlencode(request.query)}" if request.query else "")
        timeout = urllib3.Timeout(connect=self.limits.connect, read=self._seconds(request))

        def send() -> Any:
            return self._connection.request(
                request.method,
                url,
                body=None if request.body is None else json.dumps(request.body),
                headers={"Accept": JSON, "Content-Type": request.content_type, "User-Agent": "flametest"},
                timeout=timeout,
                retries=_retries(request.method),
                preload_content=False,
            )

        try:
            return stamped(request.method, url, send)
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable(error) from error

    def _seconds(self, request: _Request) -> float:
        return self.limits.api if request.seconds is None else request.seconds

    def _unreachable(self, error: Exception) -> ApiUnreachableError:
        return unreachable(self._connection, error)

    def _rejection(self, status: int, answer: bytes, action: str) -> ApiRejectedError:
        return refused(self._connection, rejection(status, answer, action))


def _warnings(headers: list[str]) -> list[str]:
    """Return the texts of Warning headers: ``299 - "text"`` each. Source: RFC 7234, section 5.5."""
    found = (text for header in headers for text in _WARNING.findall(header))
    return [re.sub(r"\\(.)", r"\1", text) for text in found]


@cache
def _retries(method: str) -> Any:
    """Return how often a request is sent again: a kept connection that the server has just closed is no failure.

    Only for a request that only reads, and never after a time limit, which would double it.
    """
    import urllib3  # noqa: PLC0415 (comes with the official package)

    class OnceUnlessLate(urllib3.Retry):
        def increment(
            self,
            method: str | None = None,
            url: str | None = None,
            response: Any = None,
            error: Exception | None = None,
            _pool: Any = None,
            _stacktrace: TracebackType | None = None,
        ) -> Any:
            if isinstance(error, urllib3.exceptions.TimeoutError):
                raise error
            return super().increment(method, url, response, error, _pool, _stacktrace)

    return OnceUnlessLate(1, redirect=0) if method == "GET" else False


def _whole(response: Any, deadline: float) -> bytes:
    """Return the body of an answer.

    Raises:
        TimeoutError: it is not whole in time, be it that some of it comes now and then.
    """
    answer = bytearray()
    while block := response.read1(65536):
        answer += block
        if time.monotonic() >= deadline:
            raise TimeoutError("its answer does not end")
    return bytes(answer)
