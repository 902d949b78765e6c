"""A real API server on a loopback port, in a thread of its own, for tests; run by hand it serves until Ctrl-C.

    python tests/apiserver/serving.py --port 8901 --token secret
"""

import argparse
import asyncio
import random
import socket
import threading
from types import TracebackType
from typing import Self

from flametest.sandbox.apiserver import ApiServer, Registry, bootstrap
from flametest.sandbox.podaccess import PodAccess

__all__ = ["TOKEN", "ServerThread"]

TOKEN = "secret"


class ServerThread:
    """A server that is up inside its ``with`` block; ``call`` runs a function on its loop."""

    def __init__(self, pod_access: PodAccess | None = None, port: int = 0, token: str = TOKEN) -> None:
        self._sock = socket.create_server(("127.0.0.1", port))
        self.url = f"http://127.0.0.1:{self._sock.getsockname()[1]}"
        self.registry = Registry(rng=random.Random(1))
        self.loop = asyncio.new_event_loop()
        self._server = ApiServer(self.registry, token, pod_access)
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


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=8901)
    parser.add_argument("--token", default=TOKEN)
    arguments = parser.parse_args()
    with ServerThread(port=arguments.port, token=arguments.token) as server:
        print(server.url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
