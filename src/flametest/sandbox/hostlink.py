"""The cluster process' line to its supervisor, which stayed in the host's network: `HostLink`.

It lives as long as the cluster process. Over it come listeners of the host, for NodePorts, images from
registries, and the word to stop; the supervisor's end counts as that word too.
"""

import asyncio
import errno
import itertools
import os
import socket
from collections.abc import Mapping
from typing import Any

from flametest.sandbox import control
from flametest.sandbox.images import Packages, PullError

__all__ = ["HostLink"]

_LISTEN_SECONDS_MAX = 5.0


class HostLink:
    """Messages to and from the supervisor, on the running event loop."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._loop = asyncio.get_running_loop()
        self._awaited: dict[int, asyncio.Future[int]] = {}
        self._fetches: dict[int, asyncio.Future[str]] = {}
        self._numbers = itertools.count(1)
        self.stop: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(end, self._read)

    def announce_ready(self) -> None:
        """Tell the supervisor, and through it whoever started the sandbox, that it is ready."""
        control.send(self._end, {"type": "ready"})

    async def listen(self, port: int) -> int:
        """Return a descriptor, the caller's own, of a socket that is bound to a port of the host's NodePort address.

        It refuses connections until it is told to listen.

        Raises:
            OSError: the port cannot be bound; EADDRINUSE when another program has it.
        """
        if port in self._awaited:
            raise OSError(errno.EALREADY, f"a listener for port {port} is being made")
        answer = self._awaited[port] = self._loop.create_future()
        try:
            control.send(self._end, {"type": "listen", "port": port})
            return await asyncio.wait_for(answer, _LISTEN_SECONDS_MAX)
        finally:
            del self._awaited[port]

    async def fetch(self, reference: str, credentials: Mapping[str, Any]) -> None:
        """Have the supervisor, which is in the host's network, copy an image from its registry into the store.

        Raises:
            PullError: it could not be copied.
        """
        await self._have_fetched({"reference": reference, "credentials": dict(credentials)}, f'image "{reference}"')

    async def install(self, packages: Packages) -> None:
        """Have the supervisor make the environment of packages in the store.

        Raises:
            PullError: it could not be made.
        """
        asked = {"wanted": packages.wanted, "constraints": packages.constraints}
        await self._have_fetched(asked, "Python packages")

    async def _have_fetched(self, asked: Mapping[str, Any], what: str) -> None:
        number = next(self._numbers)
        answer = self._fetches[number] = self._loop.create_future()
        try:
            control.send(self._end, {"type": "fetch", "number": number, "asked": dict(asked)})
            error = await answer
        except OSError as failure:
            raise PullError(f"failed to pull {what}: {failure}") from failure
        finally:
            del self._fetches[number]
        if error:
            raise PullError(error)

    def _read(self) -> None:
        try:
            message = control.receive(self._end)
        except BlockingIOError:
            return
        if message is None or message.content["type"] == "stop":
            self._loop.remove_reader(self._end)
            if not self.stop.done():
                self.stop.set_result(None)
            return
        if message.content["type"] == "fetched":
            fetched = self._fetches.get(message.content["number"])
            if fetched is not None and not fetched.done():
                fetched.set_result(message.content["error"])
            return
        self._take_listener(message)

    def _take_listener(self, message: control.Message) -> None:
        answer = self._awaited.get(message.content["port"])
        if answer is None or answer.done():
            if message.descriptor is not None:
                os.close(message.descriptor)
        elif message.descriptor is None:
            code = message.content["error"]
            answer.set_exception(OSError(code, os.strerror(code)))
        else:
            answer.set_result(message.descriptor)
