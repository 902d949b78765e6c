"""A real API server on a loopback port, in a thread of its own, for tests; run by hand it serves until Ctrl-C.

python tests/apiserver/serving.py --port 8901
"""

import argparse
import asyncio
import http.client
import json
import random
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from flametest.sandbox.apiserver import ApiServer, Registry, bootstrap
from flametest.sandbox.podaccess import PodAccess

__all__ = ["TOKEN", "Answer", "Client", "ServerThread", "self_signed"]

TOKEN = "secret"


def self_signed() -> ssl.SSLContext:
    """Return a TLS context with a certificate for loopback that is good for a day; kubectl sends tokens by TLS only."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "flametest tests")])
    now = datetime.now(UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).add_extension(names, critical=False)
    builder = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
    certificate = builder.sign(key, hashes.SHA256())
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "server.pem"
        no_password = serialization.NoEncryption()
        encodings = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        path.write_bytes(key.private_bytes(*encodings, no_password))
        with path.open("ab") as file:
            file.write(certificate.public_bytes(serialization.Encoding.PEM))
        context.load_cert_chain(path)
    return context


class ServerThread:
    """A server that is up inside its ``with`` block; ``call`` runs a function on its loop."""

    def __init__(self, pod_access: PodAccess | None = None, port: int = 0, *, tls: bool = False) -> None:
        self._sock = socket.create_server(("127.0.0.1", port))
        self.port: int = self._sock.getsockname()[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        self.registry = Registry(rng=random.Random(1))
        self.loop = asyncio.new_event_loop()
        self._server = ApiServer(self.registry, TOKEN, pod_access, self_signed() if tls else None)
        self._thread = threading.Thread(target=self.loop.run_forever, name="api-server", daemon=True)

    def __enter__(self) -> Self:
        bootstrap(self.registry)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._server.serve(self._sock), self.loop).result(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._server.close(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()
        self._sock.close()

    def call(self, function: Callable[[Registry], object]) -> None:
        """Run a function of the registry on the server's loop."""

        async def run() -> None:
            function(self.registry)

        asyncio.run_coroutine_threadsafe(run(), self.loop).result(10)


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    status: int
    body: Any
    headers: dict[str, str]
    warnings: list[str]


class Client:
    """Requests over one connection; a body that is no JSON comes back as ``{"text": ...}``."""

    def __init__(self, server: ServerThread) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)

    def close(self) -> None:
        """End the connection."""
        self._connection.close()

    def call(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None, *, raw: bytes = b""
    ) -> Answer:
        """Send a request with the token and return the answer."""
        sent = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json", **(headers or {})}
        data = raw or (None if body is None else json.dumps(body).encode())
        self._connection.request(method, path, data, {name: value for name, value in sent.items() if value})
        response = self._connection.getresponse()
        content = response.read()
        try:
            parsed = json.loads(content) if content else None
        except ValueError:
            parsed = {"text": content.decode(errors="replace")}
        warnings = response.headers.get_all("Warning") or []
        return Answer(response.status, parsed, dict(response.headers), warnings)

    def get(self, path: str, **headers: str) -> Answer:
        """Send a GET."""
        return self.call("GET", path, None, headers)

    def post(self, path: str, body: object) -> Answer:
        """Send a POST."""
        return self.call("POST", path, body)

    def patch(self, path: str, body: object, kind: str) -> Answer:
        """Send a PATCH of a kind, such as ``merge-patch+json``."""
        return self.call("PATCH", path, body, {"Content-Type": f"application/{kind}"})


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8901)
    arguments = parser.parse_args()
    with ServerThread(port=arguments.port, tls=True) as server:
        print(f"{server.url} token {TOKEN}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
