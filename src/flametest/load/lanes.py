"""How a lane of the prober sends: on a fresh connection each time, or on one that is kept.

Neither lane queues. The keep-alive lane does what a browser or a client's pool does: it uses the kept connection when
that is idle, opens another when it is busy, and keeps one of them. A kept connection that hangs therefore costs the
request that was on it, and the requests behind it are sent at their time, each judged by itself.
"""

import asyncio
import contextlib
import select
import ssl
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, SupportsIndex

from flametest.load.exchange import Answer, Entry, MalformedAnswerError, read_answer, read_head
from flametest.load.exhaustion import exhaustion
from flametest.model.requestids import RequestIds
from flametest.model.samples import Lane, Outcome, Sample

__all__ = ["FreshLane", "KeepAliveLane", "Progress", "Sender", "ask", "probe", "send_freshly"]


WITH_IDS = RequestIds()


class _HearingReader(asyncio.StreamReader):
    """A reader that knows whether anything came since it was last told to listen."""

    heard = False

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        self.heard = True
        super().feed_data(data)


@dataclass(slots=True)
class _Connection:
    reader: _HearingReader
    writer: asyncio.StreamWriter

    @property
    def usable(self) -> bool:
        """Return whether the other side has, as far as is known here, not ended it."""
        return not (self.reader.at_eof() or self.writer.is_closing() or self.reader.exception())

    @property
    def has_heard(self) -> bool:
        """Return whether anything came back, be it that nobody has read it yet.

        A prober that was stopped finds the time limit over and the answer waiting in the kernel: its task is cancelled
        before it can read that.
        """
        descriptor = self.writer.get_extra_info("socket").fileno()
        if self.reader.heard or descriptor < 0:  # ended from the other side, which is an answer too
            return True
        waiting = select.poll()
        waiting.register(descriptor, select.POLLIN)
        return bool(waiting.poll(0))

    def close(self) -> None:
        if self.writer.get_extra_info("ssl_object") is not None:
            self.writer.transport.abort()  # without waiting until the other side, which may be dead, says goodbye
        else:
            self.writer.close()


@dataclass(slots=True)
class Progress:
    """How far a request got: once any of it was sent, it may have taken effect."""

    request_sent: bool = False
    is_unanswered: bool = False
    """Whether it was given up with nothing at all come back, not even to the kernel."""


class Sender(Protocol):
    """A lane: `send` sends one request now. Several may be under way at once."""

    lane: Lane

    async def send(self, progress: Progress, headers: Mapping[str, str]) -> Answer:
        """Return the answer to one request with these headers; note in ``progress`` when the request goes out.

        Raises:
            OSError, asyncio.IncompleteReadError, MalformedAnswerError: there is no whole answer.
        """

    def close(self) -> None:
        """Close what is kept."""


class FreshLane:
    """A connection of its own for each request."""

    lane = Lane.FRESH

    def __init__(self, entry: Entry) -> None:
        self._entry = entry

    async def send(self, progress: Progress, headers: Mapping[str, str]) -> Answer:
        """Connect, send, read the answer, close."""
        return await send_freshly(self._entry, self._entry.request("close", headers), progress)

    def close(self) -> None:
        """Do nothing: nothing is kept."""


class KeepAliveLane:
    """One connection that is kept, and others for as long as that one is busy."""

    lane = Lane.KEEPALIVE

    def __init__(self, entry: Entry) -> None:
        self._entry = entry
        self._idle: _Connection | None = None

    async def send(self, progress: Progress, headers: Mapping[str, str]) -> Answer:
        """Send on the kept connection, or on a new one when it is busy or gone; keep one afterwards."""
        connection = self._take() or await _connect(self._entry)
        kept = False
        try:
            answer = await _exchange(connection, self._entry.request("keep-alive", headers), progress)
            kept = answer.keeps and self._idle is None
        finally:
            if kept:
                self._idle = connection
            else:
                connection.close()
        return answer

    def close(self) -> None:
        """Close the kept connection."""
        if self._idle is not None:
            self._idle.close()
            self._idle = None

    def _take(self) -> _Connection | None:
        connection, self._idle = self._idle, None
        if connection is not None and not connection.usable:
            connection.close()
            return None
        return connection


