"""The frontend service, run as in a pod, before a real logic service and before stand-ins that misbehave."""

import contextlib
import http.client
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode

import pytest

from frontend_service.settings import Settings
from servicekit.settings import SettingsError
from tests.addresses import free_port
from tests.patience import PATIENCE_SECONDS

PROGRAM = "/shop/api/events"
ORDER = {"event_id": 2, "quantity": 1, "customer": "ada"}


@pytest.fixture
def frontend(shared_frontend: Any) -> Any:
    """The frontend of the tests that leave it as they found it."""
    return shared_frontend


class StandIn:
    """A logic service that answers with statuses from a list, the last one for ever, and notes what it was sent."""

    def __init__(self, *statuses: int) -> None:
        self.requests: list[dict[str, str]] = []
        stand_in, left = self, list(statuses)

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                stand_in.requests.append({name.lower(): value for name, value in self.headers.items()})
                body = b'{"events":[],"error":"Traceback"}'
                self.send_response(left.pop(0) if len(left) > 1 else left[0])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer  # noqa: N815

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name="stand-in")
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextlib.contextmanager
def answering(*statuses: int) -> Iterator[StandIn]:
    """Run a stand-in for a while."""
    stand_in = StandIn(*statuses)
    try:
        yield stand_in
    finally:
        stand_in.close()


