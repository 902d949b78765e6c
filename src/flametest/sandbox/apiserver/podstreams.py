"""Reaching into pods over HTTP: logs, and commands by WebSocket (the protocols v4 and v5 of channel.k8s.io).

What runs in pods is the agent's; it is reached through `flametest.sandbox.podaccess.PodAccess`.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping

import orjson
from aiohttp import WSMsgType, web

from flametest.sandbox.apiserver.failures import bad_request, forbidden_value, invalid
from flametest.sandbox.apiserver.registry import Registry
from flametest.sandbox.apiserver.requests import is_true, number_of
from flametest.sandbox.apiserver.resources import BY_NAME
from flametest.sandbox.errors import StatusError
from flametest.sandbox.objects import Object
from flametest.sandbox.podaccess import ExecProcess, LogOptions, PodAccess, not_executed
from flametest.sandbox.timestamps import parse_time

__all__ = ["container_of", "exit_status", "log_options", "stream_exec", "stream_log"]

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
FIRST_PIECE_SECONDS = 0.2
"""How long a log may stay silent before its answer begins; a failure that comes sooner is answered as one."""

HANDSHAKE_BYTES_MAX = 4 * 1024 * 1024


def container_of(pod: Object, asked: str, purpose: str) -> str:
    """Return the container that a request is about: the one named, or the only one.

    The annotation of a default container is for clients; API servers do not look at it.

    Raises:
        StatusError: 400, there is no such container, or several to choose from; the pod is on no node.
    """
    name, spec = pod["metadata"]["name"], pod["spec"]
    regular = [container["name"] for container in spec["containers"]]
    initial = [container["name"] for container in spec.get("initContainers", ())]
    if asked and asked not in regular + initial:
        raise bad_request(f"container {asked} is not valid for pod {name}")
    if not asked:
        if len(regular) > 1:
            choice = f"[{' '.join(regular)}]" + (
                f" or one of the init containers: [{' '.join(initial)}]" if initial else ""
            )
            raise bad_request(f"a container name must be specified for pod {name}, choose one of: {choice}")
        asked = regular[0]
    if not spec.get("nodeName"):
        raise bad_request(f"pod {name} does not have a host assigned: there is nothing to {purpose} yet")
    return asked


def log_options(query: Mapping[str, str], pod: str) -> LogOptions:
    """Return what part of the log of a pod of this name a query asks for.

    Raises:
        StatusError: 400, a number or a time is broken; 422, two of them contradict each other.
    """
    options = LogOptions(
        follow=is_true(query, "follow"),
        previous=is_true(query, "previous"),
        timestamps=is_true(query, "timestamps"),
        tail_lines=number_of(query, "tailLines"),
        since_seconds=number_of(query, "sinceSeconds"),
        since_time=_second_of(query, "sinceTime"),
        limit_bytes=number_of(query, "limitBytes"),
    )
    if options.since_seconds is not None and options.since_time is not None:
        cause = forbidden_value("", "at most one of `sinceTime` or `sinceSeconds` may be specified")
        raise invalid("PodLogOptions", "", pod, [cause])
    return options


def _second_of(query: Mapping[str, str], name: str) -> int | None:
    """Return the second of a time of the query, since no more of it reaches a kubelet; None where it is absent."""
    text = query.get(name, "")
    if not text:
        return None
    try:
        moment = parse_time(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise bad_request(f"{name}: Invalid value: {orjson.dumps(text).decode()}: a time of RFC 3339 is wanted")
    return int(moment.timestamp())


def _access(pod_access: PodAccess | None) -> PodAccess:
    if pod_access is None:
        raise StatusError(503, "ServiceUnavailable", "no agent runs pods on this server")
    return pod_access


async def stream_log(
    registry: Registry, pod_access: PodAccess | None, request: web.BaseRequest, namespace: str, name: str
) -> web.StreamResponse:
    """Answer with the log of a container.

    Raises:
        StatusError: 400, 404, or what the agent answers.
    """
    pod = registry.record(BY_NAME["pods"], namespace, name).load()
    options = log_options(request.query, name)
    container = container_of(pod, request.query.get("container", ""), "log")
    pieces = aiter(_access(pod_access).logs(namespace, name, container, options))
    first = asyncio.ensure_future(anext(pieces, b""))
    try:
        await asyncio.wait({first}, timeout=FIRST_PIECE_SECONDS)
        if first.done():
            # Raises what the agent has against the request while it can still be answered with a status.
            first.result()
        response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(await first)
        async for piece in pieces:
            await response.write(piece)
        await response.write_eof()
    finally:
        first.cancel()
        await _close(pieces)
    return response


async def _close(pieces: AsyncIterator[bytes]) -> None:
    close = getattr(pieces, "aclose", None)
    if close is not None:
        await close()


def exit_status(code: int) -> Object:
    """Return the Status by which exec tells a command's exit code."""
    if code == 0:
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "reason": "NonZeroExitCode",
        "message": f"command terminated with non-zero exit code: exit code {code}",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def failed_status(refusal: str) -> Object:
    """Return the Status by which the kubelet tells that a command could not be executed."""
    told = f"error executing command in container: {not_executed(refusal)}"
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "reason": "InternalError",
        "code": 500,
        "message": f"Internal error occurred: {told}",
        "details": {"causes": [{"message": told}]},
    }


