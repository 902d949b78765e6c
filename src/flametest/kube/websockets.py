"""WebSockets on a `Connection`: exec of the official package, and port forwards, as the context says, in bounded time.

By itself the package lets nothing but Authorization through, waits for ever for an answer, knows no SOCKS proxy, and
follows a redirect with the token. So its function that opens a WebSocket is replaced, for clients that are made by
`official_client`; those of others are opened as before.
"""

import socket
from typing import Any
from urllib.parse import unquote, urlsplit

from flametest.kube.connection import Connection
from flametest.kube.credentials import Proof
from flametest.kube.errors import ContextError
from flametest.model.proxies import without_secret

__all__ = ["official_client", "open_websocket"]

_PROTOCOLS = "v5.channel.k8s.io,v4.channel.k8s.io"
_UNAUTHORIZED = 401
_PORTS = {"http": 80, "https": 443}


def official_client(connection: Connection) -> Any:
    """Return an ApiClient of the official package that sends everything on ``connection``."""
    from kubernetes import client  # noqa: PLC0415 (takes more than a second)

    class ContextConfiguration(client.Configuration):  # type: ignore[misc]  # the package has no types
        """A configuration that knows its connection."""

        def __deepcopy__(self, memo: dict[int, Any]) -> "ContextConfiguration":
            return self  # a connection is one for all

    _replace()
    configuration = ContextConfiguration(host=connection.server)
    configuration.connection = connection
    made = client.ApiClient(configuration)
    made.rest_client.pool_manager = connection
    return made


def _replace() -> None:
    from kubernetes.stream import ws_client  # noqa: PLC0415 (takes more than a second)

    original = ws_client.create_websocket
    if getattr(original, "of_flametest", False):
        return

    def create_websocket(configuration: Any, url: str, headers: Any = None) -> Any:
        connection = getattr(configuration, "connection", None)
        if not isinstance(connection, Connection):
            return original(configuration, url, headers)
        return open_websocket(connection, url, (headers or {}).get("sec-websocket-protocol") or _PROTOCOLS)

    create_websocket.of_flametest = True  # type: ignore[attr-defined]
    ws_client.create_websocket = create_websocket


def open_websocket(connection: Connection, url: str, protocols: str) -> Any:
    """Open the WebSocket at a URL and return it, of the library websocket-client; the caller closes it.

    Raises:
        OSError: nobody answers.
        websocket.WebSocketException: what answers opens none; `WebSocketBadStatusException` has its status.
    """
    from websocket import WebSocketBadStatusException  # noqa: PLC0415 (comes with the official package)

    proof = connection.credentials.now()
    try:
        return _handshake(connection, url, protocols, proof)
    except WebSocketBadStatusException as error:
        newer = connection.credentials.renew(proof) if error.status_code == _UNAUTHORIZED else None
        if newer is None:
            raise
    return _handshake(connection, url, protocols, newer)


def _handshake(connection: Connection, url: str, protocols: str, proof: Proof) -> Any:
    from websocket import WebSocket  # noqa: PLC0415 (comes with the official package)

    headers = [f"sec-websocket-protocol: {protocols}"]
    # The library writes UTF-8; what `identity` returns has a character for each byte.
    identity = connection.identity(proof)
    headers += [f"{name}: {value.encode('latin-1').decode()}" for name, value in identity]
    opened = _socket(connection, proof)
    try:
        websocket: Any = WebSocket(skip_utf8_validation=False)
        websocket.connect(url, header=headers, socket=opened, redirect_limit=0, timeout=connection.limits.api)
    except BaseException:
        opened.close()
        raise
    return websocket


def _socket(connection: Connection, proof: Proof) -> socket.socket:
    """Return a socket to the API server on which HTTP can be spoken."""
    parts = urlsplit(connection.server)
    host, seconds = parts.hostname or "", connection.limits.connect
    where = host, parts.port or _PORTS[parts.scheme]
    raw = _through_proxy(connection, where) if connection.proxy else socket.create_connection(where, seconds)
    try:
        if parts.scheme != "https":
            return raw
        return connection.tls_context(proof).wrap_socket(raw, server_hostname=connection.server_name or host)
    except BaseException:
        raw.close()
        raise


def _through_proxy(connection: Connection, where: tuple[str, int]) -> socket.socket:
    parts = urlsplit(connection.proxy)
    if parts.scheme == "https":
        raise ContextError(
            f"no command can be run in a pod through the proxy {without_secret(connection.proxy)}, to which TLS is "
            "spoken",
            "name a proxy by http:// or socks5://",
        )
    try:
        import socks  # noqa: PLC0415 (few need it)
    except ImportError as error:
        raise ContextError("PySocks is not installed", "install it with: pip install pysocks") from error
    kinds = {"http": socks.HTTP, "socks4": socks.SOCKS4, "socks4a": socks.SOCKS4, "socks5h": socks.SOCKS5}
    opened: socket.socket = socks.create_connection(
        where,
        timeout=connection.limits.connect,
        proxy_type=kinds[parts.scheme],
        proxy_addr=parts.hostname,
        proxy_port=parts.port or (80 if parts.scheme == "http" else 1080),
        proxy_rdns=parts.scheme != "socks4",
        proxy_username=unquote(parts.username) if parts.username else None,
        proxy_password=unquote(parts.password) if parts.password else None,
    )
    return opened
