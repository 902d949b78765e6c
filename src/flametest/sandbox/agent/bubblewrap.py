"""What bubblewrap tells of the container that it starts: its process, or why there is none."""

import asyncio
import contextlib
import json
import os

__all__ = ["await_end", "child_pid", "last_words", "translated"]

_CHUNK_BYTES = 64 * 1024
_END_SECONDS_MAX = 10.0
"""A killed process takes longer only where the kernel itself waits, as for a disk that does not answer."""


async def child_pid(status: int) -> int | None:
    """Return the process that bubblewrap started, or None when it ended before it could."""
    os.set_blocking(status, False)
    text = b""
    while b"\n" not in text:
        await _readable(status)
        data = os.read(status, 4096)
        if not data:
            return None
        text += data
    return int(json.loads(text.split(b"\n")[0])["child-pid"])


async def await_end(pidfd: int | None) -> None:
    """Return when a process has ended, and so all of its process namespace; None is one that has.

    Bubblewrap itself ends after it, unless bubblewrap was killed: then the kernel kills the process a moment later.
    """
    if pidfd is not None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END_SECONDS_MAX):
                await _readable(pidfd)


def last_words(stderr: int) -> bytes:
    """Return what is in the pipe of an ended process."""
    os.set_blocking(stderr, False)
    try:
        return os.read(stderr, _CHUNK_BYTES)
    except OSError:
        return b""


def translated(words: bytes, program: str) -> str:
    """Return the last words of bubblewrap, or of setpriv after it, as a container engine would put them."""
    text = words.decode(errors="replace").strip()
    if ("execvp" in text or "execute" in text) and "No such file" in text:
        where = "no such file or directory" if "/" in program else "executable file not found in $PATH"
        return f'exec: "{program}": {where}'
    if ("execvp" in text or "execute" in text) and "Permission denied" in text:
        return f'exec: "{program}": permission denied'
    return text or "the container's root could not be built"


async def _readable(descriptor: int) -> None:
    """Return when a descriptor can be read; that of a process can when it has ended."""
    loop = asyncio.get_running_loop()
    readable: asyncio.Future[None] = loop.create_future()
    loop.add_reader(descriptor, _resolve, readable)
    try:
        await readable
    finally:
        loop.remove_reader(descriptor)


def _resolve(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