async def stream_exec(
    registry: Registry, pod_access: PodAccess | None, request: web.BaseRequest, namespace: str, name: str
) -> web.StreamResponse:
    """Run a command in a container, with its streams over a WebSocket.

    Raises:
        StatusError: 400 for a client that speaks SPDY only, 404, or what the agent answers.
    """
    pod = registry.record(BY_NAME["pods"], namespace, name).load()
    query = request.query
    container = container_of(pod, query.get("container", ""), "execute in")
    command = query.getall("command", [])
    if not command:
        raise bad_request("you must specify at least 1 command")
    if request.headers.get("Upgrade", "").lower() != "websocket":
        raise bad_request(
            "exec needs a WebSocket: use kubectl 1.31 or later, or set KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true"
        )
    access = _access(pod_access)
    access.check_running(namespace, name, container)
    socket = web.WebSocketResponse(protocols=PROTOCOLS, max_msg_size=HANDSHAKE_BYTES_MAX)
    # The command starts after the handshake, as a kubelet starts it: kubectl reads messages from then on, sets up its
    # streams meanwhile, and discards what comes before it has.
    await socket.prepare(request)
    stdin, tty = is_true(query, "stdin"), is_true(query, "tty")
    try:
        process = await access.execute(namespace, name, container, command, stdin=stdin, tty=tty)
        status = await _passed(socket, process, f"exec-stdin {namespace}/{name}")
    except StatusError as error:  # it ended meanwhile
        status = error.to_object()
    await socket.send_bytes(bytes((ERROR,)) + orjson.dumps(status))
    await socket.close()
    return socket


async def _passed(socket: web.WebSocketResponse, process: ExecProcess, title: str) -> Object:
    """Pass the streams of a command on until it has ended, and return the Status that tells how."""
    reader = asyncio.create_task(_feed(socket, process), name=title)
    try:
        async for stream, data in process.output():
            await socket.send_bytes(bytes((stream,)) + data)
        code = await process.wait()
        return failed_status(process.refusal) if process.refusal else exit_status(code)
    finally:
        process.kill()
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)


async def _feed(socket: web.WebSocketResponse, process: ExecProcess) -> None:
    """Pass what the client sends to the command's standard input; end the command when the client goes."""
    async for message in socket:
        if message.type is not WSMsgType.BINARY or not message.data:
            continue
        channel, data = message.data[0], message.data[1:]
        if channel == STDIN and data:
            await process.write(data)
        elif channel == CLOSE and data[:1] == bytes((STDIN,)):
            process.close_stdin()
    process.kill()
