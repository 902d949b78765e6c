"""Logs and exec over HTTP, against pod access that runs real commands on this machine."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest

from flametest.sandbox.apiserver.podstreams import container_of, exit_status
from flametest.sandbox.errors import StatusError
from flametest.sandbox.podaccess import ExecProcess, LogOptions
from tests.apiserver.objects import pod
from tests.apiserver.serving import TOKEN, Client, ServerThread
from tests.patience import PATIENCE_SECONDS

PODS = "/api/v1/namespaces/default/pods"


class LocalProcess:
    """A command of this machine as an `ExecProcess`; one called ``refused`` could not be executed."""

    def __init__(self, process: asyncio.subprocess.Process, refusal: str = "") -> None:
        self._process = process
        self.refusal = refusal

    async def write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(data)
        await self._process.stdin.drain()

    def close_stdin(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()

    async def output(self) -> AsyncIterator[tuple[int, bytes]]:
        for number, stream in ((1, self._process.stdout), (2, self._process.stderr)):
            assert stream is not None
            while data := await stream.read(4096):
                yield number, data

    async def wait(self) -> int:
        return await self._process.wait()

    def kill(self) -> None:
        if self._process.returncode is None:
            self._process.kill()


class LocalPods:
    """Pods whose containers are commands of this machine; the log of ``main`` tells what was asked for."""

    def __init__(self) -> None:
        self.follow_ended = asyncio.Event()
        self.asked = LogOptions()
        self.executed: list[list[str]] = []

    async def logs(self, namespace: str, pod: str, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        if options.previous:
            raise StatusError(400, "BadRequest", f"previous terminated container {container} of {pod} not found")
        self.asked = options
        yield f"{namespace}/{pod}/{container} tail={options.tail_lines}\n".encode()
        try:
            if options.follow:
                await asyncio.Event().wait()
        finally:
            self.follow_ended.set()

    def check_running(self, namespace: str, pod: str, container: str) -> None:
        """Return: it runs."""

    async def execute(
        self, namespace: str, pod: str, container: str, command: list[str], *, stdin: bool, tty: bool
    ) -> ExecProcess:
        self.executed.append(command)
        if command[0] == "late":
            raise StatusError(500, "InternalError", f'Internal error occurred: container not found ("{container}")')
        pipe = asyncio.subprocess.PIPE
        refusal = 'exec: "refused": not there' if command[0] == "refused" else ""
        started = await asyncio.create_subprocess_exec(
            *(["false"] if refusal else command), stdin=pipe, stdout=pipe, stderr=pipe
        )
        return LocalProcess(started, refusal)


@pytest.fixture(scope="module")
def pods() -> LocalPods:
    return LocalPods()


@pytest.fixture(scope="module")
def server(pods: LocalPods) -> Iterator[ServerThread]:
    with ServerThread(pods) as running:
        yield running


@pytest.fixture(scope="module")
def bound(client: Client) -> str:
    client.post(PODS, pod())
    client.post(f"{PODS}/web/binding", {"target": {"name": "sandbox-1"}})
    return f"{PODS}/web"


def test_a_log_is_plain_text(client: Client, bound: str) -> None:
    answer = client.get(f"{bound}/log?tailLines=3")
    assert answer.body == {"text": "default/web/main tail=3\n"}
    assert answer.headers["Content-Type"].startswith("text/plain")


def test_what_the_agent_refuses_is_answered_as_a_status(client: Client, bound: str) -> None:
    answer = client.get(f"{bound}/log?previous=true")
    assert (answer.status, answer.body["message"]) == (400, "previous terminated container main of web not found")


@pytest.mark.parametrize(
    ("text", "second"),
    [
        ("2026-01-01T00:00:00Z", 1_767_225_600),
        ("2026-01-01T00:00:00.900Z", 1_767_225_600),
        ("2026-01-01T01:00:00%2B01:00", 1_767_225_600),
        ("", None),
    ],
)
def test_a_log_since_a_time_is_asked_for_by_the_second(
    client: Client, pods: LocalPods, bound: str, text: str, second: int | None
) -> None:
    assert client.get(f"{bound}/log?sinceTime={text}").status == 200
    assert pods.asked.since_time == second


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("sinceTime=yesterday", 400, "sinceTime: Invalid value"),
        ("sinceTime=2026-01-01", 400, "sinceTime: Invalid value"),
        ("sinceTime=2026-01-01T00:00:00Z&sinceSeconds=5", 422, 'PodLogOptions "web" is invalid'),
    ],
)
def test_a_log_since_no_time_is_refused(client: Client, bound: str, query: str, status: int, message: str) -> None:
    answer = client.get(f"{bound}/log?{query}")
    assert answer.status == status
    assert message in answer.body["message"]


def test_a_log_of_no_container_or_pod_is_refused(client: Client, bound: str) -> None:
    assert client.get(f"{bound}/log?container=none").body["message"] == "container none is not valid for pod web"
    assert client.get(f"{PODS}/none/log").status == 404
    client.post(PODS, pod("waiting"))
    assert client.get(f"{PODS}/waiting/log").status == 400


async def test_a_followed_log_ends_with_its_client(server: ServerThread, pods: LocalPods, bound: str) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with aiohttp.ClientSession(server.url, headers=headers) as session:
        response = await session.get(f"{bound}/log?follow=true")
        assert await response.content.readline() == b"default/web/main tail=None\n"
        response.close()
    async with asyncio.timeout(PATIENCE_SECONDS):
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(pods.follow_ended.wait(), server.loop))


async def run(server: ServerThread, bound: str, command: list[str], *sent: bytes) -> dict[int, bytes]:
    """Run a command by WebSocket and return what came on each channel."""
    query = "&".join(f"command={part}" for part in command)
    received: dict[int, bytes] = {}
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with (
        asyncio.timeout(PATIENCE_SECONDS),
        aiohttp.ClientSession(server.url, headers=headers) as session,
        session.ws_connect(f"{bound}/exec?{query}&stdin=true", protocols=["v5.channel.k8s.io"]) as socket,
    ):
        assert socket.protocol == "v5.channel.k8s.io"
        for data in sent:
            await socket.send_bytes(data)
        async for message in socket:
            received[message.data[0]] = received.get(message.data[0], b"") + message.data[1:]
    return received


async def test_a_command_has_its_streams_and_its_exit_code(server: ServerThread, bound: str) -> None:
    received = await run(server, bound, ["sh", "-c", "cat;echo%20no%20%3E%262;exit%203"], b"\x00hello\n", b"\xff\x00")
    assert (received[1], received[2]) == (b"hello\n", b"no\n")
    assert json.loads(received[3]) == exit_status(3)


async def test_a_command_that_could_not_be_executed_is_an_error_without_a_code(
    server: ServerThread, bound: str
) -> None:
    status = json.loads((await run(server, bound, ["refused"]))[3])
    assert (status["status"], status["reason"], status["code"]) == ("Failure", "InternalError", 500)
    assert status["message"].startswith("Internal error occurred: error executing command in container: ")
    assert status["message"].endswith('exec: "refused": not there')


async def test_a_container_that_ends_before_the_command_starts_is_told_on_the_channel_of_errors(
    server: ServerThread, bound: str
) -> None:
    received = await run(server, bound, ["late"])
    assert list(received) == [3]
    assert json.loads(received[3])["message"] == 'Internal error occurred: container not found ("main")'


def test_no_command_starts_before_the_handshake_is_done(client: Client, pods: LocalPods, bound: str) -> None:
    answer = client.call("POST", f"{bound}/exec?command=early", None, {"Upgrade": "websocket"})
    assert answer.status == 400
    assert ["early"] not in pods.executed


async def test_a_command_that_succeeds_says_so(server: ServerThread, bound: str) -> None:
    assert json.loads((await run(server, bound, ["true"]))[3])["status"] == "Success"


def test_exec_without_a_websocket_names_the_remedy(client: Client, bound: str) -> None:
    answer = client.call("POST", f"{bound}/exec?command=true", None, {"Upgrade": "SPDY/3.1"})
    assert answer.status == 400
    assert "KUBECTL_REMOTE_COMMAND_WEBSOCKETS" in answer.body["message"]


def test_of_several_containers_one_has_to_be_named() -> None:
    several: dict[str, Any] = pod(containers=[{"name": "a"}, {"name": "b"}], nodeName="n")
    with pytest.raises(StatusError, match=r"choose one of: \[a b\]"):
        container_of(several, "", "log")
    assert container_of(several, "b", "log") == "b"
    # The annotation is for clients: Kubernetes' own API server refuses all the same.
    several["metadata"]["annotations"] = {"kubectl.kubernetes.io/default-container": "b"}
    several["spec"]["initContainers"] = [{"name": "i"}]
    with pytest.raises(StatusError, match=r"choose one of: \[a b\] or one of the init containers: \[i\]"):
        container_of(several, "", "log")
    assert container_of(several, "i", "log") == "i"
