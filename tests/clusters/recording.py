"""A server that answers whatever it is asked, and keeps what that was: it shows which requests were not sent."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

__all__ = ["Recording", "answering", "write_kubeconfig"]


class Recording:
    """What was asked of a server, as ``METHOD /path``, and what it answers with."""

    def __init__(self, url: str, headers: dict[str, str]) -> None:
        self.url = url
        self.headers = headers
        self.status = 200
        self.asked: list[str] = []


@contextmanager
def answering(address: str = "127.0.0.1", **headers: str) -> Iterator[Recording]:
    """Serve on a free port of a loopback address, while the block runs."""
    recording: Recording

    class Handler(BaseHTTPRequestHandler):
        """Answers everything alike."""

        def do_GET(self) -> None:
            """Answer with an object, as an API server's version."""
            recording.asked.append(f"{self.command} {self.path}")
            body = json.dumps({"gitVersion": "v1.36.2"}).encode()
            self.send_response(recording.status)
            for name, value in {"Content-Length": str(len(body)), **recording.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 (the names of the base class)

        def log_message(self, format: str, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer((address, 0), Handler)
    server.daemon_threads = True
    recording = Recording(f"http://{address}:{server.server_address[1]}", headers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="recording")
    thread.start()
    try:
        yield recording
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def write_kubeconfig(path: Path, **servers: str) -> Path:
    """Write a kubeconfig with a context for each name; the first one is the current one."""
    names = list(servers)
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": names[0],
        "clusters": [{"name": f"{name}-cluster", "cluster": {"server": url}} for name, url in servers.items()],
        "users": [{"name": f"{name}-user", "user": {"token": f"token-of-{name}"}} for name in names],
        "contexts": [
            {"name": name, "context": {"cluster": f"{name}-cluster", "user": f"{name}-user"}} for name in names
        ],
    }
    path.write_text(json.dumps(document, ensure_ascii=False))
    return path
