"""The entry's way to the ticket shop: a real nginx with the configuration of the ConfigMap, before stand-ins."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.manifests.test_nginx_entry import ask

Wait = Callable[..., None]


@pytest.fixture
def frontend(entry: Any, wait_until: Wait) -> Iterator[Any]:
    """The stand-in for the frontend, as it was at the start."""
    first = entry.frontend
    wait_until(lambda: ask(entry.port, path="/shop")[1].get("x-served-by") == "backend-127.0.0.6")
    first.requests.clear()
    yield first
    first.delay_seconds, first.broken_connections = 0.0, 0


@pytest.fixture
def without_frontend(entry: Any, frontend: Any, wait_until: Wait) -> Iterator[None]:
    """Take the Service's name away, and bring it back afterwards."""
    entry.names.frontend_address = None
    wait_until(lambda: ask(entry.port, path="/shop")[0] == 503)
    yield
    entry.names.frontend_address = "127.0.0.6"


@pytest.mark.parametrize("path", ["/shop", "/shop/", "/shop/orders/1", "/shop/api/audit?after=1&limit=2"])
def test_the_shop_is_served_by_the_frontend(entry: Any, frontend: Any, path: str) -> None:
    status, headers, _ = ask(entry.port, path=path, headers={"X-Request-ID": "to-the-shop"})
    assert (status, headers["x-served-by"]) == (200, "backend-127.0.0.6")
    assert headers["x-entry-by"]
    ((_, received, sent),) = frontend.requests
    assert (received, sent["X-Request-ID"], sent["Connection"]) == (path, "to-the-shop", "close")


@pytest.mark.usefixtures("frontend")
@pytest.mark.parametrize("path", ["/", "/shopping", "/visits", "/Shop"])
def test_everything_else_stays_with_the_api(entry: Any, path: str) -> None:
    assert ask(entry.port, path=path)[1]["x-served-by"] == "backend-127.0.0.2"


@pytest.mark.usefixtures("without_frontend")
def test_without_a_frontend_people_get_a_page_and_programs_get_json(entry: Any) -> None:
    status, headers, body = ask(entry.port, path="/shop")
    assert (status, headers["retry-after"]) == (503, "1")
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert b"<h1>Back in a moment</h1>" in body
    status, headers, body = ask(entry.port, "POST", "/shop/api/orders")
    assert (status, headers["retry-after"]) == (503, "1")
    assert json.loads(body)["error"] == "unavailable"
    assert ask(entry.port)[0] == 200


@pytest.mark.usefixtures("without_frontend")
def test_a_frontend_service_made_anew_with_another_address_is_found_again(entry: Any, wait_until: Wait) -> None:
    again = entry.start_backend("127.0.0.7")
    entry.names.frontend_address = "127.0.0.7"
    wait_until(lambda: ask(entry.port, path="/shop")[0] == 200)
    assert again.requests


def test_a_frontend_that_hangs_is_given_up_within_two_seconds_and_not_asked_twice(entry: Any, frontend: Any) -> None:
    frontend.delay_seconds = 10.0
    started = time.monotonic()
    status, _, body = ask(entry.port, path="/shop/api/events")
    assert time.monotonic() - started < 2
    assert (status, json.loads(body)["error"]) == (503, "unavailable")
    assert len(frontend.requests) == 1


def test_a_page_is_asked_for_a_second_time_when_the_pod_breaks_off(entry: Any, frontend: Any, wait_until: Wait) -> None:
    def is_asked_twice() -> bool:
        frontend.requests.clear()
        frontend.broken_connections = 1
        status, _, _ = ask(entry.port, path="/shop")
        return status == 200 and len(frontend.requests) == 2

    # nginx looks the Service up for each of the two tries by itself: one may still be without an address.
    wait_until(is_asked_twice)
