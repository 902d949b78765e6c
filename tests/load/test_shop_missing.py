"""Whether a system has a ticket shop at all: many systems answer to every path, and none of them is one."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from flametest.load.audit import Auditor, ShopMissingError
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


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b"<html>every path</html>"), (200, b'{"tea": 3}'), (200, b"[]"), (404, b""), (401, b"log in"), (302, b"")],
)
def test_what_answers_otherwise_to_the_route_of_the_books_is_no_shop(serve: Serve, status: int, body: bytes) -> None:
    with pytest.raises(ShopMissingError):
        Auditor(serve(status, body)).begin()


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_what_is_ill_may_be_a_shop(serve: Serve, status: int) -> None:
    with pytest.raises(LoadError) as raised:
        Auditor(serve(status, b"")).begin()
    assert not isinstance(raised.value, ShopMissingError)


def test_a_shop_that_was_there_is_not_missing_but_wrong(serve: Serve) -> None:
    page = b'{"books": [], "orders": [], "next_after": null}'
    auditor = Auditor(serve(200, page))
    auditor.begin()
    serve(200, b"maintenance")
    with pytest.raises(LoadError, match="expected JSON") as raised:
        auditor.begin()
    assert not isinstance(raised.value, ShopMissingError)
