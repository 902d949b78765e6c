"""Applications that are no ticket shop, each with a ledger of its own, and with errors that a test plants in them.

`Votes` counts what it was asked, without keys, as examples/quotes does. `Jobs` keeps what it was asked in a queue, and
lists what came out of it. Both are servers of the standard library on loopback.
"""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

__all__ = ["JOBS", "VOTES", "Application", "Jobs", "ListedVotes", "Votes"]

EXAMPLE = Path(__file__).parents[2] / "examples" / "quotes" / "experiments" / "ledger.toml"
VOTES = EXAMPLE.read_text().replace("quiet_seconds = 2", "").replace("[write]", "[write]\nper_second = 100")
VOTES_IN_A_LIST = VOTES.replace("GET /quotes/{quote}", "GET /quotes").replace(
    'joined = "quote"', 'items = "$[*]"\njoined = "quote"'
)
JOBS = """
name = "jobs"
quiet_seconds = 0.1
write.request = "POST /jobs"
write.body = { reference = "{key}", size = "{size}" }
write.choose.size = [1, 2, 3]
write.id = "$.id"
write.per_second = 100
read.request = "GET /jobs"
read.key = "$.reference"
read.id = "$.id"
read.fields = ["size"]
read.find = "GET /jobs/{id}"
read.looks = 0.5
count = [{ request = "GET /total", sum = "size", laws = { "wrong total" = "size == written" } }]
"""

Reply = tuple[int, Any]


class Application:
    """An HTTP server with a ledger of its own; ``spoil`` is the error that was planted, ``spoilt`` how often."""

    ledger: ClassVar[str]

    def __init__(self) -> None:
        self.spoil = ""
        self.spoilt = 0
        self.writes = 0
        self.lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        """Return its URL."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def post(self, path: str, body: Any) -> Reply:
        """Answer a write."""
        raise NotImplementedError

    def get(self, path: str) -> Reply:
        """Answer a read."""
        raise NotImplementedError

    def spoils(self, name: str) -> bool:
        """Return whether the error of this name is to happen now; each happens once, at the fifth write."""
        happens = self.spoil == name and self.spoilt == 0 and self.writes >= 5
        self.spoilt += happens
        return happens

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        application = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._reply(lambda: application.get(self.path))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self._reply(lambda: application.post(self.path, json.loads(body or b"{}")))

            def _reply(self, answer: Callable[[], Reply]) -> None:
                with application.lock:
                    status, content = answer()
                text = json.dumps(content).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        return Handler


class Votes(Application):
    """Counts votes for four quotes."""

    ledger = VOTES

    def __init__(self) -> None:
        super().__init__()
        self.votes = [7, 0, 3, 1]

    def post(self, path: str, body: Any) -> Reply:
        """Count a vote."""
        number = int(path.split("/")[2])
        self.writes += 1
        if not self.spoils("lost"):
            self.votes[number] += 2 if self.spoils("phantom") else 1
        return 202, {"number": number, "queued": True}

    def get(self, path: str) -> Reply:
        """Tell the votes of one quote, or of all."""
        quotes = [{"number": n, "quote": f"Quote {n}.", "votes": votes} for n, votes in enumerate(self.votes)]
        return 200, quotes if path == "/quotes" else quotes[int(path.split("/")[2])]


class ListedVotes(Votes):
    """Has a ledger that looks for the numbers of quotes where their texts are."""

    ledger = VOTES_IN_A_LIST


class Jobs(Application):
    """Queues jobs; each is done when somebody looks for the second time, and listed from then on."""

    ledger = JOBS

    def __init__(self) -> None:
        super().__init__()
        self.queued: list[dict[str, Any]] = []
        self.done: list[dict[str, Any]] = [{"id": 1, "reference": "somebody-else", "size": 9}]

    def post(self, path: str, body: Any) -> Reply:
        """Queue a job."""
        self.writes += 1
        job = {"id": self.writes + 1, **body}
        if self.spoils("refused and kept"):
            self.queued.append(job)
            return 409, {"error": "no room"}
        if not self.spoils("lost"):
            self.queued.append(job)
        if self.spoils("duplicated"):
            self.queued.append({**job, "id": 1000 + self.writes})
        if self.spoils("changed"):
            job["size"] = 99
        if self.spoils("phantom"):
            self.queued.append({**job, "id": 2000, "reference": f"{body['reference']}-never-sent"})
        return 201, {"id": job["id"]}

    def get(self, path: str) -> Reply:
        """List what is done, tell of one job, or their total size."""
        if path == "/jobs":
            listed = list(self.done)
            self.done += self.queued
            self.queued = []
            return 200, listed
        known = [*self.done, *self.queued]
        if path == "/total":
            is_wrong = self.spoil == "wrong total" and self.writes > 0
            return 200, {"size": sum(job["size"] for job in known) + is_wrong}
        number = int(path.split("/")[2])
        missing = self.spoils("stale") or all(job["id"] != number for job in known)
        return (404, {}) if missing else (200, {})
