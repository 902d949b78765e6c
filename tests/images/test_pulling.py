"""Images from a registry: by tag and by digest, with and without a login, and with a registry that fails."""

import datetime
import ipaddress
import platform
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from flametest.sandbox.images import ImageStore, PullError
from flametest.sandbox.images.copying import pull
from flametest.sandbox.images.reference import parse_reference
from flametest.sandbox.images.unpacking import unpack
from tests.images.building import Entry, TestImage, layer
from tests.images.registry import Registry, serving

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the images are named for amd64")

IMAGE = TestImage((layer(Entry("hello", b"hello\n" * 10_000)),), {"Cmd": ["/hello"]})
OTHER = TestImage((layer(Entry("other", b"other\n")),))


@pytest.fixture
def registry() -> Iterator[Registry]:
    with serving() as made:
        yield made


def test_an_image_is_pulled_by_tag(store: ImageStore, registry: Registry, one_user: bool) -> None:
    registry.add("shop/web", "1", IMAGE)
    image = pull(store, parse_reference(f"{registry.address}/shop/web:1"), {})
    assert image.name == f"{registry.address}/shop/web:1"
    assert (unpack(store, image, one_user=one_user) / "rootfs" / "hello").read_bytes() == b"hello\n" * 10_000


def test_an_image_is_pulled_by_digest_whatever_the_tag_says_now(store: ImageStore, registry: Registry) -> None:
    digest = registry.add("shop/web", "1", IMAGE)
    registry.add("shop/web", "1", OTHER)
    image = pull(store, parse_reference(f"{registry.address}/shop/web:1@{digest}"), {})
    assert image.configuration["Cmd"] == ["/hello"]


def test_of_several_architectures_this_machines_is_taken(store: ImageStore, registry: Registry) -> None:
    foreign = TestImage(OTHER.layers, {"Cmd": ["/foreign"]}, architecture="s390x")
    registry.add("shop/web", "1", foreign, IMAGE)
    assert pull(store, parse_reference(f"{registry.address}/shop/web:1"), {}).configuration["Cmd"] == ["/hello"]


def test_layers_that_are_there_are_not_fetched_again(store: ImageStore, registry: Registry) -> None:
    registry.add("shop/web", "1", IMAGE)
    registry.add("shop/web", "2", TestImage(IMAGE.layers, {"Cmd": ["/two"]}))
    for tag in ("1", "2"):
        pull(store, parse_reference(f"{registry.address}/shop/web:{tag}"), {})
    assert len(list((store.blobs / "sha256").iterdir())) == 5  # one layer, two configurations, two manifests


@pytest.mark.parametrize(
    ("login", "given", "message"),
    [
        (("ann", "right"), {"username": "ann", "password": "right"}, ""),
        (("ann", "right"), {"username": "ann", "password": "wrong"}, "pull access denied"),
        (("ann", "right"), {}, "pull access denied"),
    ],
)
def test_a_login_is_used_and_never_told(
    store: ImageStore, registry: Registry, login: tuple[str, str], given: dict[str, str], message: str
) -> None:
    registry.login = login
    registry.add("shop/web", "1", IMAGE)
    credentials = {registry.address: given} if given else {"other.example": {"username": "x", "password": "y"}}
    reference = parse_reference(f"{registry.address}/shop/web:1")
    if not message:
        assert pull(store, reference, credentials).size_bytes > 0
        return
    with pytest.raises(PullError, match=message) as failed:
        pull(store, reference, credentials)
    assert "wrong" not in str(failed.value)
    assert not list((store.folder / "partial").iterdir())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("shop/web:none", "not found"),
        ("shop/none:1", "not found"),
        # Names in which a status or a refusal can be read.
        ("shop/denied:1", "not found"),
        ("unauthorized/web-403:403", "not found"),
        ("shop/foreign:1", "no match for platform in manifest: not found: .* for architecture"),
    ],
)
def test_what_the_registry_does_not_have_is_told(
    store: ImageStore, registry: Registry, name: str, message: str
) -> None:
    registry.add("shop/web", "1", IMAGE)
    registry.add("shop/foreign", "1", TestImage(OTHER.layers, architecture="s390x"))
    with pytest.raises(PullError, match=message) as failed:
        pull(store, parse_reference(f"{registry.address}/{name}"), {})
    assert str(failed.value).startswith(f'failed to pull and unpack image "{registry.address}/{name}"')


def test_a_registry_that_stops_in_the_middle_leaves_nothing_and_is_asked_again(
    store: ImageStore, registry: Registry
) -> None:
    registry.add("shop/web", "1", IMAGE)
    registry.stops_after = 1000
    reference = parse_reference(f"{registry.address}/shop/web:1")
    with pytest.raises(PullError, match="failed to pull and unpack"):
        pull(store, reference, {})
    assert store.images() == ()
    assert not list((store.folder / "partial").iterdir())
    assert [blob for blob in (store.blobs / "sha256").iterdir() if blob.stat().st_size > 1000] == []
    registry.stops_after = None
    assert pull(store, reference, {}).name == str(reference)


def test_a_registry_that_is_not_there_is_told(store: ImageStore) -> None:
    with pytest.raises(PullError, match="connection refused"):
        pull(store, parse_reference("127.0.0.1:1/shop/web:1"), {})


def test_a_local_registry_may_have_a_certificate_that_nobody_knows(store: ImageStore, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "registry")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number(), now, now + datetime.timedelta(1)
        )
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    (tmp_path / "tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (tmp_path / "tls.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    with serving(tmp_path / "tls.crt", tmp_path / "tls.key") as registry:
        registry.add("shop/web", "1", IMAGE)
        assert pull(store, parse_reference(f"{registry.address}/shop/web:1"), {}).size_bytes > 0
