"""Credential programs: a program that a kubeconfig names, which prints who one is.

The protocol is https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins. A
program gets no terminal, since nobody may be there to answer it; it has a bounded time, and is ended with everything
that it has started when that is over. What it printed is asked for once in a process, not once for each client: a
program of a cloud takes seconds.
"""

import json
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from flametest.kube.entryfields import malformed, object_of, text_of, texts_of
from flametest.kube.errors import CredentialsError

__all__ = ["CredentialProgram", "Given", "program_of"]

_API_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_OUTPUT_BYTES_MAX = 1024 * 1024
_TOLD_CHARACTERS_MAX = 300
_LEEWAY_SECONDS = 10.0  # credentials that are about to expire would do so on their way
_FAILURE_KEPT_SECONDS = 30.0  # a program that hangs is not waited for by one client after the other
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Given:
    """What a program printed.

    Attributes:
        token: a bearer token; empty for none.
        certificate: a client certificate in PEM; empty for none.
        key: its key in PEM.
        expires_at: until when all that is good, in seconds since 1970; None for as long as it is accepted.
    """

    token: str = field(repr=False)
    certificate: bytes = field(default=b"", repr=False)
    key: bytes = field(default=b"", repr=False)
    expires_at: float | None = None


@dataclass(frozen=True, slots=True)
class _Call:
    """How a program is started; ``info`` is what it is told of the cluster."""

    context: str
    command: tuple[str, ...]
    variables: tuple[tuple[str, str], ...]
    api_version: str
    info: str
    hint: str


class CredentialProgram:
    """A credential program with what it last printed; one for all clients of a process."""

    def __init__(self, call: _Call) -> None:
        self._call = call
        self._lock = threading.Lock()
        self._given: Given | None = None
        self._failure: tuple[CredentialsError, float] | None = None

    def given(self, seconds: float) -> Given:
        """Return what it prints, within ``seconds``; it runs again only when that has expired.

        Raises:
            CredentialsError: it gave nothing in time, failed, or printed something else.
        """
        with self._lock:
            if self._given is not None and not _is_expired(self._given):
                return self._given
            if self._failure is not None and time.monotonic() < self._failure[1]:
                raise self._failure[0]
            try:
                self._given = _parsed(self._call, _output(self._call, seconds))
            except CredentialsError as error:
                self._failure = error, time.monotonic() + _FAILURE_KEPT_SECONDS
                raise
            self._failure = None
            return self._given

    def forget(self, refused: Given) -> None:
        """Ask again next time, unless somebody has done so since ``refused`` was given."""
        with self._lock:
            if self._given is refused:
                self._given = None


_programs: dict[_Call, CredentialProgram] = {}
_programs_lock = threading.Lock()


def program_of(context: str, user: Mapping[str, Any], cluster: Mapping[str, Any]) -> CredentialProgram | None:
    """Return the credential program of a user's entry, or None when it has none; starts nothing.

    Raises:
        ContextError: its entry cannot be understood.
        CredentialsError: it insists on a terminal.
    """
    entry = object_of(context, user, "exec")
    if entry is None:
        return None
    call = _call(context, entry, cluster)
    with _programs_lock:
        return _programs.setdefault(call, CredentialProgram(call))


def _call(context: str, entry: Mapping[str, Any], cluster: Mapping[str, Any]) -> _Call:
    command, version = text_of(context, entry, "command"), text_of(context, entry, "apiVersion")
    if not command:
        raise malformed(context, "exec.command", "the name of a program")
    if version not in _API_VERSIONS:
        raise malformed(context, "exec.apiVersion", f"one of {', '.join(_API_VERSIONS)}")
    if text_of(context, entry, "interactiveMode") == "Always":
        raise CredentialsError(
            f"credential program {command} of context {context!r} wants to ask a person, and Flametest gives it no "
            "terminal",
            "log in by its own command beforehand, and let its interactiveMode be IfAvailable",
        )
    variables = entry.get("env") or []
    if not isinstance(variables, list) or not all(isinstance(one, dict) and one.get("name") for one in variables):
        raise malformed(context, "exec.env", "a list of names with values")
    spec: dict[str, Any] = {"interactive": False}
    if entry.get("provideClusterInfo"):
        spec["cluster"] = _cluster_info(cluster)
    return _Call(
        context,
        (command, *texts_of(context, entry, "args")),
        tuple((text_of(context, one, "name"), text_of(context, one, "value")) for one in variables),
        version,
        json.dumps({"apiVersion": version, "kind": "ExecCredential", "spec": spec}),
        text_of(context, entry, "installHint"),
    )