async def probe(
    sender: Sender,
    name: str,
    intended_ns: int,
    timeout_seconds: float,
    *,
    clock_ns: Callable[[], int] = time.monotonic_ns,
    progress: Progress | None = None,
    ids: RequestIds = WITH_IDS,
) -> Sample:
    """Send one request and return it as a sample, whatever became of it, after ``timeout_seconds`` at the latest.

    How far it got is noted in ``progress``, when that is given. ``ids`` draws the id that it carries.
    """
    progress = Progress() if progress is None else progress
    trace_id = ids.draw()
    headers = ids.headers(trace_id)
    sent_ns = clock_ns()
    answer, error = await ask(sender.send(progress, headers), timeout_seconds)
    done_ns = clock_ns()
    if answer is not None and answer.status >= 300:  # nobody has been served by a redirect
        error = "status"
    status, served_by = (answer.status, answer.served_by) if answer is not None else (0, "")
    outcome = _outcome(error, progress)
    stamps = (intended_ns, sent_ns, done_ns)
    return Sample(sender.lane, name, *stamps, outcome, status, served_by, error, trace_id)


async def ask(sending: Coroutine[Any, Any, Answer], timeout_seconds: float) -> tuple[Answer | None, str]:
    """Return the answer that ``sending`` brings, or None after ``timeout_seconds`` at the latest, and why."""
    try:
        async with asyncio.timeout(timeout_seconds):
            return await sending, ""
    except TimeoutError:
        return None, "timeout"
    except ConnectionRefusedError:
        return None, "refused"
    except (ConnectionError, asyncio.IncompleteReadError):
        return None, "reset"
    except (OSError, MalformedAnswerError) as error:
        return None, exhaustion([error]) or "other"


async def send_freshly(entry: Entry, request: bytes, progress: Progress) -> Answer:
    """Send a request on a connection of its own and return the answer; raises as `Sender.send` does."""
    connection = await _connect(entry)
    try:
        return await _exchange(connection, request, progress)
    finally:
        connection.close()


def _outcome(error: str, progress: Progress) -> Outcome:
    if not error:
        return Outcome.OK
    return Outcome.UNKNOWN if error in {"timeout", "reset"} and progress.request_sent else Outcome.FAILED


async def _connect(entry: Entry) -> _Connection:
    loop = asyncio.get_running_loop()
    reader = _HearingReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    if entry.tls is not None and entry.proxy is None:
        # The handshake is a part of what a user waits for. It has no time limit of its own but the request's.
        transport, _ = await loop.create_connection(
            lambda: protocol,
            entry.host,
            entry.port,
            ssl=entry.tls,
            server_hostname=entry.host,
        )
    else:
        transport, _ = await loop.create_connection(lambda: protocol, *(entry.proxy or (entry.host, entry.port)))
    connection = _Connection(reader, asyncio.StreamWriter(transport, protocol, reader, loop))
    if entry.tls is not None and entry.proxy is not None:
        await _tunnel(connection, entry, entry.tls)
    return connection


async def _tunnel(connection: _Connection, entry: Entry, tls: ssl.SSLContext) -> None:
    """Have the proxy connect this side with the entry, and speak TLS to that."""
    try:
        connection.writer.write(entry.tunnel())
        status, _, _ = await read_head(connection.reader)
        if not 200 <= status < 300:
            raise MalformedAnswerError(f"the proxy answered CONNECT with status {status}")
        await connection.writer.start_tls(tls, server_hostname=entry.host)
    except BaseException:
        connection.close()
        raise


async def _exchange(connection: _Connection, request: bytes, progress: Progress) -> Answer:
    connection.reader.heard = False
    progress.request_sent = True
    connection.writer.write(request)
    with contextlib.suppress(ConnectionError):
        # A server may answer and close before it has read everything: the answer tells more than the broken write.
        await connection.writer.drain()
    try:
        return await read_answer(connection.reader)
    except asyncio.CancelledError:
        progress.is_unanswered = not connection.has_heard
        raise
