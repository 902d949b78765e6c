"""The certificate of the API server, the kubeconfig, and the files they are kept in."""

import datetime
import json
import socket
import ssl
import stat
import threading
from base64 import b64decode
from pathlib import Path

import pytest

from flametest.sandbox.credentials import CONTEXT_NAME, Credentials, kubeconfig, make_credentials, write_private

NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture(scope="module")
def credentials() -> Credentials:
    return make_credentials(["127.0.0.1", "10.240.0.1"], NOW)


def accepted(credentials: Credentials, folder: Path, server_name: str) -> bool:
    """Return whether a client that checks strictly trusts the server under a name or address."""
    (folder / "server.crt").write_text(credentials.server_certificate)
    (folder / "server.key").write_text(credentials.server_key)
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(folder / "server.crt", folder / "server.key")
    client_context = ssl.create_default_context(cadata=credentials.authority_certificate)
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT
    here, there = socket.socketpair()

    def serve() -> None:
        try:
            server_context.wrap_socket(there, server_side=True).close()
        except OSError:
            there.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client_context.wrap_socket(here, server_hostname=server_name):
            return True
    except ssl.SSLCertVerificationError:
        return False
    finally:
        here.close()
        thread.join(10)


@pytest.mark.parametrize(
    "name", ["127.0.0.1", "10.240.0.1", "10.96.0.1", "localhost", "kubernetes.default.svc.cluster.local"]
)
def test_the_server_is_trusted_under_its_names(credentials: Credentials, tmp_path: Path, name: str) -> None:
    assert accepted(credentials, tmp_path, name)


def test_the_server_is_not_trusted_under_another_name(credentials: Credentials, tmp_path: Path) -> None:
    assert not accepted(credentials, tmp_path, "127.0.0.9")


def test_another_sandboxs_authority_is_not_trusted(credentials: Credentials, tmp_path: Path) -> None:
    other = make_credentials(["127.0.0.1"], NOW)
    mixed = Credentials(other.authority_certificate, credentials.server_certificate, credentials.server_key, "")
    assert not accepted(mixed, tmp_path, "127.0.0.1")


def test_tokens_are_long_and_never_the_same(credentials: Credentials) -> None:
    assert len(credentials.token) >= 32
    assert make_credentials([], NOW).token != credentials.token


def test_the_kubeconfig_has_one_context_with_everything_in_it(credentials: Credentials) -> None:
    config = json.loads(kubeconfig(credentials, "https://127.0.0.1:6443", "flametest"))
    assert config["current-context"] == CONTEXT_NAME
    (context,) = config["contexts"]
    assert context["context"] == {"cluster": CONTEXT_NAME, "user": CONTEXT_NAME, "namespace": "flametest"}
    assert config["clusters"][0]["cluster"]["server"] == "https://127.0.0.1:6443"
    authority = b64decode(config["clusters"][0]["cluster"]["certificate-authority-data"]).decode()
    assert authority == credentials.authority_certificate
    assert config["users"][0]["user"] == {"token": credentials.token}


def test_a_private_file_is_readable_by_its_owner_alone_whatever_was_there_before(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]
