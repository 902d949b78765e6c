"""How a cluster is reached: in whose name, with which token, by which certificate and proxy, and how failures read."""

import base64
import itertools
import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client as official

from flametest.kube import KubeClient, connect
from flametest.kube.errors import ApiRejectedError, ApiUnreachableError, ContextError, CredentialsError
from flametest.kube.execute import execute
from tests.apiserver.serving import TOKEN, ServerThread, self_signed
from tests.certificates import Authority
from tests.kube.serving import TlsApi, context_file, encoded, serving
from tests.proxying import HttpProxy, SocksProxy

ACTING = {
    "token": "own",
    "as": "system:serviceaccount:default:viewer",
    "as-uid": "u-1",
    "as-groups": ["system:authenticated", "zürich"],
    "as-user-extra": {"Scopes/x": ["one", "two"]},
}
VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxy_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def plain_api() -> Iterator[TlsApi]:
    with serving() as api:
        yield api


def opened(path: Path, server: str, user: Any = None, cluster: Any = None) -> KubeClient:
    return connect(context_file(path / "kubeconfig", server, user, cluster), "tested")


def acting_headers(api: TlsApi) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in api.heard[-1]:
        if name.lower().startswith("impersonate-"):
            found.setdefault(name, []).append(value.encode("latin-1").decode())
    return found


EXPECTED = {
    "Impersonate-User": ["system:serviceaccount:default:viewer"],
    "Impersonate-Uid": ["u-1"],
    "Impersonate-Group": ["system:authenticated", "zürich"],
    "Impersonate-Extra-scopes%2Fx": ["one", "two"],
}


def test_requests_streams_and_the_official_package_act_as_the_user_of_the_context(
    plain_api: TlsApi, tmp_path: Path
) -> None:
    with opened(tmp_path, f"http://127.0.0.1:{plain_api.port}", ACTING) as client:
        client.version()
        assert acting_headers(plain_api) == EXPECTED
        client.api.send("POST", "/api/v1/namespaces/x/pods", {})
        assert acting_headers(plain_api) == EXPECTED
        client.api.stream("/api/v1/pods", {"watch": "true"}, 5).close()
        assert acting_headers(plain_api) == EXPECTED
        official.VersionApi(client.api.official_client()).get_code()
        assert acting_headers(plain_api) == EXPECTED
        assert plain_api.headers("authorization") == ["Bearer own"]


def test_a_command_in_a_pod_is_run_as_the_user_of_the_context(plain_api: TlsApi, tmp_path: Path) -> None:
    with (
        opened(tmp_path, f"http://127.0.0.1:{plain_api.port}", ACTING) as client,
        pytest.raises(ApiRejectedError, match="200"),  # this server opens no WebSocket
    ):
        execute(client.api, ("shop", "api-1"), ["true"], container="api")
    assert plain_api.paths[-1].startswith("/api/v1/namespaces/shop/pods/api-1/exec?")
    assert acting_headers(plain_api) == EXPECTED


def test_the_sandboxs_own_api_refuses_what_the_user_of_the_context_may_not(tmp_path: Path) -> None:
    user = {"token": TOKEN, "as": "system:serviceaccount:default:viewer"}
    refusal = 'User "system:serviceaccount:default:viewer" cannot'
    with ServerThread() as server, opened(tmp_path, server.url, user) as client:
        for ask in (
            lambda: client.api.get("/api/v1/nodes"),
            lambda: client.api.listed("/api/v1/nodes"),
            lambda: client.api.send("DELETE", "/api/v1/namespaces/default/pods/api-1"),
            lambda: client.api.stream("/api/v1/namespaces/default/pods", {"watch": "true"}, 5),
        ):
            with pytest.raises(ApiRejectedError, match=refusal):
                ask()
        with pytest.raises(ApiRejectedError, match="403"):
            execute(client.api, ("default", "api-1"), ["true"], container="main")
        with pytest.raises(official.ApiException, match=r"default:viewer.* cannot list"):
            official.CoreV1Api(client.api.official_client()).list_namespaced_pod("default")


