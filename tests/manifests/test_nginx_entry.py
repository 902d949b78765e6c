"""The entry: a real nginx with the configuration of the ConfigMap, in front of stand-ins for the api Service."""

import contextlib
import http.client
import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

Wait = Callable[..., None]


def ask(port: int, method: str = "GET", path: str = "/", headers: dict[str, str] | None = None) -> Any:
    """Return the answer with ``body`` read and header names in lower case."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        body = response.read()
    return response.status, {name.lower(): value for name, value in response.getheaders()}, body


@pytest.fixture
def backend(entry: Any, wait_until: Wait) -> Any:
    """The backend behind the entry, as it was at the start."""
    first = entry.backend
    first.status, first.broken_connections = 200, 0
    wait_until(lambda: ask(entry.port)[1].get("x-served-by") == "backend-127.0.0.2")
    # Each of nginx's two servers asks for the name by itself, so one may know the address before the other does.
    wait_until(lambda: _is_served_by_both(entry.port, first))
    first.requests.clear()
    return first


def _is_served_by_both(port: int, backend: Any) -> bool:
    backend.broken_connections = 1
    return bool(ask(port)[0] == 200 and backend.broken_connections == 0)


@pytest.fixture
def without_service(entry: Any, backend: Any, wait_until: Wait) -> Iterator[None]:
    """Take the Service's name away, and bring it back afterwards."""
    entry.names.address = None
    wait_until(lambda: ask(entry.port)[0] == 503)
    yield
    entry.names.address = "127.0.0.2"


@pytest.mark.usefixtures("backend")
def test_an_answer_names_the_pod_that_served_it_and_the_entry_it_came_by(entry: Any) -> None:
    status, headers, body = ask(entry.port, path="/hits")
    assert (status, json.loads(body)) == (200, {"from": "backend"})
    assert headers["x-served-by"] == "backend-127.0.0.2"
    assert headers["x-entry-by"] == socket.gethostname()


def test_a_request_id_is_passed_on_when_it_is_safe_and_made_otherwise(entry: Any, backend: Any) -> None:
    for sent in ("from-a-user", "not safe", ""):
        ask(entry.port, headers={"X-Request-ID": sent} if sent else {})
    received = [headers["X-Request-ID"] for _, _, headers in backend.requests]
    assert received[0] == "from-a-user"
    assert all(len(identifier) == 32 for identifier in received[1:])


def test_each_request_goes_by_a_connection_of_its_own_so_that_the_service_can_balance(entry: Any, backend: Any) -> None:
    before = backend.connections
    client = http.client.HTTPConnection("127.0.0.1", entry.port, timeout=60)
    with contextlib.closing(client):
        for _ in range(5):
            client.request("GET", "/")
            client.getresponse().read()
    assert backend.connections - before == 5


@pytest.mark.usefixtures("without_service")
def test_a_service_made_anew_with_another_address_is_found_again(entry: Any, wait_until: Wait) -> None:
    again = entry.start_backend("127.0.0.3")
    entry.names.address = "127.0.0.3"
    wait_until(lambda: ask(entry.port)[0] == 200)
    assert again.requests


@pytest.mark.usefixtures("without_service")
def test_without_a_service_behind_it_the_entry_is_alive_and_answers_a_friendly_503(entry: Any) -> None:
    status, headers, body = ask(entry.port, path="/visits")
    assert status == 503
    assert json.loads(body)["error"] == "unavailable"
    assert headers["retry-after"] == "1"
    assert headers["content-type"] == "application/json"
    assert headers["x-request-id"]
    assert headers["x-entry-by"]
    assert ask(entry.health_port, path="/healthz")[0] == 200


def test_a_read_is_tried_a_second_time_when_the_pod_breaks_off(entry: Any, backend: Any) -> None:
    backend.broken_connections = 1
    assert ask(entry.port)[0] == 200
    assert len(backend.requests) == 2


def test_a_write_that_may_have_had_an_effect_is_not_tried_a_second_time(entry: Any, backend: Any) -> None:
    backend.broken_connections = 1
    assert ask(entry.port, "POST", "/visits")[0] == 503
    assert len(backend.requests) == 1
    assert ask(entry.port, "POST", "/visits")[0] == 200


def test_errors_of_the_service_pass_through_unchanged_and_are_not_tried_again(entry: Any, backend: Any) -> None:
    for status in (500, 503):
        backend.status = status
        backend.requests.clear()
        answer = ask(entry.port)
        assert (answer[0], json.loads(answer[2])) == (status, {"from": "backend"})
        assert answer[1]["x-served-by"] == "backend-127.0.0.2"
        assert len(backend.requests) == 1


def test_what_the_cluster_asks_of_the_service_is_not_for_users(entry: Any, backend: Any) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert ask(entry.port, path=path)[0] == 404
    assert not backend.requests


@pytest.mark.usefixtures("backend")
def test_the_access_log_is_json_with_the_request_id_and_who_served(entry: Any, wait_until: Wait) -> None:
    ask(entry.port, path="/a%22b", headers={"X-Request-ID": "to-be-logged"})
    wait_until(lambda: "to-be-logged" in entry.log.read_text())
    line = next(json.loads(line) for line in entry.log.read_text().splitlines() if "to-be-logged" in line)
    assert (line["method"], line["path"], line["status"]) == ("GET", '/a"b', 200)
    assert line["served_by"] == "backend-127.0.0.2"
