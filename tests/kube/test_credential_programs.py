"""Credential programs: what they give is used until it expires, and none of them holds Flametest up."""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flametest.kube import KubeClient, connect
from flametest.kube.errors import ContextError, CredentialsError
from tests.certificates import Authority
from tests.kube.serving import TlsApi, context_file, serving
from tests.patience import PATIENCE_SECONDS

VERSION = "client.authentication.k8s.io/v1"


@pytest.fixture
def api() -> Iterator[TlsApi]:
    with serving() as it:
        yield it


def printing(status: Any, **others: Any) -> str:
    """Return Python that counts its runs in the file that it is given, and prints an ExecCredential."""
    document = {"apiVersion": VERSION, "kind": "ExecCredential", "status": status} | others
    return f"import sys; open(sys.argv[1], 'a').write('x'); print({json.dumps(document)!r})"


def opened(folder: Path, api: TlsApi, code: str, **program: Any) -> KubeClient:
    command = {"command": sys.executable, "args": ["-c", code, str(folder / "runs")], "apiVersion": VERSION}
    user = {"exec": command | program}
    return connect(context_file(folder / "kubeconfig", f"http://127.0.0.1:{api.port}", user), "tested")


def runs(folder: Path) -> int:
    return len((folder / "runs").read_text())


def test_one_run_serves_all_clients_of_the_process(api: TlsApi, tmp_path: Path) -> None:
    for _ in range(3):
        with opened(tmp_path, api, printing({"token": "one"})) as client:
            client.version()
    assert api.headers("authorization") == ["Bearer one"]
    assert runs(tmp_path) == 1


@pytest.mark.parametrize(("expires", "expected"), [("2099-01-01T00:00:00Z", 1), ("2020-01-01T00:00:00Z", 2)])
def test_it_runs_again_when_what_it_gave_has_expired(api: TlsApi, tmp_path: Path, expires: str, expected: int) -> None:
    with opened(tmp_path, api, printing({"token": "one", "expirationTimestamp": expires})) as client:
        client.version()
        first = runs(tmp_path)
        client.version()
    assert runs(tmp_path) - first == expected - 1


def test_it_runs_again_after_a_401(api: TlsApi, tmp_path: Path) -> None:
    code = f"import sys, json; f = open(sys.argv[1], 'a+'); f.seek(0); n = len(f.read()); f.write('x'); print(json.dumps({{'apiVersion': '{VERSION}', 'kind': 'ExecCredential', 'status': {{'token': f't{{n}}'}}}}))"  # noqa: E501
    api.accepted = {"t1"}
    with opened(tmp_path, api, code) as client:
        assert client.version() == "v1.36.2"
        assert client.version() == "v1.36.2"
    assert runs(tmp_path) == 2


def test_it_may_give_a_client_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.pair()
    status = {"clientCertificateData": pair.certificate.read_text(), "clientKeyData": pair.key.read_text()}
    user = {"exec": {"command": sys.executable, "args": ["-c", printing(status), str(tmp_path / "runs")]}}
    user["exec"]["apiVersion"] = VERSION
    cluster = {"certificate-authority": str(authority.file)}
    with serving(authority.pair("127.0.0.1").serving(trusted=authority.file)) as api:
        path = context_file(tmp_path / "k", f"https://127.0.0.1:{api.port}", user, cluster)
        with connect(path, "tested") as client:
            assert client.version() == "v1.36.2"


