"""Turns: blocks that have been prepared wait on loopback until they may inject their fault.

Starting Chaos Toolkit takes seconds, which a block does not have to cost: while one block is measured, the next is
started, and its experiment asks for a page that is answered when its turn has come.
"""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["TURN_SECONDS_MAX", "Turns", "turns"]

TURN_SECONDS_MAX = 120.0
"""How long a block waits for its turn; the block before it, and a system that takes its time, are over by then."""


class Turns:
    """Which blocks, by their numbers, wait, and which may go on; safe to be used by several threads."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._changed = threading.Condition()
        self._waiting: defaultdict[int, bool] = defaultdict(bool)
        self._given: defaultdict[int, bool] = defaultdict(bool)
        self._is_over = False

    def url(self, number: int) -> str:
        """Return what the experiment of a block asks for."""
        return f"{self._address}/{number}"

    def is_waiting(self, number: int) -> bool:
        """Return whether a block is prepared."""
        with self._changed:
            return self._waiting[number]

    def give(self, number: int) -> None:
        """Let a block go on."""
        with self._changed:
            self._given[number] = True
            self._changed.notify_all()

    def wait(self, number: int) -> bool:
        """Return when a block may go on; False where the time for that was over before."""
        with self._changed:
            self._waiting[number] = True
            self._changed.wait_for(lambda: self._given[number] or self._is_over, TURN_SECONDS_MAX)
            return self._given[number]

    def end(self) -> None:
        """Let nobody wait any longer."""
        with self._changed:
            self._is_over = True
            self._changed.notify_all()


@contextmanager
def turns() -> Iterator[Turns]:
    """Serve turns on a free port of 127.0.0.1 while the block runs."""

    class Handler(_Handler):
        pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    Handler.turns = Turns(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="turns", daemon=True)
    thread.start()
    try:
        yield Handler.turns
    finally:
        Handler.turns.end()
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    turns: Turns

    def do_GET(self) -> None:
        number = self.path.strip("/")
        is_turn = number.isdecimal() and self.turns.wait(int(number))
        self.send_response(HTTPStatus.OK if is_turn else HTTPStatus.SERVICE_UNAVAILABLE)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing: the terminal belongs to the command."""
