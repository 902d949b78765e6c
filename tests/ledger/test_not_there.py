"""Whether a system has what a ledger reads at all: many systems answer to every path."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from flametest.ledger import Auditor, Definition, NotThereError, reader_of
from flametest.load.errors import LoadError

Serve = Callable[[int, bytes], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return a function that makes a server give one answer to everything, and returns its URL."""
    answers: dict[str, tuple[int, bytes]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers["now"]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()

    def answer(status: int, body: bytes) -> str:
        answers["now"] = (status, body)
        return f"http://127.0.0.1:{server.server_address[1]}"

    yield answer
    server.shutdown()
    thread.join()
    server.server_close()


def auditor_of(definition: Definition, url: str) -> Auditor:
    """Return an auditor that has read nothing yet."""
    return Auditor(definition, reader_of(definition, url))


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html>every path</html>"), (200, b'{"tea": 3}'), (200, b"[]"), (404, b""), (401, b"log in"), (302, b"")],
)
def test_what_answers_otherwise_to_the_route_of_the_books_is_no_shop(
    serve: Serve, shop: Definition, status: int, body: bytes
) -> None:
    with pytest.raises(NotThereError):
        auditor_of(shop, serve(status, body)).begin()


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_what_is_ill_may_be_a_shop(serve: Serve, shop: Definition, status: int) -> None:
    with pytest.raises(LoadError) as raised:
        auditor_of(shop, serve(status, b"")).begin()
    assert not isinstance(raised.value, NotThereError)


def test_what_was_there_and_answers_otherwise_now_is_told(serve: Serve, shop: Definition) -> None:
    book = {"event_id": 1, "name": "", "initial": 1, "left": 1, "sold": 0}
    page = json.dumps({"books": [book], "orders": [], "next_after": None})
    auditor = auditor_of(shop, serve(200, page.encode()))
    auditor.begin()
    serve(200, b"maintenance")
    with pytest.raises(LoadError, match="expected JSON"):
        auditor.begin()
