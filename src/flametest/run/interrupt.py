"""Signals that end a run: SIGTERM and SIGHUP are treated as Ctrl-C, so that every way out heals and cleans up."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["interrupt_main_thread", "interruptible"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AGAIN_SECONDS = 0.2

_noticed = threading.Event()  # set once an ending signal has been turned into KeyboardInterrupt


def interrupt_main_thread(is_over: Callable[[], bool]) -> None:
    """Interrupt the main thread as Ctrl-C does, until it has noticed or ``is_over``; for another thread, meanwhile.

    A signal that comes between the interpreter's last look and a wait in the kernel does not end that wait: Python
    notices it afterwards, which may be an hour later. So it is sent again.
    """
    while not _noticed.is_set() and not is_over():
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        _noticed.wait(_AGAIN_SECONDS)


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn the first ending signal into KeyboardInterrupt and let the way out finish undisturbed by further ones."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        _noticed.set()
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # the outermost of such blocks
        _noticed.clear()
    heeded = [number for number in _SIGNALS if number is not signal.SIGHUP or not _is_put_off()]
    before = {number: signal.signal(number, interrupt) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_put_off() -> bool:
    """Return whether the command was started by ``nohup``, and is to outlive its terminal."""
    return signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
