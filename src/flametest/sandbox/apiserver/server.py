"""The HTTP server: who may ask, which part answers, and that every failure is a Status.

One `ApiServer` lives as long as the cluster process. It serves an already listening socket, because the socket is made
outside of the cluster's own network namespace.
"""

import asyncio
import logging
import socket
import ssl
from typing import TYPE_CHECKING

from aiohttp import web

from flametest.sandbox.apiserver import answers, discovery, openapi
from flametest.sandbox.apiserver.access import Access
from flametest.sandbox.apiserver.authorization import User
from flametest.sandbox.apiserver.failures import bad_request, method_not_allowed, too_large
from flametest.sandbox.apiserver.handlers import Call, Handlers
from flametest.sandbox.apiserver.metrics import CONTENT_TYPE as METRICS_TYPE
from flametest.sandbox.apiserver.metrics import metrics_text
from flametest.sandbox.apiserver.registry import Registry
from flametest.sandbox.apiserver.requests import Target, parse_object, parse_target
from flametest.sandbox.apiserver.reviews import REVIEW_PATHS, review
from flametest.sandbox.apiserver.served import Served
from flametest.sandbox.errors import SandboxError, StatusError
from flametest.sandbox.podaccess import PodAccess

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter
    from aiohttp.http_parser import RawRequestMessage
    from aiohttp.streams import StreamReader
    from aiohttp.web_protocol import RequestHandler

__all__ = ["BODY_BYTES_MAX", "ApiServer"]

BODY_BYTES_MAX = 3 * 1024 * 1024
"""The largest body that is read, as with a real API server."""

CLOSE_SECONDS = 1.0
"""How long connections may take to end; what streams is ended before."""

HEALTH_PATHS = frozenset(("/healthz", "/livez", "/readyz"))
METRICS_PATH = "/metrics"
_log = logging.getLogger(__name__)


class ApiServer:
    """Serves a registry over HTTP.

    Args:
        registry: the state.
        token: the administrator's bearer token; service accounts have tokens that are made of it.
        pod_access: how to reach into pods; None where no agent runs.
        ssl_context: for TLS; None for plain HTTP.
        limits_enforced: whether containers are held to their limits; if not, whoever writes some is warned.
    """

    def __init__(
        self,
        registry: Registry,
        token: str,
        pod_access: PodAccess | None = None,
        ssl_context: ssl.SSLContext | None = None,
        *,
        limits_enforced: bool = False,
    ) -> None:
        self._access = Access(registry, token)
        self._store = registry.store
        self._served = registry.served
        self._handlers = Handlers(registry, pod_access, self._access.tokens, limits_enforced=limits_enforced)
        self._ssl_context = ssl_context
        self._runner: web.ServerRunner | None = None
        self._running: set[asyncio.Task[object]] = set()
        self._address = ""

    async def serve(self, sock: socket.socket) -> None:
        """Begin to serve a listening socket; returns when requests are taken.

        Raises:
            SandboxError: it serves already.
        """
        if self._runner is not None:
            raise SandboxError("the API server serves already: make another one")
        self._address = "{}:{}".format(*sock.getsockname()[:2])
        # A client that goes away cancels its handler, so that a quiet watch of a dead client does not stay.
        server = web.Server(
            self._answer, request_factory=_request, handler_cancellation=True, access_log=None, keepalive_timeout=300.0
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=CLOSE_SECONDS)
        await self._runner.setup()
        await web.SockSite(self._runner, sock, ssl_context=self._ssl_context).start()

    async def close(self) -> None:
        """End every open request, watches and logs included, then the listener; closing twice is no error."""
        if self._runner is None:
            return
        for task in list(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(self._running, timeout=CLOSE_SECONDS)
        await self._runner.cleanup()
        await self._handlers.close()
        self._runner = None

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        task = asyncio.current_task()
        if task is not None:
            self._running.add(task)
        try:
            return await self._route(request)
        except StatusError as error:
            return answers.failure(error)
        except web.HTTPRequestEntityTooLarge:
            return answers.failure(too_large(BODY_BYTES_MAX))
        except (ConnectionError, web.HTTPException):
            raise
        except UnicodeError:
            return answers.failure(bad_request("the request is not valid UTF-8"))
        except Exception:
            _log.exception("answering %s %s failed", request.method, request.path)
            return answers.failure(StatusError(500, "InternalError", "an internal error occurred; the log has it"))
        finally:
            if task is not None:
                self._running.discard(task)

    async def _route(self, request: web.BaseRequest) -> web.StreamResponse:
        path = request.path
        if path in HEALTH_PATHS:
            return answers.text("ok")
        target, missing = None, None
        try:
            target = parse_target(path, self._served)
        except StatusError as error:
            missing = error
        user = self._admit(request, target)
        if missing is not None:
            raise missing
        if target is not None:
            return await self._handlers.handle(Call(request, target))
        if path in REVIEW_PATHS:
            if request.method != "POST":
                raise method_not_allowed()
            body = parse_object(await request.read(), request.headers.get("Content-Type", ""))
            return answers.answer(review(body, user, self._access.policies), 201)
        if path == METRICS_PATH:
            return web.Response(text=metrics_text(self._store), headers={"Content-Type": METRICS_TYPE})
        return self._document(path)

    def _admit(self, request: web.BaseRequest, target: Target | None) -> User:
        """Return who asks, if they may; see `Access.admit`. Sending a review is an action of its own."""
        return self._access.admit(request, target, REVIEW_PATHS.get(request.path))

    def _document(self, path: str) -> web.Response:
        """Answer with a discovery document."""
        parts = path.strip("/").split("/")
        document = None
        match parts:
            case ["version"]:
                document = discovery.version_info()
            case ["api"]:
                document = discovery.api_versions(self._address)
            case ["apis"]:
                document = discovery.groups(self._served)
            case ["api", version]:
                document = discovery.resource_list(self._served, "", version)
            case ["apis", group]:
                document = discovery.group(self._served, group)
            case ["apis", group, version]:
                document = discovery.resource_list(self._served, group, version)
            case ["openapi", "v2"]:
                return web.Response(body=openapi.version_2(), content_type=openapi.VERSION_2_TYPE)
            case ["openapi", "v3"]:
                document = openapi.index(self._served)
            case ["openapi", "v3", "api", version]:
                return _openapi(self._served, "", version)
            case ["openapi", "v3", "apis", group, version]:
                return _openapi(self._served, group, version)
            case _:
                pass
        return answers.text("404 page not found\n", 404) if document is None else answers.answer(document)


def _request(
    message: "RawRequestMessage",
    payload: "StreamReader",
    protocol: "RequestHandler",
    writer: "AbstractStreamWriter",
    task: "asyncio.Task[None]",
) -> web.BaseRequest:
    loop = asyncio.get_running_loop()
    return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=BODY_BYTES_MAX)


def _openapi(served: Served, group: str, version: str) -> web.Response:
    content = openapi.document(served, group, version)
    return answers.text("404 page not found\n", 404) if content is None else answers.answer_bytes(content)