@contextlib.contextmanager
def silent() -> Iterator[str]:
    """Yield the address of a logic that accepts connections and never says a word."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def unreachable() -> str:
    """Return the address of a logic that is not there."""
    return f"http://127.0.0.1:{free_port()}"


class Browser:
    """A visitor without scripts: keeps the cookie, sends forms."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.cookie = ""

    def ask(self, method: str, path: str, fields: dict[str, str] | None = None) -> Any:
        """Return status, headers and text."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        headers = {"Cookie": self.cookie} if self.cookie else {}
        if fields is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        with contextlib.closing(connection):
            connection.request(method, path, None if fields is None else urlencode(fields), headers)
            response = connection.getresponse()
            text = response.read().decode()
        found = {name.lower(): value for name, value in response.getheaders()}
        self.cookie = found.get("set-cookie", self.cookie).partition(";")[0]
        return response.status, found, text

    def form(self, event: int) -> dict[str, str]:
        """Return the fields of the form that buys a ticket for this event."""
        _, _, text = self.ask("GET", "/shop")
        form = next(form for form in text.split("<form")[1:] if f'name="event_id" value="{event}"' in form)
        return dict(re.findall(r'<input[^>]*name="(\w+)"[^>]*value="([^"]*)"', form))


@pytest.mark.usefixtures("shop_database")
def test_a_visitor_buys_a_ticket_and_finds_it_again(frontend: Any) -> None:
    browser = Browser(frontend.port)
    form = browser.form(2)
    status, headers, _ = browser.ask("POST", "/shop/orders", form | {"quantity": "3"})
    assert status == 303
    assert re.fullmatch(r"/shop/orders/\d+", headers["location"])
    status, _, page = browser.ask("GET", headers["location"])
    assert status == 200
    assert "Northern Lights Symphony" in page
    assert "€207.00" in page
    assert headers["location"] in browser.ask("GET", "/shop/orders")[2]


@pytest.mark.usefixtures("shop_database")
def test_a_form_that_is_sent_twice_makes_one_order(frontend: Any, logic: Any) -> None:
    browser = Browser(frontend.port)
    form = browser.form(4)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: browser.ask("POST", "/shop/orders", form), range(8)))
    assert len({headers["location"] for _, headers, _ in answers}) == 1
    assert logic.ask("GET", "/events/4").body["stock"] == 49


@pytest.mark.usefixtures("shop_database")
def test_orders_are_seen_by_those_who_made_them_only(frontend: Any) -> None:
    buyer, other = Browser(frontend.port), Browser(frontend.port)
    location = buyer.ask("POST", "/shop/orders", buyer.form(2))[1]["location"]
    other.ask("GET", "/shop")
    assert other.ask("GET", location)[0] == 404
    assert location not in other.ask("GET", "/shop/orders")[2]
    assert Browser(frontend.port).ask("GET", location)[0] == 404


@pytest.mark.usefixtures("shop_database")
def test_a_form_from_elsewhere_buys_nothing(frontend: Any, logic: Any) -> None:
    browser, other = Browser(frontend.port), Browser(frontend.port)
    form = browser.form(4)
    for forged in (form | {"token": ""}, form | {"token": other.form(4)["token"]}, form | {"token": "ü"}):
        assert browser.ask("POST", "/shop/orders", forged)[0] == 403
    browser.cookie = ""
    assert browser.ask("POST", "/shop/orders", form)[0] == 403
    assert logic.ask("GET", "/events/4").body["stock"] == 50


@pytest.mark.usefixtures("shop_database")
@pytest.mark.parametrize(
    "change",
    [{"quantity": "0"}, {"quantity": "11"}, {"quantity": "two"}, {"event_id": "99999999999"}, {"key": "a b"}],
)
def test_a_form_that_was_tampered_with_gets_a_page_that_says_so(frontend: Any, change: dict[str, str]) -> None:
    browser = Browser(frontend.port)
    status, headers, page = browser.ask("POST", "/shop/orders", browser.form(2) | change)
    assert (status, headers["content-type"]) == (400, "text/html; charset=utf-8")
    assert "<h1>This form could not be read</h1>" in page


@pytest.mark.usefixtures("shop_database")
def test_what_cannot_be_ordered_is_said_in_words(frontend: Any) -> None:
    browser = Browser(frontend.port)
    form = browser.form(4)
    for number in range(5):
        assert browser.ask("POST", "/shop/orders", form | {"quantity": "10", "key": f"key-{number}"})[0] == 303
    status, _, page = browser.ask("POST", "/shop/orders", form)
    assert (status, "Not enough tickets left" in page) == (409, True)
    status, _, page = browser.ask("POST", "/shop/orders", form | {"quantity": "9", "key": "key-0"})
    assert (status, "This form was already used" in page) == (422, True)
    assert browser.ask("POST", "/shop/orders", form | {"event_id": "99"})[0] == 404
    # The list may be a second old.
    deadline = time.monotonic() + PATIENCE_SECONDS
    while "Sold out" not in browser.ask("GET", "/shop")[2]:
        assert time.monotonic() < deadline


@pytest.mark.usefixtures("shop_database")
def test_pages_keep_browsers_from_everything_but_the_page_itself(frontend: Any) -> None:
    for path in ("/shop", "/shop/orders", "/shop/nowhere"):
        headers = Browser(frontend.port).ask("GET", path)[1]
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "script" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
    cookie = Browser(frontend.port).ask("GET", "/shop")[1]["set-cookie"]
    assert {"HttpOnly", "SameSite=lax", "Path=/shop"} <= set(cookie.split("; "))
    assert "Secure" not in cookie


@pytest.mark.usefixtures("shop_database")
def test_programs_read_events_orders_and_the_books_through_the_gateway(frontend: Any, logic: Any) -> None:
    made = frontend.ask("POST", "/shop/api/orders", {"Idempotency-Key": "program-1"}, ORDER)
    again = frontend.ask("POST", "/shop/api/orders", {"Idempotency-Key": "program-1"}, ORDER)
    assert (made.status, again.status, again.body) == (201, 200, made.body)
    assert made.headers["idempotency-key"] == "program-1"
    assert made.headers["x-served-by"] == "frontend-shared"
    assert made.headers["x-logic-served-by"] == "logic-shared"
    for path in (
        "/events",
        "/events/2",
        f"/orders/{made.body['id']}",
        "/orders?customer=ada",
        "/audit?after=0&limit=10",
        "/audit/books",
    ):
        answer = frontend.ask("GET", f"/shop/api{path}")
        assert (answer.status, answer.body) == (200, logic.ask("GET", path).body)
    assert frontend.ask("GET", "/shop/api/audit").body["orders"][0]["idempotency_key"] == "program-1"


@pytest.mark.usefixtures("shop_database")
def test_an_order_without_a_key_gets_one_that_the_answer_names(frontend: Any) -> None:
    made = frontend.ask("POST", "/shop/api/orders", {}, ORDER)
    key = made.headers["idempotency-key"]
    assert made.status == 201
    assert frontend.ask("POST", "/shop/api/orders", {"Idempotency-Key": key}, ORDER).body == made.body


@pytest.mark.usefixtures("shop_database")
def test_what_programs_get_wrong_is_answered_in_json(frontend: Any) -> None:
    answers = {
        "key_invalid": frontend.ask("POST", "/shop/api/orders", {"Idempotency-Key": "a b"}, ORDER),
        "not_json": frontend.ask("POST", "/shop/api/orders", {"Content-Type": "text/plain"}, ORDER),
        "invalid": frontend.ask("POST", "/shop/api/orders", {}, ORDER | {"quantity": 0}),
        "unknown_event": frontend.ask("POST", "/shop/api/orders", {}, ORDER | {"event_id": 99}),
        "unknown_order": frontend.ask("GET", "/shop/api/orders/99999"),
        "refused": frontend.ask("GET", "/shop/api/nowhere"),
    }
    for reason, answer in answers.items():
        assert answer.body["error"] == reason
        assert 400 <= answer.status < 500
    assert frontend.ask("POST", "/shop/api/orders", {}, ORDER | {"customer": "x" * 5000}).status == 413


TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


def test_one_request_id_goes_through_frontend_and_logic(frontend: Any, logic: Any) -> None:
    answer = frontend.ask("GET", PROGRAM, {"X-Request-ID": "through-both"})
    assert answer.headers["x-request-id"] == "through-both"
    for service in (frontend, logic):
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not any(line.get("request_id") == "through-both" for line in service.log_lines()):
            assert time.monotonic() < deadline


AWAY = pytest.mark.parametrize("logic_state", ["refusing", "silent", "without a name", "failing", "unavailable"])


@contextlib.contextmanager
def away(logic_state: str) -> Iterator[str]:
    """Yield the URL of a logic service that is away in this way."""
    with contextlib.ExitStack() as stack:
        match logic_state:
            case "refusing":
                yield unreachable()
            case "silent":
                yield stack.enter_context(silent())
            case "without a name":
                yield "http://logic.invalid:8080"
            case "failing":
                yield stack.enter_context(answering(500)).url
            case _:
                yield stack.enter_context(answering(503)).url


def asked_by_many(frontend: Any) -> tuple[list[tuple[float, Any]], list[tuple[float, Any]]]:
    """Return the seconds and answers of 30 programs and 15 browsers that ask at the same moment."""
    with ThreadPoolExecutor(30) as pool:
        programs = [pool.submit(_timed, frontend.ask, "GET", PROGRAM) for _ in range(15)]
        orders = [pool.submit(_timed, frontend.ask, "POST", "/shop/api/orders", {}, ORDER) for _ in range(15)]
        pages = [pool.submit(_timed, Browser(frontend.port).ask, "GET", "/shop") for _ in range(15)]
    return [future.result() for future in programs + orders], [future.result() for future in pages]


@AWAY
def test_while_logic_is_away_everybody_gets_a_friendly_503(start_frontend: Any, logic_state: str) -> None:
    with away(logic_state) as url:
        frontend = start_frontend("frontend-alone", LOGIC_URL=url)
        programs, pages = asked_by_many(frontend)
        for _, answer in programs:
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert answer.body["error"] == "unavailable"
            assert "Traceback" not in str(answer.body)
        for _, (status, headers, text) in pages:
            assert (status, headers["retry-after"]) == (503, "1")
            assert "<h1>Back in a moment</h1>" in text
        assert frontend.ask("GET", "/readyz").status == 200


@pytest.mark.measured
@AWAY
def test_while_logic_is_away_everybody_is_answered_within_two_seconds(start_frontend: Any, logic_state: str) -> None:
    with away(logic_state) as url:
        frontend = start_frontend("frontend-alone", LOGIC_URL=url)
        programs, pages = asked_by_many(frontend)
        assert max(seconds for seconds, _ in programs + pages) < 2
        # By now the circuit is open: nobody waits any more.
        assert _timed(frontend.ask, "GET", PROGRAM)[0] < 0.5


@pytest.mark.usefixtures("shop_database")
def test_an_order_whose_fate_is_unknown_is_made_once_by_trying_again(
    start_frontend: Any, logic: Any, postgres_server: Any
) -> None:
    frontend = start_frontend("frontend-retrying", LOGIC_URL=f"http://127.0.0.1:{logic.port}")
    browser = Browser(frontend.port)
    form = browser.form(4)
    postgres_server.stop()
    try:
        status, headers, page = browser.ask("POST", "/shop/orders", form)
    finally:
        postgres_server.start()
    assert (status, headers["retry-after"]) == (503, "1")
    assert "Your order is not confirmed yet" in page
    again = dict(re.findall(r'<input[^>]*name="(\w+)"[^>]*value="([^"]*)"', page))
    assert again == form
    deadline = time.monotonic() + PATIENCE_SECONDS
    while browser.ask("POST", "/shop/orders", again)[0] != 303:
        assert time.monotonic() < deadline
    assert browser.ask("POST", "/shop/orders", again)[0] == 303
    assert logic.ask("GET", "/events/4").body["stock"] == 49


def test_a_failure_of_one_pod_is_mended_by_another_attempt_with_the_same_key(start_frontend: Any) -> None:
    with answering(500, 502, 200) as logic:
        frontend = start_frontend("frontend-fixing", LOGIC_URL=logic.url)
        assert frontend.ask("POST", "/shop/api/orders", {}, ORDER).status == 200
    assert len(logic.requests) == 3
    assert len({request["idempotency-key"] for request in logic.requests}) == 1
    assert len({request["x-request-id"] for request in logic.requests}) == 1


def test_each_attempt_belongs_to_the_trace_of_the_request_with_a_parent_of_its_own(start_frontend: Any) -> None:
    came = {"traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01", "tracestate": "vendor=1"}
    with answering(500, 200, 200) as logic:
        frontend = start_frontend("frontend-traced", LOGIC_URL=logic.url)
        assert frontend.ask("GET", PROGRAM, came).status == 200
        assert frontend.ask("GET", PROGRAM, {"traceparent": "00-nothing-01"}).status == 200
    *attempts, other = (request["traceparent"].split("-") for request in logic.requests)
    assert [(one[1], one[3]) for one in attempts] == [(TRACE_ID, "01")] * 2
    assert len({one[2] for one in attempts} | {"b7ad6b7169203331"}) == 3
    assert other[1] != TRACE_ID
    assert other[3] == "00"
    assert [request.get("tracestate") for request in logic.requests] == ["vendor=1", "vendor=1", None]
    lines = [line for line in frontend.log_lines() if line.get("trace_id") == TRACE_ID]
    assert [line["status"] for line in lines if line["message"] == "request"] == [200]


def test_a_503_is_passed_on_at_once_and_not_asked_for_again(start_frontend: Any) -> None:
    with answering(503, 200) as logic:
        frontend = start_frontend("frontend-passing", LOGIC_URL=logic.url)
        assert frontend.ask("GET", PROGRAM).status == 503
    assert len(logic.requests) == 1


@pytest.mark.usefixtures("shop_database")
def test_three_in_ten_random_500s_of_logic_are_hardly_felt(start_frontend: Any, logic: Any) -> None:
    frontend = start_frontend("frontend-brown-out", LOGIC_URL=f"http://127.0.0.1:{logic.port}")
    logic.switch("POST", {"error_rate": 0.3, "seed": 11})
    try:
        # One after the other, so that the seed alone decides which attempts fail: nothing here is left to chance.
        answers = [frontend.ask("GET", PROGRAM) for _ in range(60)]
    finally:
        failed = logic.switch("DELETE").body["requests_failed"]
    assert failed >= 10
    assert {answer.status for answer in answers} <= {200, 503}
    assert sum(answer.status == 503 for answer in answers) <= 6
    assert "logic_retries_total" in frontend.ask("GET", "/metrics").body


def test_an_answer_of_logic_that_makes_no_sense_becomes_a_friendly_page(start_frontend: Any) -> None:
    with answering(200) as logic:
        frontend = start_frontend("frontend-puzzled", LOGIC_URL=logic.url)
        status, _, page = Browser(frontend.port).ask("GET", "/shop/orders/1")
    assert status == 503
    assert "Traceback" not in page


def test_a_circuit_that_opened_closes_again_when_logic_is_back(start_frontend: Any) -> None:
    with answering(*[503] * 10, 200) as logic:
        frontend = start_frontend("frontend-closing", LOGIC_URL=logic.url)
        for _ in range(10):
            assert frontend.ask("GET", PROGRAM).status == 503
        assert frontend.ask("GET", "/readyz").body["logic_circuit"] == "open"
        assert frontend.ask("GET", PROGRAM).status == 503
        assert len(logic.requests) == 10
        started = time.monotonic()
        while frontend.ask("GET", PROGRAM).status != 200:
            assert time.monotonic() - started < 3
        assert frontend.ask("GET", "/readyz").body["logic_circuit"] == "closed"


@pytest.mark.parametrize("environment", [{"LOGIC_URL": "logic:8080"}, {"ANSWER_SECONDS": "soon"}, {"PORT": "0"}])
def test_a_setting_that_cannot_be_used_is_named(environment: dict[str, str]) -> None:
    (name,) = environment
    with pytest.raises(SettingsError, match=f"{name}: expected .*, found "):
        Settings.from_environment(environment)


def _timed(ask: Any, *arguments: Any) -> tuple[float, Any]:
    started = time.monotonic()
    answer = ask(*arguments)
    return time.monotonic() - started, answer
