"""HTTP through the API server to a pod or to an endpoint of a Service: the subresource ``proxy``.

A name is ``NAME``, ``NAME:PORT`` or ``https:NAME:PORT``. What the pod answers is passed on as it is, whatever its
status; a failure to get an answer is a Status 503. Differences from a real server: bodies of requests are bounded,
links in pages are not rewritten, and connections are not upgraded.

One `PodProxy` belongs to one `Handlers` and is closed with its server.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from flametest.sandbox.apiserver.failures import bad_request
from flametest.sandbox.apiserver.registry import Registry
from flametest.sandbox.apiserver.resources import BY_NAME
from flametest.sandbox.errors import StatusError
from flametest.sandbox.objects import Object

__all__ = ["Place", "PodProxy", "pod_place", "service_place", "split_name"]

CONNECT_SECONDS_MAX = 10.0
PIECE_BYTES = 64 * 1024

# Headers that are about one connection only (RFC 9110, section 7.6.1), and those that are not the pod's business.
_OWN_HEADERS = frozenset(
    (
        "authorization",
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
_PATH_PARTS = 8


@dataclass(frozen=True, slots=True)
class Place:
    """Where to send a request: scheme, address and port."""

    scheme: str
    address: str
    port: int


def split_name(name: str) -> tuple[str, str, str]:
    """Return scheme, name and port (empty for none) of ``NAME``, ``NAME:PORT`` or ``SCHEME:NAME:PORT``.

    Raises:
        StatusError: 400, it is neither.
    """
    parts = name.split(":")
    scheme = parts.pop(0) if len(parts) == 3 else "http"
    if len(parts) > 2 or scheme not in ("", "http", "https") or not parts[0]:
        raise bad_request(f'invalid request "{name}": expected NAME, NAME:PORT or https:NAME:PORT')
    return scheme or "http", parts[0], parts[1] if len(parts) == 2 else ""


def pod_place(registry: Registry, namespace: str, name: str) -> Place:
    """Return where a pod is reached; without a port in the name, at the first port that a container declares, or 80.

    Raises:
        StatusError: 400, it has no address yet; 404.
    """
    scheme, own_name, port = split_name(name)
    pod = registry.record(BY_NAME["pods"], namespace, own_name).load()
    address = pod.get("status", {}).get("podIP")
    if not address:
        raise bad_request("address not allowed")
    declared = (each["containerPort"] for container in pod["spec"]["containers"] for each in container.get("ports", ()))
    return Place(scheme, address, _number(port) if port else next(declared, 80))


def service_place(registry: Registry, namespace: str, name: str, rng: random.Random) -> Place:
    """Return one ready endpoint of a Service, by the name or number of its port; without one, of the port without name.

    Raises:
        StatusError: 404; 503, there is no such port or no endpoint.
    """
    scheme, own_name, port = split_name(name)
    service = registry.record(BY_NAME["services"], namespace, own_name).load()
    if port.isdecimal():
        ports = service["spec"].get("ports", ())
        names = [each.get("name", "") for each in ports if each["port"] == int(port)]
        if not names:
            raise _unavailable(f'no service port {port} found for service "{own_name}"')
        port = names[0]
    places = list(_endpoints(registry.get("endpoints", namespace, own_name), port))
    if not places:
        raise _unavailable(f'no endpoints available for service "{own_name}"')
    address, number = rng.choice(places)
    return Place(scheme, address, number)


def _endpoints(endpoints: Object | None, port_name: str) -> Iterable[tuple[str, int]]:
    for subset in (endpoints or {}).get("subsets", ()):
        for port in subset.get("ports", ()):
            if port.get("name", "") == port_name:
                yield from ((each["ip"], port["port"]) for each in subset.get("addresses", ()))


def _number(port: str) -> int:
    if not port.isdecimal() or not 1 <= int(port) <= 65_535:
        raise bad_request(f'invalid port "{port}": expected a number from 1 to 65535')
    return int(port)


def _unavailable(message: str) -> StatusError:
    return StatusError(503, "ServiceUnavailable", message)


class PodProxy:
    """Forwards requests; its connections are created again each time, since pods come and go."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """End the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def forward(self, request: web.BaseRequest, place: Place) -> web.StreamResponse:
        """Pass a request on and answer with what comes back.

        Raises:
            StatusError: 503, there is no answer.
        """
        prefix, rest = _split_path(request.rel_url.raw_path)
        if rest is None and request.method in ("GET", "HEAD"):
            query = f"?{request.rel_url.raw_query_string}" if request.rel_url.raw_query_string else ""
            return web.Response(status=301, headers={"Location": f"{request.rel_url.raw_path}/{query}"})
        url = f"{place.scheme}://{place.address}:{place.port}/{rest or ''}"
        if request.rel_url.raw_query_string:
            url += f"?{request.rel_url.raw_query_string}"
        try:
            async with self._open().request(
                request.method,
                URL(url, encoded=True),
                headers=_request_headers(request),
                data=await request.read() or None,
                allow_redirects=False,
            ) as answer:
                return await _pass_on(request, answer, prefix)
        except (aiohttp.ClientConnectorError, TimeoutError) as error:
            raise _unavailable(f"error trying to reach service: {_reason(error, place)}") from error
        except aiohttp.ClientError as error:
            raise _unavailable(f"error trying to reach service: {error}") from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Whatever certificate a pod has is good: nobody could have signed one for its address.
            connector = aiohttp.TCPConnector(ssl=False, force_close=True, limit=0)
            self._session = aiohttp.ClientSession(
                connector=connector,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None, connect=CONNECT_SECONDS_MAX),
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
                middlewares=(_only_once,),
            )
        return self._session


async def _only_once(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Send a request once, as a real server does; aiohttp would send it again when a connection broke."""
    try:
        return await send(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise aiohttp.ClientConnectionError(str(error)) from error


def _split_path(raw_path: str) -> tuple[str, str | None]:
    """Return what stands before the proxied path, and that path without its slash; None where even that is missing."""
    parts = raw_path.split("/", _PATH_PARTS)
    return "/".join(parts[:_PATH_PARTS]), parts[_PATH_PARTS] if len(parts) > _PATH_PARTS else None


def _reason(error: Exception, place: Place) -> str:
    where = f"dial tcp {place.address}:{place.port}: "
    if isinstance(error, TimeoutError):
        return f"{where}i/o timeout"
    refused = isinstance(getattr(error, "os_error", None), ConnectionRefusedError)
    return f"{where}connect: connection refused" if refused else f"{where}{error}"


def _request_headers(request: web.BaseRequest) -> CIMultiDict[str]:
    headers = _passed(request.headers.items())
    headers["X-Forwarded-Host"] = request.headers.get("Host", "")
    headers["X-Forwarded-Proto"] = request.scheme
    headers["X-Forwarded-Uri"] = request.rel_url.raw_path
    return headers


def _passed(headers: Iterable[tuple[str, str]]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers if name.lower() not in _OWN_HEADERS)


async def _pass_on(request: web.BaseRequest, answer: aiohttp.ClientResponse, prefix: str) -> web.StreamResponse:
    headers = _passed(answer.headers.items())
    if (location := headers.get("Location", "")).startswith("/"):
        headers["Location"] = prefix + location
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
    if "Content-Length" in answer.headers:
        response.content_length = int(answer.headers["Content-Length"])
    await response.prepare(request)
    if request.method != "HEAD":
        async for piece in answer.content.iter_chunked(PIECE_BYTES):
            await response.write(piece)
    await response.write_eof()
    return response
