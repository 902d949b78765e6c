"""Telling the fault proxy: by way of the API server where it reaches the pod, else from inside that pod."""

import itertools
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar

import pytest

from flametest.edgeproxy.rules import Effect, Rule
from flametest.faults.proxy_switch import ProxySwitch
from flametest.faults.switches import ADMIN_PORT
from flametest.kube.errors import ApiRejectedError, ApiUnreachableError
from flametest.kube.execute import Executed

NS = "flametest"
_pods = (f"proxy-{number}" for number in itertools.count())  # what was found out of a pod is kept


class Admin(BaseHTTPRequestHandler):
    """Answers as the proxy's own port does; ``asked`` is what came."""

    asked: ClassVar[list[tuple[str, str, str]]] = []

    def do_GET(self) -> None:
        self._answer(200, {"counts": {"units": 7}})

    def do_POST(self) -> None:
        self._answer(422 if self.path == "/callers" else 202, {"message": "no such address"})

    def do_DELETE(self) -> None:
        self._answer(200, {"active": False})

    def _answer(self, status: int, told: dict[str, Any]) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        self.asked.append((self.command, self.path, body))
        answer = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def inside(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str, str]]]:
    """Run commands of the proxy's pod here, beside a server that answers in its place; return what that was asked."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Admin) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def execute(_: Any, __: Any, command: list[str], **___: Any) -> Executed:
            line = [one.replace(f":{ADMIN_PORT}/", f":{server.server_port}/") for one in command[1:]]
            done = subprocess.run([sys.executable, *line], capture_output=True, text=True, check=False)
            return Executed(done.returncode, done.stdout + done.stderr)

        monkeypatch.setattr("flametest.faults.proxy_switch.execute", execute)
        Admin.asked = []
        yield Admin.asked
        server.shutdown()


class Api:
    """An API server that does not reach pods, in one of its ways; it counts how often it was asked to."""

    server = "https://api.example"

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.asked = 0

    def get(self, path: str, seconds: float = 0.0) -> Any:
        self.asked += 1
        raise self.error


@pytest.mark.parametrize(
    "error", [ApiUnreachableError("no answer within 3 s"), ApiRejectedError("error trying to reach service", code=503)]
)
def test_where_the_api_server_does_not_reach_it_the_proxy_is_asked_from_inside(
    inside: list[tuple[str, str, str]], error: Exception
) -> None:
    api: Any = Api(error)
    client: Any = type("Client", (), {"api": api})()
    switch = ProxySwitch(client, NS, next(_pods), "key", (10080,))
    assert switch.state() == {"counts": {"units": 7}}
    switch.turn_on([Rule(Effect(status=(503,)))], 9.0, 1)
    switch.turn_off()
    state, turned_on, turned_off = inside
    assert turned_off == ("DELETE", "/faults/key", "")
    assert state == ("GET", "/faults/key", "")
    assert turned_on[:2] == ("POST", "/faults")
    assert json.loads(turned_on[2])["expires_seconds"] == 9.0
    with pytest.raises(ApiRejectedError, match="no such address") as refused:
        switch.add_callers(["nobody"])
    assert refused.value.code == 422
    assert api.asked == 1


def test_whoever_may_not_ask_by_the_api_server_is_told_so() -> None:
    client: Any = type("Client", (), {"api": Api(ApiRejectedError("pods/proxy is forbidden", code=403))})()
    with pytest.raises(ApiRejectedError, match="forbidden"):
        ProxySwitch(client, NS, next(_pods), "key", (10080,)).state()
