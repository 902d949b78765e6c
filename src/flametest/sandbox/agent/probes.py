"""Probes: what they ask, how answers add up, and the asking itself.

`ProbeOptions`, `Schedule` and `Tally` are pure; `ask` does one attempt over the network or in the container. The pod
worker runs one loop a probe while its container runs.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from flametest.sandbox.objects import Object

__all__ = [
    "Answer",
    "Execute",
    "NotExecutedError",
    "ProbeKind",
    "ProbeOptions",
    "Schedule",
    "Tally",
    "ask",
    "http_get",
    "port_number",
]

ProbeKind = Literal["startup", "readiness", "liveness"]


class NotExecutedError(Exception):
    """A command could not be executed in a container, as when the image does not have it."""


Execute = Callable[[list[str]], Awaitable[tuple[int, bytes]]]
_BODY_BYTES_MAX = 10 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What one attempt found.

    Attributes:
        passed: whether the container has passed.
        message: for the event, when it has not.
        errored: the attempt itself was not possible, which counts neither way.
    """

    passed: bool
    message: str = ""
    errored: bool = False

    @property
    def told(self) -> str:
        """Return what the kubelet's event says after the kind of probe."""
        return f"probe {'errored and resulted in unknown state' if self.errored else 'failed'}: {self.message}"


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """A probe of a container's spec; times in seconds."""

    kind: ProbeKind
    spec: Object
    initial_delay_seconds: float
    period_seconds: float
    timeout_seconds: float
    success_threshold: int
    failure_threshold: int
    grace_seconds: float | None

    @classmethod
    def of(cls, kind: ProbeKind, container: Object) -> "ProbeOptions | None":
        """Return the container's probe of a kind, or None when it has none."""
        spec = container.get(f"{kind}Probe")
        if spec is None:
            return None
        grace = spec.get("terminationGracePeriodSeconds")
        return cls(
            kind,
            spec,
            float(spec.get("initialDelaySeconds", 0)),
            float(spec.get("periodSeconds", 10)),
            float(spec.get("timeoutSeconds", 1)),
            int(spec.get("successThreshold", 1)),
            int(spec.get("failureThreshold", 3)),
            None if grace is None else float(grace),
        )


class Schedule:
    """When a probe of one container instance is asked; all times in seconds of one clock.

    As with the kubelet, no attempt comes before the container's start has been noticed, and the times of the further
    ones do not depend on when that was.

    Attributes:
        due: when the next attempt is.
    """

    def __init__(self, options: ProbeOptions, began: float, notice_seconds: float, now: float) -> None:
        """Begin at ``now`` for a container that began to run at ``began``."""
        self._period_seconds = options.period_seconds
        self._tick = max(began + options.initial_delay_seconds, now)
        self.due = max(self._tick, began + notice_seconds)

    def answered(self, now: float) -> None:
        """Set when the next attempt is; a slow answer takes the place of the attempts that it has outlasted."""
        self._tick = self.due = max(self._tick + self._period_seconds, now)


@dataclass(frozen=True, slots=True)
class Tally:
    """How often in a row a probe had the same answer, and the verdict that stands (None: no verdict yet)."""

    passed: bool = False
    count: int = 0
    verdict: bool | None = None

    def add(self, passed: bool, options: ProbeOptions) -> "Tally":
        """Return the tally after one more answer; the verdict changes when a threshold is reached."""
        count = self.count + 1 if self.count and self.passed == passed else 1
        threshold = options.success_threshold if passed else options.failure_threshold
        return Tally(passed, count, passed if count >= threshold else self.verdict)


async def ask(options: ProbeOptions, container: Object, address: str, execute: Execute) -> Answer:
    """Return the answer of one attempt; failures of any kind are an answer, not an exception."""
    spec = options.spec
    try:
        async with asyncio.timeout(options.timeout_seconds):
            if "httpGet" in spec:
                return await _ask_http(spec["httpGet"], container, address)
            if "tcpSocket" in spec:
                return await _ask_tcp(spec["tcpSocket"], container, address)
            if "exec" in spec:
                code, output = await execute(list(spec["exec"].get("command") or []))
                return Answer(code == 0, output.decode(errors="replace"))
    except TimeoutError:
        what = "command timed out" if "exec" in spec else "context deadline exceeded"
        return Answer(False, what)
    except (OSError, ValueError, EOFError, NotExecutedError) as error:
        return Answer(False, str(error), errored=isinstance(error, NotExecutedError))
    return Answer(False, "the sandbox has no grpc probes; use httpGet, tcpSocket or exec")


def port_number(port: int | str, container: Object) -> int:
    """Return a port given by number or by the name of one of the container's ports.

    Raises:
        ValueError: the container has no port of that name.
    """
    if isinstance(port, int):
        return port
    for known in container.get("ports") or []:
        if known.get("name") == port:
            return int(known["containerPort"])
    if port.isdigit():
        return int(port)
    raise ValueError(f"couldn't find port: {port}")


async def http_get(url_host: str, port: int, path: str, headers: list[tuple[str, str]], *, tls: bool) -> int:
    """Return the status of one GET over a connection of its own; certificates are not checked, as by the kubelet.

    Raises:
        OSError: no connection.
        ValueError: what came back is not HTTP.
    """
    context = _unverified() if tls else None
    reader, writer = await asyncio.open_connection(url_host, port, ssl=context)
    try:
        names = {name.lower() for name, _ in headers}
        lines = [f"GET {path} HTTP/1.1"]
        if "host" not in names:
            lines.append(f"Host: {url_host}:{port}")
        if "user-agent" not in names:
            lines.append("User-Agent: kube-probe/1.36")
        lines += [f"{name}: {value}" for name, value in headers]
        lines += ["Accept: */*", "Connection: close"]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1", errors="replace"))
        status = await reader.readline()
        parts = status.split(None, 2)
        if len(parts) < 2 or not parts[0].startswith(b"HTTP/") or not parts[1].isdigit():
            raise ValueError("malformed HTTP response" if status else "EOF")
        # Read a little, so that a server that still writes is not cut off in its first words.
        await reader.read(_BODY_BYTES_MAX)
        return int(parts[1])
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _ask_http(spec: Object, container: Object, address: str) -> Answer:
    host, port = str(spec.get("host") or address), port_number(spec["port"], container)
    path = "/" + str(spec.get("path") or "/").removeprefix("/")
    headers = [(str(header["name"]), str(header["value"])) for header in spec.get("httpHeaders") or []]
    tls = spec.get("scheme", "HTTP") == "HTTPS"
    try:
        status = await http_get(host, port, path, headers, tls=tls)
    except ConnectionRefusedError:
        url = f"{'https' if tls else 'http'}://{host}:{port}{path}"
        return Answer(False, f'Get "{url}": dial tcp {host}:{port}: connect: connection refused')
    except (OSError, ValueError) as error:
        return Answer(False, f'Get "{"https" if tls else "http"}://{host}:{port}{path}": {error}')
    return Answer(200 <= status < 400, f"HTTP probe failed with statuscode: {status}")


async def _ask_tcp(spec: Object, container: Object, address: str) -> Answer:
    host, port = str(spec.get("host") or address), port_number(spec["port"], container)
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return Answer(False, f"dial tcp {host}:{port}: connect: connection refused")
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
    return Answer(True)
