"""Only an answer of the system itself counts as its entry; where nobody can tell, it is said."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from flametest.clusters import Access, ClusterError
from flametest.kube.pages import Listing, whole_list
from flametest.kube.warnings import Warned
from flametest.run import entering
from flametest.run.entering import await_entry, own_entry
from flametest.sandbox.processes import listens
from tests.addresses import own_address

ADDRESS = own_address("entering")
TAKEN = Warned("Service", "web", "NodePortUnavailable", "is taken")


@dataclass
class Pretended:
    """The API and the cluster at once."""

    own: bool | None = True
    services: list[dict[str, Any]] = field(default_factory=list)
    warned: tuple[Warned, ...] = ()

    @property
    def api(self) -> "Pretended":
        return self

    def get(self, path: str) -> dict[str, Any]:
        return {"items": self.services if path.endswith("services") else [{"metadata": {"name": "web-1"}}]}

    def listed(self, path: str) -> Listing:
        return whole_list(lambda _: self.get(path), {})

    def warnings(self, namespace: str, kind: str) -> tuple[Warned, ...]:
        return self.warned

    def listens(self, port: int) -> bool | None:
        return self.own


@contextmanager
def served(status: int = 200, by: str = "") -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            if by:
                self.send_header("X-Served-By", by)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer((ADDRESS, 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://{ADDRESS}:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entering, "ENTRY_SECONDS", 0.5)


def note(cluster: Pretended, url: str, *, needed: bool = True) -> str:
    pretended: Any = cluster
    return await_entry(pretended, pretended, Access(Path(), "c", url, "shop"), needed=needed)


@pytest.mark.parametrize("own", [True, False, None])
def test_an_answer_that_names_a_pod_of_the_system_counts(own: bool | None) -> None:
    with served(by="web-1") as url:
        assert note(Pretended(own), url) == ""


def test_an_answer_by_the_cluster_s_own_listener_counts_without_a_name() -> None:
    with served(404) as url:
        assert note(Pretended(True), url) == ""


def test_where_nobody_can_tell_whose_the_listener_is_it_is_said() -> None:
    with served() as url:
        assert "could not be verified" in note(Pretended(None), url)


@pytest.mark.parametrize(("own", "by", "says"), [(False, "", "another program"), (None, "web-2", "pod web-2")])
def test_an_answer_of_somebody_else_is_no_entry(own: bool | None, by: str, says: str) -> None:
    with served(by=by) as url, pytest.raises(ClusterError, match=says):
        note(Pretended(own), url)
    with served(by=by) as url, pytest.raises(ClusterError, match="not of this system"):
        note(Pretended(own), url, needed=False)


def test_a_port_that_is_taken_is_told_with_the_cluster_s_own_words() -> None:
    with served() as url, pytest.raises(ClusterError, match="Service web: is taken"):
        note(Pretended(False, warned=(TAKEN,)), url)


def test_an_old_warning_about_a_port_that_is_the_cluster_s_now_does_not_matter() -> None:
    with served() as url:
        assert note(Pretended(True, warned=(TAKEN,)), url) == ""


def test_no_answer_is_an_error_only_where_an_entry_is_needed() -> None:
    with served(503) as url:
        with pytest.raises(ClusterError, match="does not answer"):
            note(Pretended(), url)
        assert note(Pretended(), url, needed=False) == "it answers no HTTP request"


def service(name: str, kind: str, *ports: int) -> dict[str, Any]:
    spec = {"type": kind, "ports": [{"port": 80} | ({"nodePort": port} if port else {}) for port in ports]}
    return {"metadata": {"name": name}, "spec": spec}


@pytest.mark.parametrize(
    ("services", "url", "says"),
    [
        ([service("web", "NodePort", 31000)], "http://127.0.0.1:31000", ""),
        ([service("web", "LoadBalancer", 31000), service("db", "ClusterIP", 0)], "http://127.0.0.1:31000", ""),
        ([service("a", "NodePort", 31000), service("b", "NodePort", 30080)], "http://127.0.0.1:30080", ""),
        ([service("a", "NodePort", 31000), service("b", "NodePort", 31001)], "", "a http://127.0.0.1:31000"),
        ([service("db", "ClusterIP", 0)], "", "no Service is of type NodePort"),
        ([], "", "no Service"),
    ],
)
def test_the_entry_is_the_service_that_is_open_to_the_outside(
    services: list[dict[str, Any]], url: str, says: str
) -> None:
    client: Any = Pretended(services=services)
    found = own_entry(client, Access(Path(), "c", "http://127.0.0.1:30080", "shop"))
    assert found.url == url
    assert says in found.note


def test_whose_a_listener_is_can_be_told() -> None:
    import os  # noqa: PLC0415

    with served() as url:
        port = int(url.rpartition(":")[2])
        assert listens(os.getpid(), ADDRESS, port)
        assert not listens(os.getppid(), ADDRESS, port)
        assert not listens(os.getpid(), "127.0.0.1", port)
    assert not listens(os.getpid(), ADDRESS, port)