def test_one_that_hangs_is_ended_with_its_children_and_named(
    api: TlsApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAMETEST_CREDENTIALS_SECONDS", "1")
    script = tmp_path / "login"
    script.write_text(f"#!/bin/sh\nsleep 3600 & echo $! >> {tmp_path}/child\nwait\n")
    script.chmod(0o700)
    program = {"command": "./login", "args": ["--secret=geheim"]}
    began = time.monotonic()
    with opened(tmp_path, api, "", **program) as client:
        for _ in range(2):  # the second client is told so at once
            with pytest.raises(CredentialsError, match=r"login of context 'tested' gave nothing within 1 s") as raised:
                client.version()
    assert "geheim" not in raised.value.message + raised.value.remedy
    assert time.monotonic() - began < 20
    (child,) = (tmp_path / "child").read_text().split()
    deadline = time.monotonic() + PATIENCE_SECONDS  # a signal is sent at once, and taken when the kernel comes to it
    while _runs(int(child)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not api.heard


def test_what_it_leaves_behind_does_not_hold_it_up(api: TlsApi, tmp_path: Path) -> None:
    code = f"import subprocess; p = subprocess.Popen(['sleep', '3600']); open({str(tmp_path / 'child')!r}, 'w').write(str(p.pid)); "  # noqa: E501
    began = time.monotonic()
    with opened(tmp_path, api, code + printing({"token": "one"})) as client:
        client.version()
    assert time.monotonic() - began < 25  # its limit is 30 s
    os.kill(int((tmp_path / "child").read_text()), 9)


def test_it_has_no_terminal_and_is_told_so(api: TlsApi, tmp_path: Path) -> None:
    code = (
        "import os, sys, json; info = json.loads(os.environ['KUBERNETES_EXEC_INFO']); assert sys.stdin.read() == '';"
        "assert os.getsid(0) == os.getpid(); assert info['spec']['interactive'] is False;"
        "assert info['spec']['cluster']['server'].startswith('http://127'), info; assert os.environ['EXTRA'] == '1';"
    )
    extra = {"provideClusterInfo": True, "env": [{"name": "EXTRA", "value": "1"}], "interactiveMode": "IfAvailable"}
    with opened(tmp_path, api, code + printing({"token": "one"}), **extra) as client:
        client.version()
    with pytest.raises(CredentialsError, match="wants to ask a person"):
        opened(tmp_path, api, "", interactiveMode="Always")


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ("import sys; sys.exit('not logged in')", "ended with code 1: not logged in"),
        ("print('hello')", "printed no JSON"),
        ("print('[]')", "printed no ExecCredential"),
        ("while True: print('x' * 65536)", "prints more than any credentials are"),
        (printing(None), "neither a token nor a client certificate"),
        (printing({"token": ["x"]}), "no texts"),
        (printing({"token": "x"}, apiVersion="client.authentication.k8s.io/v1alpha1"), "where .*/v1' is asked for"),
        (printing({"clientCertificateData": "x"}), "without its key"),
        (printing({"token": "x", "expirationTimestamp": "soon"}), "which is no time"),
        (printing({"token": "a\nb"}), "what no header can"),
        (printing({"clientCertificateData": "x", "clientKeyData": "y"}), "no pair in PEM"),
    ],
)
def test_what_gives_no_credentials_is_one_clear_error(api: TlsApi, tmp_path: Path, code: str, told: str) -> None:
    server = f"https://127.0.0.1:{api.port}"
    user = {"exec": {"command": sys.executable, "args": ["-c", code, str(tmp_path / "runs")], "apiVersion": VERSION}}
    with (
        connect(context_file(tmp_path / "k", server, user), "tested") as client,
        pytest.raises(ContextError, match=told),
    ):
        client.version()
    assert not api.heard


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ({"command": ""}, "exec.command"),
        ({"command": ["x"]}, "command is not a text"),
        ({"apiVersion": "v1"}, "exec.apiVersion"),
        ({"args": "x"}, "args is not a list"),
        ({"env": {"A": "b"}}, "exec.env"),
    ],
)
def test_a_program_that_cannot_be_started_so_is_refused(api: TlsApi, tmp_path: Path, program: Any, told: str) -> None:
    with pytest.raises(ContextError, match=told):
        opened(tmp_path, api, "", **program)


def test_a_program_that_is_not_installed_is_named_with_its_hint(api: TlsApi, tmp_path: Path) -> None:
    with (
        opened(tmp_path, api, "", command="no-such-login", installHint="get it from there") as client,
        pytest.raises(CredentialsError, match="no-such-login of context 'tested' cannot be started") as raised,
    ):
        client.version()
    assert raised.value.remedy == "get it from there"


def _runs(number: int) -> bool:
    """Return whether a process runs; one that has ended and was not waited for does not."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