@pytest.mark.parametrize(
    "user",
    [
        {"as-groups": ["system:masters"]},
        {"as-uid": "1"},
        {"as": ["viewer"]},
        {"as": "viewer\r\nX: y"},
        {"as": "viewer", "as-groups": "one"},
        {"as": "viewer", "as-groups": [{}]},
        {"as": "viewer", "as-user-extra": {"scopes": "one"}},
        {"as": "viewer", "as-user-extra": ["one"]},
    ],
    ids=str,
)
def test_a_user_that_cannot_be_acted_as_is_refused(tmp_path: Path, user: Any) -> None:
    with pytest.raises(ContextError) as raised:
        opened(tmp_path, "https://127.0.0.1:1", {"token": "own"} | user)
    assert raised.value.remedy


def test_a_token_that_was_replaced_in_its_file_is_used_at_once_everywhere(plain_api: TlsApi, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first\n")
    with opened(tmp_path, f"http://127.0.0.1:{plain_api.port}", {"tokenFile": str(token)}) as client:
        client.version()
        assert plain_api.headers("authorization") == ["Bearer first"]
        replaced = tmp_path / "replaced"  # as a kubelet does: another file comes in its place
        replaced.write_text("second")
        replaced.replace(token)
        client.version()
        assert plain_api.headers("authorization") == ["Bearer second"]
        token.write_text("third")
        client.api.stream("/api/v1/pods", {"watch": "true"}, 5).close()
        assert plain_api.headers("authorization") == ["Bearer third"]
        token.write_text("fourth")
        with pytest.raises(ApiRejectedError):
            execute(client.api, ("shop", "api-1"), ["true"], container="api")
        assert plain_api.headers("authorization") == ["Bearer fourth"]
        token.unlink()
        with pytest.raises(CredentialsError, match=r"its token file .* cannot be read"):
            client.version()


def test_a_token_that_is_replaced_while_it_is_refused_is_tried_at_once(
    plain_api: TlsApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text("old")
    plain_api.accepted = {"new"}
    answer = plain_api.answer

    def renewing(exchange: Any) -> None:
        token.write_text("new")
        answer(exchange)

    monkeypatch.setattr(plain_api, "answer", renewing)
    with opened(tmp_path, f"http://127.0.0.1:{plain_api.port}", {"tokenFile": str(token)}) as client:
        client.api.send("POST", "/api/v1/pods", {})
        assert len(plain_api.heard) == 2
        plain_api.accepted = {"newer"}
        with pytest.raises(ApiRejectedError, match="401"):
            client.version()
        assert len(plain_api.heard) == 3  # nothing newer is there


SERVERS = {
    "unknown": ("its certificate is signed by an authority that is not known here", "certificate-authority-data"),
    "self-signed": ("its certificate is self-signed", "certificate-authority-data"),
    "name": ("its certificate is for another host name", "tls-server-name"),
    "expired": ("its certificate has expired", "clock"),
}


@pytest.mark.parametrize("fault", SERVERS)
def test_a_server_that_cannot_be_trusted_is_told_with_the_remedy(
    authority: Authority, tmp_path: Path, fault: str
) -> None:
    pair = authority.pair("elsewhere.example" if fault == "name" else "127.0.0.1", days=-1 if fault == "expired" else 1)
    cluster = {"certificate-authority": str(authority.file)}
    if fault == "unknown":
        cluster = {"certificate-authority-data": encoded(Authority(tmp_path, "other").file)}
    if fault == "self-signed":
        context, cluster = self_signed(), {}
    else:
        context = pair.serving()
    told, remedy = SERVERS[fault]
    with (
        serving(context) as api,
        opened(tmp_path, f"https://127.0.0.1:{api.port}", {"token": "own"}, cluster) as client,
        pytest.raises(ApiUnreachableError) as raised,
    ):
        client.version()
    assert told in raised.value.message
    assert "\n" not in raised.value.message
    assert remedy in raised.value.remedy


def test_a_certificate_is_good_for_the_name_that_the_context_gives(authority: Authority, tmp_path: Path) -> None:
    cluster = {"certificate-authority-data": encoded(authority.file), "tls-server-name": "api.example"}
    with (
        serving(authority.pair("api.example").serving()) as api,
        opened(tmp_path, f"https://127.0.0.1:{api.port}", {"token": "own"}, cluster) as client,
    ):
        assert client.version() == "v1.36.2"
        with pytest.raises(ApiRejectedError, match="200"):
            execute(client.api, ("shop", "api-1"), ["true"], container="api")


def test_a_server_that_is_not_verified_is_told_once(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    path = context_file(
        tmp_path / "k", "https://127.0.0.1:1", {}, {"insecure-skip-tls-verify": True}, name="unverified"
    )
    with serving(authority.pair("elsewhere").serving()) as api, caplog.at_level(logging.WARNING, "flametest"):
        text = path.read_text().replace("127.0.0.1:1", f"127.0.0.1:{api.port}")
        path.write_text(text)
        for _ in range(2):
            with connect(path, "unverified") as client:
                client.version()
                client.version()
    assert [one for one in caplog.messages if "is not verified" in one] == caplog.messages
    assert len(caplog.messages) == 1
    assert not recwarn.list


def test_client_certificates_are_presented_and_taken_up_when_they_are_renewed(
    authority: Authority, tmp_path: Path
) -> None:
    good, expired = authority.pair(), authority.pair(days=-1)
    user = {"client-certificate": str(tmp_path / "own.crt"), "client-key": str(tmp_path / "own.key")}
    for pair in (expired, good):
        (tmp_path / "own.crt").write_bytes(pair.certificate.read_bytes())
        (tmp_path / "own.key").write_bytes(pair.key.read_bytes())
    cluster = {"certificate-authority": str(authority.file)}
    with (
        serving(authority.pair("127.0.0.1").serving(trusted=authority.file)) as api,
        opened(tmp_path, f"https://127.0.0.1:{api.port}", user, cluster) as client,
    ):
        assert client.version() == "v1.36.2"
        (tmp_path / "own.crt").write_bytes(expired.certificate.read_bytes())
        (tmp_path / "own.key").write_bytes(expired.key.read_bytes())
        with pytest.raises(ApiUnreachableError, match="the client certificate of context 'tested' expired on"):
            client.version()


def test_an_expired_client_certificate_is_told_where_the_server_answers_with_401(
    authority: Authority, tmp_path: Path
) -> None:
    expired = authority.pair(days=-1)
    user = {"client-certificate-data": encoded(expired.certificate), "client-key-data": encoded(expired.key)}
    cluster = {"certificate-authority": str(authority.file)}
    with (
        serving(authority.pair("127.0.0.1").serving()) as api,
        opened(tmp_path, f"https://127.0.0.1:{api.port}", user, cluster) as client,
    ):
        api.accepted = set()
        with pytest.raises(ApiRejectedError, match="the client certificate of context 'tested' expired on") as raised:
            client.version()
    assert "renewed" in raised.value.remedy


@pytest.mark.parametrize("kind", [HttpProxy, SocksProxy])
def test_the_proxy_of_a_context_is_used_for_requests_and_for_commands(
    authority: Authority, tmp_path: Path, kind: Any
) -> None:
    cluster = {"certificate-authority": str(authority.file)}
    with (
        serving(authority.pair("api.example").serving()) as api,
        kind(api.port) as proxy,
        opened(tmp_path, "https://api.example:6443", ACTING, cluster | {"proxy-url": proxy.url}) as client,
    ):
        assert client.version() == "v1.36.2"
        with pytest.raises(ApiRejectedError, match="200"):
            execute(client.api, ("shop", "api-1"), ["true"], container="api")
        assert acting_headers(api) == EXPECTED
    assert [one.removeprefix("CONNECT ") for one in proxy.asked] == ["api.example:6443"] * 2


def test_a_proxy_of_the_environment_is_used_unless_the_server_is_excepted(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = {"certificate-authority": str(authority.file)}
    with serving(authority.pair("api.example", "127.0.0.1").serving()) as api, HttpProxy(api.port) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with opened(tmp_path, "https://api.example:6443", ACTING, cluster) as client:
            assert client.version() == "v1.36.2"
        assert proxy.asked == ["CONNECT api.example:6443"]
        with opened(tmp_path, f"https://127.0.0.1:{api.port}", ACTING, cluster) as client:
            assert client.version() == "v1.36.2"
        monkeypatch.setenv("NO_PROXY", "10.0.0.0/8,.example")
        with (
            opened(tmp_path, "https://api.example:6443", ACTING, cluster) as client,
            pytest.raises(ApiUnreachableError, match="does not answer"),
        ):
            client.version()
    assert len(proxy.asked) == 1


def test_a_proxy_that_refuses_is_named_without_its_password(tmp_path: Path) -> None:
    with serving() as api, HttpProxy(api.port, refuses=403) as proxy:
        cluster = {"proxy-url": proxy.url.replace("://", "://me:geheim@")}
        with (
            opened(tmp_path, "https://api.example:6443", {"token": "own"}, cluster) as client,
            pytest.raises(ApiUnreachableError, match=f"through the proxy {proxy.url}: .*403") as raised,
        ):
            client.version()
    assert "geheim" not in raised.value.message + raised.value.remedy


@pytest.mark.parametrize("proxy", ["ftp://x", "socks5://", "nothing", "http://x:99999", "http://[::1", 5, ["x"]])
def test_a_proxy_that_is_none_is_refused(tmp_path: Path, proxy: Any) -> None:
    with pytest.raises(ContextError):
        opened(tmp_path, "https://127.0.0.1:1", {}, {"proxy-url": proxy})


def test_a_server_that_never_answers_and_one_that_never_ends_are_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAMETEST_API_SECONDS", "0.3")
    ended = threading.Event()
    answers = itertools.cycle([b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"])

    def serve(listener: socket.socket) -> None:
        for answer in answers:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with sock:
                sock.recv(65536)
                sock.sendall(answer)
                while answer and not ended.wait(0.05):  # now and then a byte: no read of its own is ever late
                    try:
                        sock.sendall(b" ")
                    except OSError:
                        break
                while not answer and sock.recv(65536):
                    pass

    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=serve, args=(listener,))
    thread.start()
    began = time.monotonic()
    try:
        with opened(tmp_path, f"http://127.0.0.1:{listener.getsockname()[1]}") as client:
            for told in ("timed out", "does not end"):
                with pytest.raises(ApiUnreachableError, match=told):
                    client.version()
    finally:
        ended.set()
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()
    assert time.monotonic() - began < 20  # no figure: only that neither waited for the other side


@pytest.mark.parametrize("seconds", ["0", "-1", "x", "nan", "inf", "99999"])
def test_a_time_limit_that_is_none_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: str) -> None:
    monkeypatch.setenv("FLAMETEST_LIST_SECONDS", seconds)
    with pytest.raises(ContextError, match="FLAMETEST_LIST_SECONDS"):
        opened(tmp_path, "https://127.0.0.1:1")


def test_a_password_that_is_a_number_is_sent_as_kubectl_sends_it(plain_api: TlsApi, tmp_path: Path) -> None:
    with opened(tmp_path, f"http://127.0.0.1:{plain_api.port}", {"username": "me", "password": 123}) as client:
        client.version()
    assert plain_api.headers("authorization") == ["Basic bWU6MTIz"]


def test_tokens_of_auth_providers_are_used_while_they_are_good(plain_api: TlsApi, tmp_path: Path) -> None:
    server = f"http://127.0.0.1:{plain_api.port}"

    def token(expires_at: float) -> str:
        claims = base64.urlsafe_b64encode(json.dumps({"exp": expires_at}).encode()).decode().rstrip("=")
        return f"e30.{claims}.x"

    good = {"auth-provider": {"name": "oidc", "config": {"id-token": token(time.time() + 1000)}}}
    with opened(tmp_path, server, good) as client:
        client.version()
    assert plain_api.headers("authorization") == [f"Bearer {good['auth-provider']['config']['id-token']}"]  # type: ignore[index]
    for provider, told in (
        ({"name": "oidc", "config": {"id-token": token(1.0)}}, "has expired"),
        ({"name": "oidc"}, "is missing"),
        ({"name": "gcp", "config": {"access-token": "x"}}, "auth-provider 'gcp'"),
        ("gcp", "auth-provider is not an object"),
    ):
        with pytest.raises(ContextError, match=told):
            opened(tmp_path, server, {"auth-provider": provider})
