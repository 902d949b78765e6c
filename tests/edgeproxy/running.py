"""The fault proxy as a process of its own, run as in its pod, and what is told to it."""

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.addresses import free_port
from tests.patience import PATIENCE_SECONDS

__all__ = ["Echo", "Proxied", "program", "proxy"]

MODULES = Path(__file__).parents[2] / "src" / "flametest" / "edgeproxy"


class Proxied:
    """A running proxy: its port, and its switch."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, admin_port: int) -> None:
        self.process = process
        self.port = port
        self.admin_port = admin_port

    def connect(self, source: str = "") -> http.client.HTTPConnection:
        """Return a connection to the service by way of the proxy, from an address of the loopback network."""
        return http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=60, source_address=(source, 0) if source else None
        )

    def socket(self, source: str = "127.0.0.9") -> socket.socket:
        """Return a connection of bytes."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=60, source_address=(source, 0))

    def status(self, path: str = "/", source: str = "127.0.0.9", method: str = "GET", **headers: str) -> int:
        """Request a path over a fresh connection; return the status, or 0 when the connection was reset."""
        with contextlib.closing(self.connect(source)) as connection:
            try:
                connection.request(method, path, headers=headers)
                answer = connection.getresponse()
                answer.read()
            except ConnectionResetError:
                return 0
            return answer.status

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the admin port, and return its answer with the status."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=60)) as connection:
            connection.request(method, path, None if body is None else json.dumps(body))
            answer = connection.getresponse()
            return {"status": answer.status} | json.loads(answer.read())

    def on(self, *rules: dict[str, Any], seed: int = 1, seconds: float = 300, edge: str = "") -> Any:
        """Turn an edge's rules on."""
        return self.admin(
            "POST", "/faults", {"edge": edge, "rules": list(rules), "expires_seconds": seconds, "seed": seed}
        )

    def counts(self, edge: str = "") -> dict[str, int]:
        """Return what an edge has done."""
        found: dict[str, int] = self.admin("GET", f"/faults/{edge}")["counts"]
        return found

    def sound(self, **order: Any) -> Any:
        """Send soundings, and return what came of them."""
        assert self.admin("POST", "/soundings", order)["status"] == 202
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (told := self.admin("GET", "/soundings"))["done"]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return told


class Echo:
    """A TCP service that says back what it is told."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, name="echo", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), name="echoing", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            while data := connection.recv(65536):
                connection.sendall(data)


def accepts(port: int) -> bool:
    """Return whether somebody listens at a port."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def program(folder: Path) -> Path:
    """Return a folder with nothing but the program in it, as its pod has it."""
    shutil.copytree(MODULES, folder / "edgeproxy", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@contextmanager
def proxy(folder: Path, upstream: str, protocol: str, **environment: str) -> Iterator[Proxied]:
    """Run the proxy before ``upstream`` by an interpreter that sees the standard library only, and end it."""
    port, admin_port = free_port(), free_port()
    own = {"HOST": "127.0.0.1", "ROUTES": f"{port}={upstream}/{protocol}", "ADMIN_PORT": str(admin_port)}
    process = subprocess.Popen(
        [sys.executable, "-S", "-m", "edgeproxy"], cwd=folder, env={"PATH": os.environ["PATH"]} | own | environment
    )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not (accepts(port) and accepts(admin_port)):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield Proxied(process, port, admin_port)
    finally:
        process.terminate()
        assert process.wait(timeout=PATIENCE_SECONDS) == 0
