"""NodePorts on the host: for each, a listener on the host's loopback that leads to the Service.

`NodePorts` is a listener of the directory. It asks the supervisor for sockets in the host's network, hands them to the
forwarder (a process of its own, `flametest.sandbox.network.forwarder`), and says for which there are endpoints: the
others refuse. A port that another program has becomes a Warning event ``NodePortUnavailable`` about the Service and
is tried again every `RETRY_SECONDS`. NodePorts for UDP are reachable inside the cluster only, of which an event tells.
"""

import asyncio
import contextlib
import errno
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from flametest.sandbox import control
from flametest.sandbox.errors import SandboxError
from flametest.sandbox.eventrecorder import EventRecorder
from flametest.sandbox.network.directory import Snapshot
from flametest.sandbox.network.rules import endpoints_of, slices_by_service
from flametest.sandbox.objects import Object

__all__ = ["RETRY_SECONDS", "NodePort", "NodePorts", "plan_node_ports"]

RETRY_SECONDS = 1.0

_FORWARDER_END_SECONDS_MAX = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class NodePort:
    """A port that the host should reach: its Service, its protocol, and whether there is an endpoint for it."""

    service: Object
    protocol: str
    served: bool


def plan_node_ports(services: Iterable[Object], slices: Iterable[Object]) -> dict[int, NodePort]:
    """Return the NodePorts of these Services by number; TCP where a number is used for both protocols."""
    owned = slices_by_service(slices)
    found: dict[int, NodePort] = {}
    for service in services:
        metadata, spec = service["metadata"], service["spec"]
        if spec.get("type") not in ("NodePort", "LoadBalancer"):
            continue
        for port in spec.get("ports") or []:
            number, protocol = port.get("nodePort"), port.get("protocol") or "TCP"
            if not number or (number in found and protocol != "TCP"):
                continue
            backends = endpoints_of(port, owned.get((metadata["namespace"], metadata["name"]), []))
            found[number] = NodePort(service, protocol, bool(backends))
    return found


class NodePorts:
    """The NodePorts of one cluster, and the process that forwards them."""

    def __init__(
        self,
        listen: Callable[[int], Awaitable[int]],
        recorder: EventRecorder,
        host_address: str,
        node_address: str,
    ) -> None:
        """Take how to get a listener of the host, and the addresses on which NodePorts are, outside and inside."""
        self._listen = listen
        self._recorder = recorder
        self._host_address = host_address
        self._node_address = node_address
        self._wanted: dict[int, NodePort] = {}
        self._open: dict[int, bool] = {}
        self._told: set[tuple[str, int]] = set()
        self._changed = asyncio.Event()
        self.forwarder_pid = 0

    def update(self, snapshot: Snapshot) -> None:
        """Take in what there is now; `run` follows."""
        self._wanted = plan_node_ports(snapshot.services, snapshot.slices)
        self._changed.set()

    async def run(self) -> None:
        """Keep the host's listeners at what is wanted, until cancelled; raises SandboxError if the forwarder ends."""
        here, there = control.pair()
        with here, there:
            here.setblocking(False)
            process = _start_forwarder(there.fileno())
            self.forwarder_pid = process.pid
            there.close()
            loop = asyncio.get_running_loop()
            ended: asyncio.Future[None] = loop.create_future()
            loop.add_reader(here, self._read_forwarder, here, ended)
            follow = asyncio.create_task(self._follow(here), name="node port changes")
            try:
                await asyncio.wait([follow, ended], return_when=asyncio.FIRST_COMPLETED)
                if follow.done():
                    follow.result()
                raise SandboxError("the NodePort forwarder ended", "read the log above")
            finally:
                loop.remove_reader(here)
                follow.cancel()
                with contextlib.suppress(asyncio.CancelledError, OSError):
                    await follow
                process.kill()
                process.wait(_FORWARDER_END_SECONDS_MAX)

    def _read_forwarder(self, here: socket.socket, ended: "asyncio.Future[None]") -> None:
        try:
            message = control.receive(here)
        except BlockingIOError:
            return
        if message is None:
            asyncio.get_running_loop().remove_reader(here)
            ended.set_result(None)
        elif message.content["type"] == "taken":
            self._fail(message.content["port"], OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE)))

    async def _follow(self, forwarder: socket.socket) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            wanted = self._wanted
            for port in [port for port in self._open if port not in wanted]:
                del self._open[port]
                control.send(forwarder, {"type": "close", "port": port})
            for port, node_port in wanted.items():
                await self._bring(forwarder, port, node_port)

    async def _bring(self, forwarder: socket.socket, port: int, node_port: NodePort) -> None:
        """Open a port that is not open, and have it served or refused."""
        if node_port.protocol != "TCP":
            message = f"port {port} ({node_port.protocol}) is reachable inside the cluster only, not on the host"
            self._tell(node_port, port, "NodePortNotForwarded", message)
            return
        if port not in self._open:
            try:
                descriptor = await self._listen(port)
            except OSError as error:
                self._fail(port, error)
                return
            target = [self._node_address, port]
            control.send(forwarder, {"type": "open", "port": port, "target": target}, descriptor)
            os.close(descriptor)
            self._open[port] = False
        if self._open[port] != node_port.served:
            self._open[port] = node_port.served
            control.send(forwarder, {"type": "serve" if node_port.served else "refuse", "port": port})

    def _fail(self, port: int, error: OSError) -> None:
        """Tell what is wrong with a port, and try it again after a while."""
        asyncio.get_running_loop().call_later(RETRY_SECONDS, self._changed.set)
        if port in self._open:
            self._open[port] = False
        node_port = self._wanted.get(port)
        if node_port is None:
            return
        address = f"{self._host_address}:{port}"
        if error.errno == errno.EADDRINUSE:
            message = (
                f"{address} is taken by another program on this machine; end that program "
                f"(`ss -ltnp 'sport = :{port}'` names it), or start the sandbox with another node port address"
            )
        else:
            message = f"{address} cannot be listened on: {error.strerror}"
        self._tell(node_port, port, "NodePortUnavailable", message)

    def _tell(self, node_port: NodePort, port: int, reason: str, message: str) -> None:
        """Record a warning once for each Service and port."""
        same = (node_port.service["metadata"].get("uid", ""), port)
        if same not in self._told:
            self._told.add(same)
            _log.warning("%s", message)
            self._recorder.warning(node_port.service, reason, message)


def _start_forwarder(descriptor: int) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "flametest.sandbox.network.forwarder", str(descriptor)],
        stdin=subprocess.DEVNULL,
        pass_fds=(descriptor,),
    )
