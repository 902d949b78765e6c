"""What Locust loads in a pod beside `locust_export`: whoever knows the key fetches its samples, and stops it.

    GET  /KEY/samples?from=BYTES   a line of JSON about this process, then whole rows of its samples from that byte on
    POST /KEY/stop                 ends the load, here and on all workers; the process stays, to be asked for the rest,
                                   also where the load test ends itself

The line has ``monotonic_ns``, what the clock shows while the answer is made, and ``clock``, which names that clock;
``size``, the bytes that are written; ``ended``, whether no more will be; and ``generator``, its account of itself. The
file stays on disk, so that an answer that was lost is asked for again. FLAMETEST_LOAD_PORT and FLAMETEST_LOAD_KEY say
where. Lives in Locust's process.
"""

import json
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import gevent
from gevent.event import Event
from gevent.pywsgi import WSGIServer
from locust import events

from flametest.load.clockname import clock_name
from flametest.load.locust_watch import ACCOUNT
from flametest.load.samplefile import FLUSH_SECONDS

__all__ = ["KEY_VARIABLE", "PORT_VARIABLE"]

KEY_VARIABLE = "FLAMETEST_LOAD_KEY"
PORT_VARIABLE = "FLAMETEST_LOAD_PORT"
_SAMPLES_VARIABLE = "FLAMETEST_LOAD_SAMPLES"  # as in locust_export, which may not be imported twice
_ANSWER_BYTES_MAX = 1024 * 1024
_SETTLED_SECONDS = 3 * FLUSH_SECONDS

_Start = Callable[[str, list[tuple[str, str]]], Any]


class _Server:
    """Answers for one Locust process."""

    def __init__(self, environment: Any, key: str, samples: Path) -> None:
        self._environment = environment
        self._key = key
        self._samples = samples
        self._stopped_at: float | None = None
        self._is_done = Event()  # nobody has to ask any more

    def answer(self, request: dict[str, Any], start: _Start) -> Iterable[bytes]:
        """Answer one request, as WSGI has it."""
        match request["REQUEST_METHOD"], request["PATH_INFO"].strip("/").split("/"):
            case "GET", [self._key, "samples"]:
                begin = int(parse_qs(request.get("QUERY_STRING", "")).get("from", ["0"])[0])
                start("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
                return [self._part(begin)]
            case "POST", [self._key, "stop"]:
                ACCOUNT.is_stopping = True
                self._is_done.set()
                # Not in this answer: a master waits in it until its workers have stopped.
                gevent.spawn(self._environment.runner.stop)
                start("200 OK", [("Content-Type", "application/json")])
                return [b"{}"]
            case _:
                start("404 Not Found", [("Content-Type", "text/plain")])
                return [b"no such path\n"]

    def _part(self, begin: int) -> bytes:
        ended = self._has_ended()  # asked before the file is read, so that nothing comes after the last row
        with self._samples.open("rb") as file:
            file.seek(begin)
            rows = file.read(_ANSWER_BYTES_MAX)
            size = file.seek(0, os.SEEK_END)
        rows = rows[: rows.rfind(b"\n") + 1]
        if ended and begin >= size:
            self._is_done.set()
        told: dict[str, Any] = {
            "monotonic_ns": time.monotonic_ns(),
            "clock": clock_name(),
            "size": size,
            "ended": ended,
        }
        told["generator"] = ACCOUNT.told()
        return json.dumps(told).encode() + b"\n" + rows

    def linger(self, **_: Any) -> None:
        """Keep the process until the rest was asked for: a load test that ends itself would take its samples along."""
        self._is_done.wait()

    def _has_ended(self) -> bool:
        """Return whether the load was stopped long enough ago for its last row to be on disk."""
        if self._environment.runner.state != "stopped":
            return False
        self._stopped_at = self._stopped_at or time.monotonic()
        return time.monotonic() - self._stopped_at >= _SETTLED_SECONDS


def _on_init(environment: Any, **_: Any) -> None:
    port, key = os.environ.get(PORT_VARIABLE), os.environ.get(KEY_VARIABLE)
    if port and key:
        server = _Server(environment, key, Path(os.environ[_SAMPLES_VARIABLE]))
        environment.events.quit.add_listener(server.linger)
        WSGIServer(("0.0.0.0", int(port)), server.answer, log=None).start()  # noqa: S104 (a pod's own address)


events.init.add_listener(_on_init)
