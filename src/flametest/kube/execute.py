"""Run a command in a pod's container, over the WebSocket of the official package.

A command that changes something is stamped as the POST that it is in Kubernetes' eyes (``pods/exec`` is a ``create``),
so that a fault injected by it has its t0; see `flametest.kube.stamps`.
"""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from flametest.kube.api import Api
from flametest.kube.errors import ApiUnreachableError, KubeError, rejection
from flametest.kube.pods import default_container
from flametest.kube.resources import PODS
from flametest.kube.stamps import stamped

__all__ = ["Begun", "Executed", "begin", "execute"]

ERROR_CHANNEL = 3  # of channel.k8s.io; it carries how the command ended
OUTPUT_CHARACTERS_MAX = 4000
_STDOUT_CHANNEL = 1


@dataclass(frozen=True, slots=True)
class Executed:
    """How a command ended.

    Attributes:
        code: its exit code; None when the connection ended before it was told, as when the container died.
        output: the first characters of standard output and standard error, 4000 where no other number was asked for.
        refusal: why the command could not be executed at all, as where the image does not have it; else empty.
    """

    code: int | None
    output: str
    refusal: str = ""

    @property
    def is_program_missing(self) -> bool:
        """Return whether it was refused because the image does not have the program, as runc and crun say it."""
        return re.search(r"executable file .*not found|no such file", self.refusal, re.IGNORECASE) is not None


@dataclass(frozen=True, slots=True)
class Begun:
    """A command that runs on, and the connection to it.

    Attributes:
        line: the first line that it wrote to standard output; empty when it ended before it wrote one.
        ended: how it ended, when it wrote none.
    """

    line: str
    ended: Executed
    _socket: Any

    def close(self) -> None:
        """Close the connection. Kubernetes lets the command run on; the sandbox ends it."""
        _close(self._socket)


@dataclass(frozen=True, slots=True)
class _Opened:
    """What the stamp notes of an opened WebSocket."""

    socket: Any
    status: int = 200


def execute(
    api: Api,
    pod: tuple[str, str],
    command: Sequence[str],
    *,
    container: str = "",
    timeout_seconds: float = 10.0,
    mutating: bool = False,
    characters_max: int = OUTPUT_CHARACTERS_MAX,
) -> Executed:
    """Run ``command`` in a container and return how it ended, after ``timeout_seconds`` at the latest.

    Args:
        api: the cluster.
        pod: the pod's namespace and name.
        command: program and arguments; no shell is involved.
        container: the container; empty for the pod's main one, which is looked up, since API servers do not choose.
        timeout_seconds: how long the command may take; its connection is closed then.
        mutating: whether it changes something, and is to be stamped.
        characters_max: how much of its output is returned.

    Raises:
        ApiRejectedError: the API refused, as it does for a pod that does not exist.
        ApiUnreachableError: the API did not answer.
    """
    socket = _opened(api, pod, command, container, timeout_seconds, mutating=mutating)
    try:
        _read_to_end(socket, timeout_seconds)
        return _executed(socket, characters_max)
    finally:
        _close(socket)


def begin(
    api: Api,
    pod: tuple[str, str],
    command: Sequence[str],
    *,
    container: str,
    timeout_seconds: float = 10.0,
    mutating: bool = False,
) -> Begun:
    """Start ``command`` in a container and return when it has written its first line, or has ended.

    The caller closes the connection, which stays open. Arguments and errors are those of `execute`.
    """
    socket = _opened(api, pod, command, container, timeout_seconds, mutating=mutating)
    try:
        with suppress(OSError):  # what was read until the connection broke is kept
            line = socket.readline_channel(_STDOUT_CHANNEL, timeout=timeout_seconds)
            return Begun(str(line), Executed(None, ""), socket) if line else Begun("", _executed(socket), socket)
        return Begun("", Executed(None, ""), socket)
    except BaseException:
        _close(socket)
        raise


def _opened(
    api: Api, pod: tuple[str, str], command: Sequence[str], container: str, timeout_seconds: float, *, mutating: bool
) -> Any:
    """Return the WebSocket of a command that was started, and stamp it if so asked."""
    import kubernetes.stream  # noqa: F401, PLC0415 (takes long, and must not count as the time of the request)

    container = container or default_container(api.get(PODS.path(*pod)))

    def opened() -> _Opened:
        return _Opened(_open(api, pod, command, container, timeout_seconds))

    return (stamped("POST", f"{PODS.path(*pod)}/exec", opened) if mutating else opened()).socket


def _executed(socket: Any, characters_max: int = OUTPUT_CHARACTERS_MAX) -> Executed:
    output = (socket.read_stdout(timeout=0) or "") + (socket.read_stderr(timeout=0) or "")
    code, refusal = _ended(socket.read_channel(ERROR_CHANNEL, timeout=0))
    return Executed(code, output[:characters_max], refusal)


def _close(socket: Any) -> None:
    socket.close()
    # Where the other side has closed first, that leaves the connection itself open.
    socket.sock.shutdown()


def _read_to_end(socket: Any, timeout_seconds: float) -> None:
    from websocket import WebSocketException  # noqa: PLC0415 (comes with the official package)

    with suppress(OSError, WebSocketException):  # what was read until the connection broke is kept
        socket.run_forever(timeout=timeout_seconds)


def _open(api: Api, pod: tuple[str, str], command: Sequence[str], container: str, timeout_seconds: float) -> Any:
    from kubernetes import client, stream  # noqa: PLC0415 (takes more than a second)

    # A client of its own: the package swaps the client's request function while it opens the WebSocket.
    own = api.official_client()
    try:
        return stream.stream(
            client.CoreV1Api(own).connect_get_namespaced_pod_exec,
            pod[1],
            pod[0],
            command=list(command),
            stdout=True,
            stderr=True,
            stdin=False,
            tty=False,
            _preload_content=False,
            _request_timeout=timeout_seconds,
            container=container,
        )
    except client.ApiException as error:
        raise _refusal(error, pod[1]) from error


def _refusal(error: Any, pod: str) -> BaseException:
    """Return what the package's one error for everything means; the status of a refused handshake is in its text."""
    if isinstance(error.__context__, KeyboardInterrupt | SystemExit | KubeError):
        return error.__context__
    refused = re.match(r"Handshake status (\d{3})", str(error.reason))
    if refused is None:
        return ApiUnreachableError(f"exec in pod {pod} got no answer: {error.reason}", "is the cluster running?")
    told = re.search(r"b'(\{.*\})'", str(error.reason))
    return rejection(int(refused[1]), (told[1] if told else str(error.reason)).encode(), f"exec in pod {pod}")


def _ended(status: str) -> tuple[int | None, str]:
    """Return the exit code and the refusal that the Status at the end of an exec tells.

    A Status that is no success and not about an exit code comes from a kubelet that could not execute the command:
    https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
    """
    try:
        told = json.loads(status)
        if told["status"] == "Success":
            return 0, ""
        if told.get("reason") != "NonZeroExitCode":
            return None, str(told["message"])
        return int(told["details"]["causes"][0]["message"]), ""
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return None, ""
