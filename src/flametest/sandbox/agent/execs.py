"""Commands that run inside a container beside its process 1: `kubectl exec`, exec probes and hooks.

A `Command` is an `ExecProcess` over a child process (`nsenter` into the container's namespaces). Whoever started it
reads its output to the end and awaits it, or kills it; nothing of it outlives the container.

That a program is not there only its last starter finds out, inside the container. What that says on standard error is
held back and becomes the command's `refusal`: a container engine tells it to the API, not to the command's reader.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from flametest.sandbox.agent.bubblewrap import translated
from flametest.sandbox.agent.children import Child, give_to

__all__ = ["Command"]

_CHUNK_BYTES = 64 * 1024
_STARTERS = ("setpriv", "nsenter")
_WORDS_BYTES_MAX = 4096  # of a starter: a path and a few words


class Command:
    """A running command with its streams; with a terminal, standard output and error are one."""

    def __init__(
        self,
        enter: Sequence[str],
        command: Sequence[str],
        environment: dict[str, str],
        *,
        stdin: bool,
        tty: bool,
        owner: tuple[int, int] | None = None,
    ) -> None:
        """Start ``command`` by the words of ``enter``, with streams that belong to ``owner``.

        Raises:
            OSError: the program that enters does not exist.
        """
        self.refusal = ""
        self._program = command[0]
        self._held: bytes | None = b""
        self._errors = 1 if tty else 2  # the stream on which a starter would complain
        if tty:
            master, slave = os.openpty()
            given, theirs = (slave, slave, slave), {slave}
            self._stdin: int | None = os.dup(master)
            self._streams = {master: 1}
        else:
            stdin_read, stdin_write = os.pipe()
            stdout_read, stdout_write = os.pipe()
            stderr_read, stderr_write = os.pipe()
            given = (stdin_read, stdout_write, stderr_write)
            theirs = set(given)
            self._stdin = stdin_write
            self._streams = {stdout_read: 1, stderr_read: 2}
        give_to(owner, *theirs)
        for descriptor in (*self._streams, self._stdin):
            os.set_blocking(descriptor, False)
        try:
            self._child = Child(
                [*enter, *command],
                environment=environment,
                stdin=given[0],
                stdout=given[1],
                stderr=given[2],
                session=not tty,
            )
        except OSError:
            self.release()
            raise
        finally:
            for descriptor in theirs:
                os.close(descriptor)
        if not stdin:
            self.close_stdin()

    async def write(self, data: bytes) -> None:
        """Write to standard input, as fast as it is read; what comes after its end is dropped."""
        loop = asyncio.get_running_loop()
        while data and self._stdin is not None:
            try:
                data = data[os.write(self._stdin, data) :]
            except BlockingIOError:
                await _ready(loop.add_writer, loop.remove_writer, (self._stdin,))
            except OSError:
                self.close_stdin()

    def close_stdin(self) -> None:
        """End standard input."""
        if self._stdin is not None:
            os.close(self._stdin)
            self._stdin = None

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        """Yield (stream, bytes) until both streams end; not read faster than it is taken."""
        loop = asyncio.get_running_loop()
        try:
            while self._streams:
                ready = await _ready(loop.add_reader, loop.remove_reader, tuple(self._streams))
                for descriptor in ready:
                    stream = self._streams[descriptor]
                    if data := _read(descriptor):
                        if passed := self._passed(data) if stream == self._errors else data:
                            yield stream, passed
                    elif data is not None:
                        del self._streams[descriptor]
                        os.close(descriptor)
            if self._held:
                if self._held.endswith(b"\n"):
                    self.refusal = translated(self._held, self._program)
                else:
                    yield self._errors, self._held
        finally:
            self.release()

    def _passed(self, data: bytes) -> bytes:
        """Return what of output is passed on: nothing while it may be the words of a starter that failed."""
        if self._held is None:
            return data
        self._held += data
        if any(_agree(self._held, f"{name}: failed to execute {self._program}: ".encode()) for name in _STARTERS):
            return b""
        passed, self._held = self._held, None
        return passed

    @property
    def ended(self) -> bool:
        """Whether the command is gone."""
        return self._child.ended

    async def wait(self) -> int:
        """Return the exit code."""
        return await self._child.wait()

    def kill(self) -> None:
        """End it at once."""
        self._child.kill()

    def release(self) -> None:
        """Close the streams; for those who do not read the output to its end."""
        self.close_stdin()
        for descriptor in self._streams:
            os.close(descriptor)
        self._streams = {}


def _agree(said: bytes, words: bytes) -> bool:
    """Return whether these are a starter's words or the beginning of them."""
    return words.startswith(said) or (
        said.startswith(words) and said.count(b"\n") <= 1 and len(said) < _WORDS_BYTES_MAX
    )


def _read(descriptor: int) -> bytes | None:
    """Return what is there, empty at the end, None when there is nothing yet."""
    try:
        return os.read(descriptor, _CHUNK_BYTES)
    except BlockingIOError:
        return None
    except OSError:
        # A terminal whose other side is closed answers with an input/output error.
        return b""


async def _ready(add: Callable[..., Any], remove: Callable[[int], Any], descriptors: tuple[int, ...]) -> list[int]:
    """Return those of the descriptors that can be read or written without waiting."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    found: list[int] = []

    def note(descriptor: int) -> None:
        found.append(descriptor)
        remove(descriptor)
        if not future.done():
            future.set_result(None)

    for descriptor in descriptors:
        add(descriptor, note, descriptor)
    try:
        await future
    finally:
        for descriptor in descriptors:
            with contextlib.suppress(ValueError):
                remove(descriptor)
    return found
