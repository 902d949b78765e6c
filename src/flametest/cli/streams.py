"""Standard output and standard error that end a command in an orderly way when nobody reads or keeps them any more.

What cannot be written is told once, and everything after it goes nowhere, so that the way out, on which faults are
healed and sandboxes ended, may say what it does without failing of it. That nobody reads any more is noticed at once,
also by a command that has nothing to write for minutes. Characters that the terminal's encoding does
not have, and bytes of file names that are no text, are written as escapes.
"""

import errno
import io
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from flametest.model.errors import FlametestError
from flametest.run.interrupt import interrupt_main_thread

__all__ = ["OutputClosed", "OutputError", "one_line", "output_is_gone", "reader_watched", "standard_streams"]

_GONE = (errno.EPIPE, errno.ECONNRESET, errno.EIO)  # EIO: the terminal has been closed
_REMEDY = "make room for it, or send it elsewhere"


class OutputClosed(KeyboardInterrupt):
    """Whoever read the output has gone, as ``| head -1`` does; it ends a command in the way that Ctrl-C does."""


class OutputError(FlametestError):
    """The output cannot be written, such as into a file on a full disk."""


class _Output(io.RawIOBase):
    """A file descriptor; ``telling`` says whether what cannot be written is raised, or only dropped.

    ``gone`` is true when whoever read it has gone. A thread, such as one that shows progress, only interrupts the main
    thread then: an error of its own would end nothing.
    """

    def __init__(self, descriptor: int, *, telling: bool) -> None:
        self._descriptor = descriptor
        self._telling = telling
        self._told = threading.Lock()  # held for good by who has told that the output cannot be written
        self.gone = False

    def fileno(self) -> int:
        return self._descriptor

    def writable(self) -> bool:
        return True

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def write(self, data: Any, /) -> int:
        while True:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:  # whoever shares the pipe has made it so
                select.select((), (self._descriptor,), ())
            except OSError as error:
                _discard(self._descriptor)
                if not self._telling or not self._told.acquire(blocking=False):
                    continue
                self.gone = error.errno in _GONE
                if threading.current_thread() is not threading.main_thread():
                    _interrupt_main_thread()
                    continue
                if self.gone:
                    raise OutputClosed from error
                raise OutputError(f"the output cannot be written: {error.strerror}", _REMEDY) from error

    def has_reader(self) -> bool:
        """Return whether somebody reads this, as far as the kernel tells."""
        return not _hang_ups(self._descriptor).poll(0)

    def watch(self, ending: int) -> None:
        """Interrupt the main thread when whoever reads this has gone, until the descriptor ``ending`` is hung up."""
        happened = dict(_hang_ups(self._descriptor, ending).poll())
        if happened.get(self._descriptor, 0) & (select.POLLERR | select.POLLHUP) and self._told.acquire(blocking=False):
            self.gone = True
            _discard(self._descriptor)
            interrupt_main_thread(lambda: bool(_hang_ups(ending).poll(0)))


def _hang_ups(*descriptors: int) -> select.poll:
    """Return what waits for hang-ups and errors of these, and for nothing else."""
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, 0)
    return poll


def _interrupt_main_thread() -> None:
    """Interrupt the main thread as Ctrl-C does: by a signal, which also ends a wait of its in the kernel."""
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)


@contextmanager
def standard_streams() -> Iterator[None]:
    """Put such streams in the places of this process' own while the block runs; others, as of a test, are left alone.

    What is buffered is written at the end.

    Raises:
        OutputClosed: it cannot be, as nobody reads it.
        OutputError: it cannot be, for another reason.
    """
    if sys.stdout is not sys.__stdout__ or sys.stderr is not sys.__stderr__:
        yield
        return
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = _stream(1, before[0], telling=True), _stream(2, before[1], telling=False)
    try:
        yield
        sys.stdout.flush()
    finally:
        sys.stderr.flush()
        sys.stdout, sys.stderr = before


@contextmanager
def reader_watched() -> Iterator[None]:
    """Interrupt the main thread as Ctrl-C does as soon as whoever reads the standard output goes, in this block.

    Otherwise that is noticed at the next write, which while a fault lasts may be minutes later. A reader that had gone
    before is noticed at the first write.
    """
    output = _standard_output()
    if output is None or not output.has_reader():
        yield
        return
    ending, held = os.pipe()
    watcher = threading.Thread(target=output.watch, args=(ending,), name="watch over the reader", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        os.close(held)
        watcher.join()
        os.close(ending)


def output_is_gone() -> bool:
    """Return whether whoever read the standard output has gone."""
    output = _standard_output()
    return output is not None and output.gone


def _standard_output() -> _Output | None:
    """Return the standard output where `standard_streams` has put it in place."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return raw if isinstance(raw, _Output) else None


def one_line(text: str) -> str:
    """Return ``text`` as one line that a terminal shows as it is: what it would act on is written as an escape."""
    return "".join(character if character.isprintable() else _escaped(character) for character in _joined(text))


def _joined(text: str) -> str:
    return " ".join(line.strip() for line in text.split("\n") if line.strip())


def _escaped(character: str) -> str:
    return " " if character == "\t" else character.encode("unicode_escape").decode()


def _stream(descriptor: int, stream: TextIO | None, *, telling: bool) -> TextIO:
    if stream is None:  # closed from the beginning, as by `>&-`; the next file that is opened must not take its place
        _discard(descriptor)
    encoding = stream.encoding if stream is not None else "utf-8"
    buffered = io.BufferedWriter(_Output(descriptor, telling=telling))
    live = not telling or os.isatty(descriptor)
    return io.TextIOWrapper(buffered, encoding, errors="backslashreplace", line_buffering=live)


def _discard(descriptor: int) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere != descriptor:
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
