"""Only paths that a running entry answers with 200 are kept."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from flametest.model.routes import Trust
from flametest.starter.answers import answering_paths
from tests.certificates import Authority
from tests.kube.serving import serving

STATUSES = {"/": 200, "/shop": 302, "/shop/all": 200, "/away": 302, "/made": 204, "/broken": 500}
LOCATIONS = {"/shop": "/shop/all", "/away": "http://127.0.0.1:9/"}


class Handler(BaseHTTPRequestHandler):
    """Answers each path by its status, and leads some elsewhere."""

    def do_GET(self) -> None:
        self.send_response(STATUSES.get(self.path, 404))
        self.send_header("Location", LOCATIONS.get(self.path, "/"))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_paths_that_answer_are_kept_with_the_root_before_them(url: str) -> None:
    assert answering_paths(url, ("/shop/all", "/made", "/broken", "/absent")) == ("/", "/shop/all")


def test_in_the_place_of_a_redirect_stands_where_it_leads_to_on_this_host(url: str) -> None:
    assert answering_paths(url, ("/shop", "/shop/all", "/away")) == ("/", "/shop/all")


def test_a_proxy_of_the_environment_is_not_asked_for_loopback(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    assert answering_paths(url, ()) == ("/",)


@pytest.mark.parametrize("nowhere", ["http://127.0.0.1:9", "shop.example", "http://[", ""])
def test_where_nobody_answers_no_path_is_kept(nowhere: str) -> None:
    assert answering_paths(nowhere, ("/shop",)) == ()


def test_an_https_entry_is_asked_with_the_authorities_that_are_trusted(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with serving(authority.pair("127.0.0.1").serving()) as served:
        entry = f"https://127.0.0.1:{served.port}"
        assert answering_paths(entry, ()) == ()
        assert answering_paths(entry, (), Trust(str(authority.file))) == ("/",)
        assert answering_paths(entry, (), Trust(insecure=True)) == ("/",)
