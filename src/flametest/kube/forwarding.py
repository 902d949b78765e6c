"""A Service's port as a UNIX socket of this machine, by port forwards of the API: no NodePort, no address of a pod.

It serves whoever speaks a protocol of its own to a part of the system, such as a database's, and lives as long as its
``with`` block. Each connection to the socket is led to one of the pods that are ready behind the Service at that
moment, so that a replacement is found as soon as the cluster's own clients find it. The socket lies in a folder that
only this user may enter: a port of loopback would be open to everybody on this machine.

What comes through is the WebSocket protocol ``v4.channel.k8s.io`` of ``pods/portforward``: the first byte of a message
is its channel, 0 for data and 1 for an error, and the first message of each channel has the port's number.
"""

import itertools
import selectors
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from flametest.kube.api import Api
from flametest.kube.errors import KubeError, NotFoundError, NotReadyError
from flametest.kube.resources import ENDPOINT_SLICES, PODS, SERVICES, Object

__all__ = ["ForwardedService", "ServicePort"]

_PROTOCOL = "v4.channel.k8s.io"
_DATA, _ERROR = 0, 1
_PIECE_BYTES = 32 * 1024
_BACKLOG = 128
_FOLLOWING_SECONDS = 0.5  # a cluster's own clients learn of a new endpoint about as soon
_ENDING_SECONDS = 5.0
_PATH_BYTES_MAX = 100  # of a UNIX socket; the kernel takes 107


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A port of a Service, and its namespace."""

    namespace: str
    service: str
    number: int

    def __str__(self) -> str:
        return f"Service {self.service}, port {self.number}"


class ForwardedService:
    """A listener on the UNIX socket ``name`` in `folder`, each of whose connections leads to a pod of a Service.

    Raises:
        OSError: the socket cannot be made.
    """

    def __init__(self, api: Api, port: ServicePort, name: str) -> None:
        self.port = port
        self.problem = ""
        """Why the last connection could not be led on; empty when it could."""
        self._api = api
        self._name = name
        self._lock = threading.Lock()
        self._turns = itertools.count()
        self._known: Sequence[tuple[str, int]] = ()
        self._known_until = 0.0
        self._open: set[socket.socket] = set()
        self._threads: set[threading.Thread] = set()

    def __enter__(self) -> Self:
        self.folder = Path(tempfile.mkdtemp(prefix="flametest-"))  # 0700
        try:
            path = str(self.folder / self._name)
            if len(path.encode()) > _PATH_BYTES_MAX:
                raise OSError(f"{path} is too long for a UNIX socket: name a shorter folder by TMPDIR")
            self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._listener.bind(path)
            self._listener.listen(_BACKLOG)
        except OSError:
            shutil.rmtree(self.folder)
            raise
        self._begin(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes what accepts; closing alone does not
        self._listener.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        with self._lock:
            threads = list(self._threads)
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + _ENDING_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _begin(self, work: Any, *arguments: Any) -> None:
        def run() -> None:
            try:
                work(*arguments)
            finally:
                with self._lock:
                    self._threads.discard(thread)

        # One that waits for an API server that does not answer must not keep its process from ending.
        thread = threading.Thread(target=run, name=f"forward to {self.port}", daemon=True)
        with self._lock:
            self._threads.add(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:  # it was closed
                return
            with self._lock:
                self._open.add(client)
            self._begin(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        """Lead one connection on until either side ends it."""
        try:
            websocket = self._connect()
            try:
                self.problem = _join(client, websocket) or ""
            finally:
                _end(websocket)
        except KubeError as error:
            self.problem = error.message
        finally:
            with self._lock:
                self._open.discard(client)
            client.close()

    def _connect(self) -> Any:
        """Return a WebSocket to the next ready pod; one that was known before may be gone, so another is asked then."""
        pod, number = self._endpoint()
        try:
            return self._forward(pod, number)
        except KubeError:
            with self._lock:
                self._known_until = 0.0
        return self._forward(*self._endpoint())

    def _forward(self, pod: str, number: int) -> Any:
        path = f"{PODS.path(self.port.namespace, pod)}/portforward"
        return self._api.websocket(path, {"ports": str(number)}, _PROTOCOL)

    def _endpoint(self) -> tuple[str, int]:
        """Return pod and port of the next of the ready endpoints, which are asked for now and then.

        Raises:
            NotReadyError: there is none.
            KubeError: the API is unreachable or refused, or there is no such Service.
        """
        with self._lock:
            if time.monotonic() >= self._known_until:
                self._known = self._ready()
                self._known_until = time.monotonic() + _FOLLOWING_SECONDS
            if not self._known:
                raise NotReadyError(f"no pod is ready behind {self.port}")
            return self._known[next(self._turns) % len(self._known)]

    def _ready(self) -> list[tuple[str, int]]:
        namespace, service = self.port.namespace, self.port.service
        try:
            found = self._api.get(SERVICES.path(namespace, service))
        except NotFoundError as error:
            raise NotFoundError(f"there is no Service {service} in namespace {namespace}", code=error.code) from error
        names = [one.get("name", "") for one in found["spec"].get("ports") or [] if one["port"] == self.port.number]
        if not names:
            raise NotReadyError(f"Service {service} has no port {self.port.number}")
        query = {"labelSelector": f"kubernetes.io/service-name={service}"}
        slices = self._api.listed(ENDPOINT_SLICES.path(namespace), query).items
        return [one for each in slices for one in _endpoints(each, names[0])]


def _endpoints(endpoint_slice: Object, port_name: str) -> list[tuple[str, int]]:
    """Return the ready pods of an EndpointSlice, each with the number of its port of that name."""
    numbers = [one["port"] for one in endpoint_slice.get("ports") or [] if (one.get("name") or "") == port_name]
    return [
        (str(endpoint["targetRef"]["name"]), int(number))
        for number in numbers[:1]
        for endpoint in endpoint_slice.get("endpoints") or []
        if (endpoint.get("conditions") or {}).get("ready") is not False
        and (endpoint.get("targetRef") or {}).get("kind") == "Pod"
    ]


def _join(client: socket.socket, websocket: Any) -> str:
    """Pass on what either side sends until one of them ends; return the error that the pod's side has told, if any."""
    from websocket import WebSocketException  # noqa: PLC0415 (few need it)

    begun = {_DATA: False, _ERROR: False}  # whether the port's number has come, which is the first message of each
    with selectors.DefaultSelector() as ready, suppress(OSError, WebSocketException):
        for one in (client, websocket.sock):
            ready.register(one, selectors.EVENT_READ)
        while True:
            told = [] if _has_more(websocket) else [key.fileobj for key, _ in ready.select()]
            if client in told:
                data = client.recv(_PIECE_BYTES)
                if not data:
                    return ""
                websocket.send_binary(bytes((_DATA,)) + data)
            if told and websocket.sock not in told:
                continue
            message = _received(websocket)
            if message is None:
                continue
            channel, content = message
            if channel not in begun:
                return ""
            if begun[channel] and channel == _ERROR:
                return content.decode(errors="replace")
            if begun[channel]:
                client.sendall(content)
            begun[channel] = True
    return ""


def _received(websocket: Any) -> tuple[int, bytes] | None:
    """Return channel and content of the next message; None for a ping, and a channel that is none for the end."""
    from websocket import ABNF  # noqa: PLC0415 (few need it)

    code, frame = websocket.recv_data_frame(control_frame=True)
    if code in (ABNF.OPCODE_PING, ABNF.OPCODE_PONG):
        return None
    if code != ABNF.OPCODE_BINARY or not frame.data:
        return -1, b""
    return frame.data[0], bytes(frame.data[1:])


def _has_more(websocket: Any) -> bool:
    """Return whether TLS has decrypted more than was read, of which no selector tells."""
    pending = getattr(websocket.sock, "pending", None)
    return bool(pending is not None and pending())


def _end(websocket: Any) -> None:
    """Close a WebSocket without waiting for the other side's farewell."""
    with suppress(Exception):
        websocket.send_close()
    websocket.shutdown()
