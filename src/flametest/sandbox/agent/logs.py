"""The log of one container instance: written by a pod runtime, read by the API's ``log`` subresource.

The format is that of the container runtime interface: a line ``<RFC 3339 time> <stdout|stderr> <F|P> <text>`` for
each line of output, P for a piece of a line that is longer than 16 KiB. A log is bounded: when the file is full it is
renamed and a new one begins, and only one renamed file is kept. A `LogFile` lives as long as the pod's object in the
API, also after the container has ended.
"""

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from flametest.sandbox.podaccess import LogOptions

__all__ = ["LINE_BYTES_MAX", "LogFile", "LogLine", "parse_line"]

LINE_BYTES_MAX = 16 * 1024
_CHUNK_BYTES = 256 * 1024
_STREAMS = {1: b"stdout", 2: b"stderr"}


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of a log file; ``text`` ends with a newline unless the line goes on in the next one."""

    stamp: bytes
    text: bytes


def parse_line(line: bytes) -> LogLine | None:
    """Return a line of the file (without its newline) in parts, or None for one that is not whole."""
    parts = line.split(b" ", 3)
    if len(parts) < 4:
        return None
    return LogLine(parts[0], parts[3] + (b"\n" if parts[2] == b"F" else b""))


def _stamp(now: float) -> bytes:
    moment = datetime.fromtimestamp(now, UTC)
    # Nanoseconds with trailing zeros, as wide as the kubelet's, so that lines sort by their text.
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%f000Z").encode()


class LogFile:
    """A bounded log on disk that can be followed while it is written."""

    def __init__(self, path: str, clock: Callable[[], float], bytes_max: int = 10 * 1024 * 1024) -> None:
        """Create the file. ``bytes_max`` bounds it; at most twice that is on disk."""
        self.path = path
        self._clock = clock
        self._bytes_max = bytes_max
        self._pending: dict[int, bytearray] = {1: bytearray(), 2: bytearray()}
        self._generation = 0
        self._followers: set[asyncio.Event] = set()
        self._file: int | None = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self._size_bytes = os.fstat(self._file).st_size

    def write(self, stream: int, data: bytes) -> None:
        """Append output of stream 1 or 2; what is not yet a whole line waits for its end."""
        if self._file is None:
            return
        pending = self._pending[stream]
        pending += data
        *lines, rest = bytes(pending).split(b"\n")
        out = bytearray()
        head = _stamp(self._clock()) + b" " + _STREAMS[stream]
        for line in lines:
            self._format(out, head, line)
        while len(rest) >= LINE_BYTES_MAX:
            out += head + b" P " + rest[:LINE_BYTES_MAX] + b"\n"
            rest = rest[LINE_BYTES_MAX:]
        pending[:] = rest
        self._append(bytes(out))

    def close(self) -> None:
        """Write what waits for the end of its line, and let followers finish. Closing twice is no error."""
        if self._file is None:
            return
        for stream, pending in self._pending.items():
            if pending:
                self.write(stream, b"\n")
        os.close(self._file)
        self._file = None
        self._wake()

    async def read(self, options: LogOptions) -> AsyncIterator[bytes]:
        """Yield the wanted part of the log, in pieces of whole lines; goes on while ``options.follow`` and open."""
        budget = _Budget(options)
        wake = asyncio.Event()
        self._followers.add(wake)
        try:
            cursor = _Cursor(self.path, self._generation, budget.since)
            kept: deque[bytes] | None = None if options.tail_lines is None else deque(maxlen=options.tail_lines)
            async for piece in self._drain(cursor, budget, kept):
                yield piece
            if kept:
                yield budget.cut(b"".join(kept))
            while options.follow and not budget.spent:
                # Asked before the file is read once more, so that what was written just before the end is not lost.
                closed = self._file is None
                wake.clear()
                async for piece in self._drain(cursor, budget, None):
                    yield piece
                if closed:
                    return
                await wake.wait()
        finally:
            self._followers.discard(wake)

    async def _drain(self, cursor: "_Cursor", budget: "_Budget", kept: deque[bytes] | None) -> AsyncIterator[bytes]:
        """Yield all that is on disk beyond the cursor, or gather its last lines into ``kept``."""
        while not budget.spent and (chunk := cursor.read(self._generation)):
            texts = budget.texts(chunk)
            if kept is not None:
                kept.extend(texts)
            elif piece := budget.cut(b"".join(texts)):
                yield piece
            # A long log must not hold the event loop up.
            await asyncio.sleep(0)

    @staticmethod
    def _format(out: bytearray, head: bytes, line: bytes) -> None:
        while len(line) > LINE_BYTES_MAX:
            out += head + b" P " + line[:LINE_BYTES_MAX] + b"\n"
            line = line[LINE_BYTES_MAX:]
        out += head + b" F " + line + b"\n"

    def _append(self, data: bytes) -> None:
        if not data or self._file is None:
            return
        if self._size_bytes and self._size_bytes + len(data) > self._bytes_max:
            self._rotate()
        # A full disk costs lines of the log, not the container.
        with contextlib.suppress(OSError):
            self._size_bytes += os.write(self._file, data)
        self._wake()

    def _rotate(self) -> None:
        if self._file is not None:
            os.close(self._file)
        os.replace(self.path, self.path + ".1")
        self._file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
        self._size_bytes = 0
        self._generation += 1

    def _wake(self) -> None:
        for follower in self._followers:
            follower.set()


class _Cursor:
    """Where a reader is: begins in the renamed file when there is one, and moves on when the log is renamed again."""

    def __init__(self, path: str, generation: int, since: bytes = b"") -> None:
        """Lines older than ``since`` may be left out, so that a long log is not read for its last lines."""
        self._path = path
        self._generation = generation - 1 if generation else 0
        self._offset = 0
        with contextlib.suppress(FileNotFoundError):
            if since and (offset := _older_than(since, path)) is not None:
                self._generation, self._offset = generation, offset

    def read(self, generation: int) -> bytes:
        """Return some whole lines, empty at the end."""
        while True:
            behind = generation - self._generation
            path = self._path if behind == 0 else self._path + ".1"
            if behind > 1:
                # The file we were in is gone; go on with the oldest that is left.
                self._generation, self._offset = generation - 1, 0
            chunk = self._chunk(path)
            if chunk or behind == 0:
                return chunk
            self._generation, self._offset = generation, 0

    def _chunk(self, path: str) -> bytes:
        try:
            with open(path, "rb") as file:
                file.seek(self._offset)
                data = file.read(_CHUNK_BYTES)
        except FileNotFoundError:
            return b""
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole


def _older_than(since: bytes, path: str) -> int | None:
    """Return where a line begins that is older than ``since``, near the end of the file; None without one.

    Raises:
        FileNotFoundError: the file is gone.
    """
    with open(path, "rb") as file:
        start, step = file.seek(0, os.SEEK_END), _CHUNK_BYTES // 16
        while start > 0:
            start, step = max(start - step, 0), 2 * step
            file.seek(start)
            if start > 0:
                file.readline()  # the end of a line
            offset = file.tell()
            line = parse_line(file.readline())
            if line is not None and line.stamp < since:
                return offset
    return None


def _since(options: LogOptions) -> bytes:
    """Return the stamp of the oldest line that is wanted; an empty one where all are."""
    if options.since_time is not None:
        return _stamp(options.since_time)
    if options.since_seconds is not None:
        return _stamp(datetime.now(UTC).timestamp() - options.since_seconds)
    return b""


class _Budget:
    """Which lines are wanted and how many bytes may still be sent."""

    def __init__(self, options: LogOptions) -> None:
        self._options = options
        self._left_bytes = options.limit_bytes
        self.since = _since(options)

    @property
    def spent(self) -> bool:
        """Whether no more bytes are wanted."""
        return self._left_bytes is not None and self._left_bytes <= 0

    def texts(self, chunk: bytes) -> list[bytes]:
        """Return the wanted lines of a chunk; the pieces of a long line are put together."""
        return list(self._texts(chunk))

    def _texts(self, chunk: bytes) -> Iterator[bytes]:
        whole = b""
        # Not by splitlines, which would also end a line at a carriage return of the output.
        for raw in chunk.split(b"\n"):
            line = parse_line(raw)
            if line is None or line.stamp < self.since:
                continue
            if self._options.timestamps and not whole:
                whole = line.stamp + b" "
            whole += line.text
            if line.text.endswith(b"\n"):
                yield whole
                whole = b""
        if whole:
            yield whole

    def cut(self, data: bytes) -> bytes:
        """Return as much of the data as may be sent."""
        if self._left_bytes is None:
            return data
        part = data[: max(self._left_bytes, 0)]
        self._left_bytes -= len(part)
        return part
