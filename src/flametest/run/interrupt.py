"""Signals that end a run: SIGTERM and SIGHUP are treated as Ctrl-C, so that every way out heals and cleans up."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["interruptible"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptible() -> Iterator[None]:
    """Turn the first ending signal into KeyboardInterrupt and let the way out finish undisturbed by further ones."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

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