def _cluster_info(cluster: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("server", "tls-server-name", "insecure-skip-tls-verify", "certificate-authority-data", "proxy-url")
    info: dict[str, Any] = {key: cluster[key] for key in kept if cluster.get(key)}
    for one in cluster.get("extensions") or []:
        if isinstance(one, dict) and one.get("name") == "client.authentication.k8s.io/exec":
            info["config"] = one.get("extension")
    return info


def _output(call: _Call, seconds: float) -> bytes:
    """Run a program and return what it printed.

    Raises:
        CredentialsError: it cannot be started, failed, did not end in time, or printed without end.
    """
    try:
        process = subprocess.Popen(
            call.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | dict(call.variables) | {"KUBERNETES_EXEC_INFO": call.info},
            start_new_session=True,  # no terminal to ask at, and a group that can be ended as a whole
        )
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", None) or error
        raise _failed(call, f"cannot be started: {told}", call.hint or "install it, or fix PATH") from error
    try:
        output, said = _read(process, call, time.monotonic() + seconds, seconds)
        code = process.wait()
    except BaseException:
        _end(process)
        raise
    finally:
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
    if code != 0:
        words = " ".join(said.decode(errors="replace").split())[-_TOLD_CHARACTERS_MAX:]
        raise _failed(
            call, f"ended with code {code}{f': {words}' if words else ''}", "run it by hand, and log in again"
        )
    return output


def _read(process: "subprocess.Popen[bytes]", call: _Call, deadline: float, seconds: float) -> tuple[bytes, bytes]:
    """Return what a program wrote to its output and to its errors, once it has ended.

    What it has started and left behind may keep both open: its own end is what counts.
    """
    assert process.stdout is not None
    assert process.stderr is not None
    output, said = bytearray(), bytearray()
    with selectors.DefaultSelector() as selector:
        for stream, content in ((process.stdout, output), (process.stderr, said)):
            os.set_blocking(stream.fileno(), False)
            selector.register(stream, selectors.EVENT_READ, content)
        while True:
            has_ended = os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
            has_read = _take(selector, 0 if has_ended else _POLL_SECONDS)
            if has_ended and not has_read:
                return bytes(output), bytes(said)
            if time.monotonic() >= deadline:
                raise _failed(
                    call,
                    f"gave nothing within {seconds:g} s, and was ended",
                    "run it by hand, and log in again; FLAMETEST_CREDENTIALS_SECONDS gives it longer",
                )
            if len(output) + len(said) > _OUTPUT_BYTES_MAX:
                raise _failed(call, "prints more than any credentials are", "fix the kubeconfig")


def _take(selector: selectors.BaseSelector, seconds: float) -> bool:
    """Read what is there, and return whether anything was; wait for so long, also once both streams have ended."""
    if not selector.get_map():
        time.sleep(seconds)
        return False
    has_read = False
    for key, _ in selector.select(seconds):
        block = os.read(key.fd, 65536)
        has_read |= bool(block)
        key.data.extend(block)
        if not block:
            selector.unregister(key.fileobj)
    return has_read


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a program that has not been waited for, so that its number is its own still, with all that it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()
    process.wait()


def _parsed(call: _Call, output: bytes) -> Given:
    """Return the credentials in an ExecCredential.

    Raises:
        CredentialsError: it is none, or has none.
    """
    remedy = "run it by hand, and see what it prints"
    try:
        document = json.loads(output)
    except (ValueError, RecursionError) as error:
        raise _failed(call, "printed no JSON", remedy) from error
    if not isinstance(document, dict) or document.get("kind") != "ExecCredential":
        raise _failed(call, "printed no ExecCredential", remedy)
    if document.get("apiVersion") != call.api_version:
        told = f"printed an ExecCredential of {document.get('apiVersion')!r} where {call.api_version!r} is asked for"
        raise _failed(call, told, "fix exec.apiVersion in the kubeconfig")
    status = document.get("status")
    texts = {
        key: status.get(key) or ""
        for key in ("token", "clientCertificateData", "clientKeyData", "expirationTimestamp")
        if isinstance(status, dict)
    }
    if not all(isinstance(text, str) and text.isascii() for text in texts.values()):
        raise _failed(call, "printed credentials that are no texts", remedy)
    if not texts or not (texts["token"] or texts["clientCertificateData"]):
        raise _failed(call, "printed neither a token nor a client certificate", remedy)
    if bool(texts["clientCertificateData"]) != bool(texts["clientKeyData"]):
        raise _failed(call, "printed a client certificate without its key, or a key alone", remedy)
    return Given(
        texts["token"].strip(),
        texts["clientCertificateData"].encode(),
        texts["clientKeyData"].encode(),
        _seconds(call, texts["expirationTimestamp"]),
    )


def _seconds(call: _Call, text: str) -> float | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError) as error:
        raise _failed(call, f"printed the expirationTimestamp {text[:40]!r}, which is no time", "fix it") from error


def _is_expired(given: Given) -> bool:
    return given.expires_at is not None and time.time() >= given.expires_at - _LEEWAY_SECONDS


def _failed(call: _Call, told: str, remedy: str) -> CredentialsError:
    # Its arguments are not told: some take passwords.
    return CredentialsError(f"credential program {call.command[0]} of context {call.context!r} {told}", remedy)
