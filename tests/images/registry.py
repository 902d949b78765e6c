"""A small registry on loopback, as far as pulling goes, with a login if it is to have one, and with planted faults.

Protocol: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

import base64
import hashlib
import json
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.images.building import TestImage, manifest_of

__all__ = ["Registry", "serving"]

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
JSON = "application/json"
INDEX = "application/vnd.oci.image.index.v1+json"


@dataclass
class Registry:
    """What a registry has, and how it behaves.

    Attributes:
        address: host and port.
        login: user and password; empty for none.
        stops_after: how many bytes of a layer it sends before it hangs up; None for all.
        held: while it is set, layers are not sent, and their connections stay open.
        asked: the paths that were asked for.
    """

    address: str = ""
    login: tuple[str, str] = ("", "")
    stops_after: int | None = None
    held: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)
    _manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    _blobs: dict[str, bytes] = field(default_factory=dict)

    def add(self, repository: str, tag: str, *images: TestImage) -> str:
        """Add an image, or an index of images for several architectures; return its digest."""
        manifests = []
        for image in images:
            manifest, blobs = manifest_of(image)
            self._blobs |= blobs
            manifests.append((image, manifest, self._keep(repository, MANIFEST, manifest)))
        if len(manifests) == 1 and images[0].architecture == "amd64":
            content, kind = manifests[0][1], MANIFEST
        else:
            kind = INDEX
            entries = [
                {
                    "mediaType": MANIFEST,
                    "digest": digest,
                    "size": len(manifest),
                    "platform": {"architecture": image.architecture, "os": "linux"},
                }
                for image, manifest, digest in manifests
            ]
            content = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()
        digest = self._keep(repository, kind, content)
        self._manifests[f"{repository}:{tag}"] = (kind, content)
        return digest

    def answer(self, path: str, authorization: str) -> tuple[int, str, bytes]:
        """Return status, media type and body."""
        self.asked.append(path)
        if self.login[0]:
            expected = base64.b64encode(":".join(self.login).encode()).decode()
            if authorization != f"Basic {expected}":
                return (
                    401,
                    "application/json",
                    b'{"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}',
                )
        if path == "/v2/":
            return 200, JSON, b"{}"
        repository, _, rest = path.removeprefix("/v2/").partition("/manifests/")
        if rest:
            mark = "@" if rest.startswith("sha256:") else ":"
            found = self._manifests.get(f"{repository}{mark}{rest}")
            if found is not None:
                return 200, *found
            return 404, JSON, refusal("MANIFEST_UNKNOWN", "manifest unknown")
        blob = self._blobs.get(path.rpartition("/")[2])
        return (404, JSON, b"{}") if blob is None else (200, "application/octet-stream", blob)

    def _keep(self, repository: str, kind: str, content: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        self._manifests[f"{repository}@{digest}"] = (kind, content)
        return digest


def refusal(code: str, message: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


@contextmanager
def serving(certificate: Path | None = None, key: Path | None = None) -> Iterator[Registry]:
    """Serve a registry until the block ends, over TLS where there is a certificate."""
    registry = Registry()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, kind, body = registry.answer(self.path, self.headers.get("Authorization", ""))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Docker-Distribution-API-Version", "registry/2.0")
            if status == 401:
                self.send_header("WWW-Authenticate", 'Basic realm="registry"')
            self.end_headers()
            if self.command == "HEAD":
                return
            while registry.held.is_set() and "/blobs/" in self.path:
                time.sleep(0.02)
            if registry.stops_after is not None and "/blobs/" in self.path:
                body = body[: registry.stops_after]
                self.close_connection = True
            with suppress(OSError):  # who asked may have been killed
                self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        registry.address = f"127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield registry
        finally:
            registry.held.clear()
            server.shutdown()
            thread.join()
