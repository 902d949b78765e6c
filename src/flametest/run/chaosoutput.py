"""What Chaos Toolkit prints while it runs, line by line, until it ends or says that everything is recorded."""

import os
import subprocess
from collections import deque
from collections.abc import Callable
from selectors import EVENT_READ, DefaultSelector

__all__ = ["ChaosOutput"]

_TAIL_LINES = 8
_PIECE_BYTES = 65536


class ChaosOutput:
    """The output of a process, and a pipe that is closed at the other end when everything is recorded.

    Args:
        process: its output and its errors are one pipe.
        recorded: of the other pipe; reading it belongs to this.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", recorded: int) -> None:
        assert process.stdout is not None
        self.tail: deque[str] = deque(maxlen=_TAIL_LINES)
        """The last lines."""
        self._output = process.stdout.fileno()
        self._recorded = recorded
        self._rest = b""

    def follow(self, saw: Callable[[str], None], *, until_recorded: bool = False) -> None:
        """Hand on each line, without its time stamp, until the output ends, or until everything is recorded."""
        with DefaultSelector() as selector:
            for each in (self._output, self._recorded) if until_recorded else (self._output,):
                selector.register(each, EVENT_READ)
            while self._output in (ready := {key.fd for key, _ in selector.select()}):
                if not (piece := os.read(self._output, _PIECE_BYTES)):
                    break
                *lines, self._rest = (self._rest + piece).split(b"\n")
                self._hand_on(lines, saw)
        if self._output in ready and self._rest:
            self._hand_on([self._rest], saw)
            self._rest = b""

    def _hand_on(self, lines: list[bytes], saw: Callable[[str], None]) -> None:
        for line in lines:
            told = line.decode(errors="replace").rstrip()
            message = told.partition("] ")[2] or told
            self.tail.append(message)
            saw(message)
