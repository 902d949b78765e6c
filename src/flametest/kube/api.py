"""Requests in plain JSON objects to the API server of one named context.

It uses the official package for what is hard (kubeconfig files, credentials, TLS, pooled connections) and leaves
its generated classes aside: they differ between versions, and a watch that stamps on receipt needs the raw stream.
One `Api` serves all threads of a process and lives as long as its owner; `Api.close` ends it.
"""

import ipaddress
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

from flametest.kube.errors import ApiUnreachableError, ContextError, rejection
from flametest.kube.resources import Object
from flametest.kube.stamps import stamped

__all__ = ["APPLY", "JSON", "MERGE", "Api", "open_api"]

JSON = "application/json"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0  # a busy API server may take long, but no ordinary request takes this long
_WARNING = re.compile(r'\d{3} \S+ "((?:[^"\\]|\\.)*)"')


def open_api(kubeconfig: Path | str, context: str) -> "Api":
    """Return the API of ``context`` of ``kubeconfig``; sends nothing yet.

    Args:
        kubeconfig: a file, or several with the system's path separator, as in KUBECONFIG.
        context: the context's name. There is no default: the current context is never used by accident.

    Raises:
        ContextError: no such file, or the context cannot be used.
    """
    if not context:
        raise ContextError("no context is named, so no cluster is chosen", "name the context of the cluster to use")
    files = [Path(part).expanduser() for part in str(kubeconfig).split(os.pathsep) if part]
    if not any(file.is_file() for file in files):
        raise ContextError(f"kubeconfig {kubeconfig} does not exist", "start the cluster, or set KUBECONFIG")
    from kubernetes import client, config  # noqa: PLC0415 (takes more than a second)

    configuration = client.Configuration()
    try:
        config.load_kube_config(
            config_file=os.pathsep.join(map(str, files)),
            context=context,
            client_configuration=configuration,
            persist_config=False,
        )
    except Exception as error:  # the package raises its own, yaml's, OSError and KeyError for broken files
        raise ContextError(
            f"context {context!r} of kubeconfig {kubeconfig} cannot be used: {error}",
            "list the contexts with `kubectl config get-contexts`",
        ) from error
    if _is_loopback(configuration.host):
        configuration.proxy = None  # as kubectl does: a proxy of the environment cannot reach this machine's loopback
    return Api(client.ApiClient(configuration), context)


@dataclass(frozen=True, slots=True)
class _Request:
    """A request as it goes to the API server; ``body`` is JSON, or None."""

    method: str
    path: str
    query: Mapping[str, str] | None = None
    body: Object | list[Any] | None = None
    content_type: str = JSON
    read_seconds: float = READ_SECONDS
    warned: Callable[[str], None] | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Api:
    """Requests to one API server. Use `open_api` to make one; safe to share between threads."""

    def __init__(self, api_client: Any, context: str) -> None:
        self._api_client = api_client
        self.context = context

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def server(self) -> str:
        """Return the API server's address, such as ``https://127.0.0.1:6443``."""
        return str(self._api_client.configuration.host)

    @property
    def official(self) -> Any:
        """Return the official package's own ApiClient, for what only that package does, such as WebSockets."""
        return self._api_client

    def close(self) -> None:
        """Close the idle connections; streams that are open are their readers' to close."""
        self._api_client.close()

    def get(self, path: str, query: Mapping[str, str] | None = None) -> Object:
        """Return the object or list at ``path``.

        Raises:
            KubeError: the API is unreachable or refused; `NotFoundError` for what does not exist.
        """
        return self._object(_Request("GET", path, query))

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
        request = _Request("GET", path, query, read_seconds=read_seconds)
        response = self._open(request)
        if response.status >= 300:
            with response:
                raise rejection(response.status, response.read(), str(request))
        return response

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

        with self._open(request) as response:
            try:
                answer: bytes = response.read()
            except urllib3.exceptions.HTTPError as error:
                raise self._unreachable(error) from error
            if response.status >= 300:
                raise rejection(response.status, answer, str(request))
            if request.warned is not None:
                for text in _warnings(response.headers.getlist("Warning")):
                    request.warned(text)
            return answer

    def _open(self, request: _Request) -> Any:
        import urllib3  # noqa: PLC0415 (comes with the official package)

        url = f"{self.server}{request.path}" + (f"?{urlencode(request.query)}" if request.query else "")
        configuration = self._api_client.configuration
        headers = {auth["key"]: auth["value"] for auth in configuration.auth_settings().values()}
        headers |= {"Accept": JSON, "Content-Type": request.content_type, "User-Agent": "flametest"}

        def send() -> Any:
            return self._api_client.rest_client.pool_manager.request(
                request.method,
                url,
                body=None if request.body is None else json.dumps(request.body),
                headers=headers,
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=request.read_seconds),
                # A kept connection that the server has just closed is no failure for a request that only reads.
                retries=urllib3.Retry(1, redirect=0) if request.method == "GET" else False,
                preload_content=False,
            )

        try:
            return stamped(request.method, url, send)
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> ApiUnreachableError:
        reason = getattr(error, "reason", None) or error
        return ApiUnreachableError(
            f"the API of context {self.context!r} at {self.server} does not answer: {reason}",
            "is the cluster running? `flametest status` tells",
        )


def _warnings(headers: list[str]) -> list[str]:
    """Return the texts of Warning headers: ``299 - "text"`` each. Source: RFC 7234, section 5.5."""
    found = (text for header in headers for text in _WARNING.findall(header))
    return [re.sub(r"\\(.)", r"\1", text) for text in found]


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
