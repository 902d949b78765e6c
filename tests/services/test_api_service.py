"""The api service, run as in a pod, against real Redis and PostgreSQL."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from api_service.settings import Settings
from servicekit.settings import SettingsError
from tests.patience import PATIENCE_SECONDS


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never says a word: a dependency that hangs."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(64)
        yield listener.getsockname()[1]


def test_greets_with_the_name_of_the_answering_pod(api: Any) -> None:
    answer = api.ask("GET", "/")
    assert answer.status == 200
    assert answer.body["hostname"] == "api-shared"
    assert answer.headers["x-served-by"] == "api-shared"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nowhere", 404), ("DELETE", "/", 405), ("GET", "/healthz", 200), ("GET", "/metrics", 200)],
)
def test_every_answer_names_the_pod_and_the_request(api: Any, method: str, path: str, status: int) -> None:
    answer = api.ask(method, path)
    assert answer.status == status
    assert answer.headers["x-served-by"] == "api-shared"
    assert answer.headers["x-request-id"]


def test_a_malformed_request_is_answered_with_the_name_of_the_pod(api: Any) -> None:
    with socket.create_connection(("127.0.0.1", api.port), timeout=60) as connection:
        connection.sendall(b"NONSENSE\r\n\r\n")
        answer = connection.makefile("rb").read().lower()
    assert answer.startswith(b"http/1.1 400")
    assert b"x-served-by: api-shared" in answer


def test_the_request_id_of_the_client_is_kept_and_logged(api: Any) -> None:
    assert api.ask("GET", "/", {"X-Request-ID": "from-a-test:1"}).headers["x-request-id"] == "from-a-test:1"
    _wait_for(lambda: bool(_lines(api, "from-a-test:1")))  # it is written once the answer is on its way
    (line,) = _lines(api, "from-a-test:1")
    assert (line["method"], line["path"], line["status"], line["pod"]) == ("GET", "/", 200, "api-shared")


@pytest.mark.parametrize("identifier", ["with space", "x" * 129, '"}{'])
def test_a_request_id_that_is_not_safe_to_log_is_replaced(api: Any, identifier: str) -> None:
    assert api.ask("GET", "/", {"X-Request-ID": identifier}).headers["x-request-id"] != identifier


def test_hits_are_counted_without_gaps_under_fifty_parallel_requests(api: Any) -> None:
    before = api.ask("GET", "/hits").body["hits"]
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: api.ask("GET", "/hits"), range(200)))
    assert {answer.status for answer in answers} == {200}
    assert sorted(answer.body["hits"] for answer in answers) == list(range(before + 1, before + 201))


def test_visits_are_stored_and_listed_newest_first(api: Any, database: Any) -> None:
    stored = [api.ask("POST", "/visits") for _ in range(12)]
    assert {answer.status for answer in stored} == {201}
    found = api.ask("GET", "/visits").body
    assert found["count"] == 12
    assert [visit["id"] for visit in found["latest"]] == [answer.body["id"] for answer in stored[:1:-1]]
    assert database.execute("SELECT DISTINCT served_by FROM visits").fetchall() == [("api-shared",)]


@pytest.mark.usefixtures("database")
def test_visits_of_an_empty_database_are_none(api: Any) -> None:
    answer = api.ask("GET", "/visits")
    assert (answer.status, answer.body["count"], answer.body["latest"]) == (200, 0, [])


@pytest.mark.usefixtures("database")
def test_replicas_that_make_the_table_at_the_same_moment_do_not_fail(
    api: Any, start_api: Any, dependencies: Any
) -> None:
    replicas = [api, start_api("api-1", **dependencies), start_api("api-2", **dependencies)]
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda number: replicas[number % 3].ask("POST", "/visits"), range(24)))
    assert {answer.status for answer in answers} == {201}
    assert api.ask("GET", "/visits").body["count"] == 24


@pytest.mark.usefixtures("database")
def test_visits_survive_a_restart_of_postgres_and_the_first_request_after_it_succeeds(
    api: Any, postgres_server: Any
) -> None:
    api.ask("POST", "/visits")
    postgres_server.stop()
    try:
        away = api.ask("GET", "/visits")
        greeting = api.ask("GET", "/")
        ready = api.ask("GET", "/readyz")
    finally:
        postgres_server.start()
    _assert_friendly_503(away, "postgres")
    assert greeting.status == 200
    assert (ready.status, ready.body["postgres"]) == (200, "failing")
    back = api.ask("GET", "/visits")
    assert (back.status, back.body["count"]) == (200, 1)
    assert api.ask("GET", "/readyz").body["postgres"] == "ok"


def test_hits_continue_after_a_restart_of_redis(api: Any, redis_server: Any) -> None:
    before = api.ask("GET", "/hits").body["hits"]
    redis_server.stop()
    try:
        away = api.ask("GET", "/hits")
        greeting = api.ask("GET", "/")
    finally:
        redis_server.start()
    _assert_friendly_503(away, "redis")
    assert greeting.status == 200
    back = api.ask("GET", "/hits")
    assert (back.status, back.body["hits"]) == (200, before + 1)


def test_a_dependency_that_hangs_is_given_up_after_the_time_limit(start_api: Any, silent_port: int) -> None:
    api = start_api(
        "api-hanging",
        REDIS_URL=f"redis://127.0.0.1:{silent_port}/0",
        PGHOST="127.0.0.1",
        PGPORT=str(silent_port),
        DEPENDENCY_TIMEOUT_SECONDS="0.3",
    )
    for path, dependency in (("/hits", "redis"), ("/visits", "postgres")):
        # More than the pool has room for: those that wait for a connection have the same time limit.
        started = time.monotonic()
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(lambda _, path=path: api.ask("GET", path), range(20)))
        assert time.monotonic() - started < 2
        for answer in answers:
            _assert_friendly_503(answer, dependency)
    assert api.ask("GET", "/").status == 200


def test_a_query_that_is_blocked_is_given_up_and_the_pool_recovers(api: Any, database: Any) -> None:
    api.ask("POST", "/visits")
    with database.transaction():
        database.execute("LOCK TABLE visits IN ACCESS EXCLUSIVE MODE")
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: api.ask("POST", "/visits"), range(8)))
    for answer in answers:
        _assert_friendly_503(answer, "postgres")
    assert api.ask("POST", "/visits").status == 201


def test_without_permission_the_fault_switch_does_not_exist(start_api: Any, dependencies: Any) -> None:
    api = start_api("api-without-faults", **dependencies)
    with pytest.raises(ConnectionRefusedError):
        api.switch("GET")


def test_the_fault_switch_fails_and_delays_user_requests_but_not_probes(api: Any) -> None:
    with _faults(api, error_rate=1, latency_ms=50):
        started = time.monotonic()
        failed = api.ask("GET", "/")
        assert time.monotonic() - started >= 0.05
        assert (failed.status, failed.body["error"]) == (500, "injected")
        assert failed.headers["x-served-by"] == "api-shared"
        assert api.ask("GET", "/readyz").status == 200
        state = api.switch("GET").body
        assert state["active"]
        assert (state["requests_failed"], state["requests_delayed"]) == (1, 1)
    assert api.ask("GET", "/").status == 200


@pytest.mark.parametrize(
    "faults", [{"error_rate": 1.1}, {"error_rate": -0.1}, {"latency_ms": 30_001}, {"eror_rate": 0.5}]
)
def test_the_fault_switch_refuses_what_is_out_of_bounds_or_unknown(api: Any, faults: dict[str, float]) -> None:
    assert api.switch("POST", faults).status == 422
    assert not api.switch("GET").body["active"]


def test_on_sigterm_requests_under_way_are_finished_and_new_ones_refused(start_api: Any, dependencies: Any) -> None:
    api = start_api("api-draining", FAULTS_ENABLED="true", **dependencies)
    api.switch("POST", {"latency_ms": 2000})  # longer than a busy machine takes to see that the port is closed
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(api.ask, "GET", "/hits")
        _wait_for(lambda: api.switch("GET").body["requests_delayed"] == 1)
        api.process.send_signal(signal.SIGTERM)
        _wait_for(lambda: _refuses(api.port))
        assert not pending.done()
        assert pending.result().status == 200
    assert api.process.wait(timeout=PATIENCE_SECONDS) == 0
    assert all(line["pod"] == "api-draining" for line in api.log_lines())


def test_metrics_count_requests_by_route_and_status(start_api: Any, dependencies: Any) -> None:
    api = start_api("api-metrics", **dependencies)
    api.ask("GET", "/hits")
    api.ask("GET", "/made-up-1")
    api.ask("GET", "/made-up-2")
    text = api.ask("GET", "/metrics").body
    assert 'http_requests_total{method="GET",route="/hits",status="200"} 1.0' in text
    assert 'http_requests_total{method="any",route="unmatched",status="404"} 2.0' in text
    assert "made-up" not in text


@pytest.mark.parametrize(
    "environment",
    [{"PORT": "eighty"}, {"PORT": "70000"}, {"FAULTS_ENABLED": "perhaps"}, {"LOG_LEVEL": "LOUD"}, {"PORT": "nan"}],
)
def test_a_setting_that_cannot_be_used_is_named_with_what_was_expected(environment: dict[str, str]) -> None:
    (name,) = environment
    with pytest.raises(SettingsError, match=f"{name}: expected .*, found "):
        Settings.from_environment(environment)


def test_a_service_whose_environment_cannot_be_used_ends_with_code_2_and_says_why() -> None:
    environment = {"PORT": "eighty", "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "api_service"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("api: PORT: expected a number from 1 to 65535, found 'eighty'")


def _lines(api: Any, request_id: str) -> list[Any]:
    return [line for line in api.log_lines() if line.get("request_id") == request_id]


def _assert_friendly_503(answer: Any, dependency: str) -> None:
    assert answer.status == 503
    assert answer.headers["retry-after"] == "1"
    assert (answer.body["error"], answer.body["dependency"]) == ("unavailable", dependency)
    assert "Traceback" not in str(answer.body)


@contextlib.contextmanager
def _faults(api: Any, **faults: float) -> Iterator[Any]:
    try:
        yield api.switch("POST", faults).body
    finally:
        api.switch("DELETE")


def _refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except ConnectionRefusedError:
        return True
    return False


def _wait_for(condition: Callable[[], bool], timeout_seconds: float = 5) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
