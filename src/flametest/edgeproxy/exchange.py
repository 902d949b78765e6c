"""A connection that is passed on request by request, each judged by its content; what is no HTTP goes on as TCP."""

import asyncio

from .bodies import body_of, copy_body, read_head
from .edge import Edge, sounding_of
from .messages import Head, NotHttpError, answer, answer_of, harmless, request_of
from .passing import Connection, Streams
from .rules import Effect
from .shaping import PIECE_BYTES, Lane

__all__ = ["HttpConnection"]


class HttpConnection(Connection):
    """Passed on request by request, since each of them is judged; what is no HTTP/1.x is passed on as TCP."""

    protocol = "http"

    async def run(self) -> None:
        """Pass requests on until its end."""
        while (read := await self.reader.read(1)) and not self.over:
            try:
                # A request begins with a letter; TLS does not, and has no end of a head to wait for.
                if not read.isalpha():
                    raise NotHttpError("expected a request")
                read += await read_head(self.reader)
                request = request_of(read)
            except asyncio.IncompleteReadError:
                break
            except (NotHttpError, asyncio.LimitOverrunError):
                await self._tunnel(read)
                return
            if not await self._exchange(request):
                break
        self.close()

    async def _exchange(self, request: Head) -> bool:
        """Serve one request, and return whether another one may follow."""
        self._applied = applied = self.switch.decide(request.unit(self.address), self.route.port, self.protocol)
        if sounding_of(self.address) is not None:
            request = harmless(request)
        if delay := sum(one.edge.delay_seconds(one.effect) for one in applied):
            await asyncio.sleep(delay)
        for edge, effect in ((one.edge, one.effect) for one in applied if one.effect.ends_at_once):
            if effect.status:
                return await self._answer(request, edge.status(effect))
            if effect.silence:
                await self._hold(effect)
            else:
                self.abort()
            return False
        if resets := [one.effect.reset_after_ms for one in applied if one.effect.reset_after_ms]:
            self.later(min(resets), self.abort)
        goes_on = await self._pass_on(request)
        self.stop_timer()
        return goes_on

    async def _pass_on(self, request: Head) -> bool:
        upstream = self.upstream
        if upstream is None or upstream[0].at_eof():
            if upstream is not None:
                upstream[1].close()
            upstream = await self.open()
        if upstream is None:
            self.abort()
            return False
        lane = Lane(upstream[1], "request", self.applied)
        await lane.send(request.raw)
        sending = None
        if request.body_bytes:
            sending = asyncio.create_task(copy_body(self.reader, request.body_bytes, lane), name="request body")
            sending.add_done_callback(self._sent)
        try:
            goes_on = await self._answer_of(request, upstream)
            return goes_on and (sending is None or sending.done()) and not request.closes
        finally:
            if sending is not None:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)

    def _sent(self, sending: "asyncio.Task[None]") -> None:
        """End it when a request's body broke off: the service would wait for the rest of it."""
        if not sending.cancelled() and sending.exception() is not None:
            self.abort()

    async def _answer_of(self, request: Head, upstream: Streams) -> bool:
        reader = upstream[0]
        lane = Lane(self.writer, "response", self.applied)
        while True:
            try:
                head = answer_of(await read_head(reader), request.first[0])
            except asyncio.IncompleteReadError as error:
                if error.partial:
                    await lane.send(error.partial)
                return False
            await lane.send(head.raw)
            if head.status == 101:
                await self.relay(upstream)
                return False
            if head.status >= 200:
                break
        await copy_body(reader, head.body_bytes, lane)
        return not head.closes

    async def _answer(self, request: Head, status: int) -> bool:
        waits = "expect" in request.headers
        if not waits:
            async for _ in body_of(self.reader, request.body_bytes):
                pass
        whole = answer(status)
        self.writer.write(whole.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if request.first[0] == "HEAD" else whole)
        await self.writer.drain()
        return not (waits or request.closes)

    async def _hold(self, effect: Effect) -> None:
        """Say nothing until the client goes, or the time is over."""
        if effect.silence_ms:
            self.later(effect.silence_ms, self.close)
        while await self.reader.read(PIECE_BYTES):
            pass

    async def _tunnel(self, first: bytes) -> None:
        self.switch.count("not_http", self.route.port)
        self._applied = ()
        if (upstream := await self.open()) is None:
            self.abort()
            return
        await self.relay(upstream, first)
        self.close()

    def rejudge(self, edge: Edge) -> None:
        """Let go of what an edge holds that does so no more."""
        if not edge.active and any(one.edge is edge and one.effect.silence for one in self._applied):
            self.abort()
