"""Who may speak to the sandbox's API, and how clients know that they speak to it: certificate, token, kubeconfig.

Created at each start by the launching process, so that the cluster process need not load a library for it, and
kept in files that their owner alone can read.
"""

import datetime
import ipaddress
import json
import os
import secrets
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from flametest.sandbox.settings import CLUSTER_DOMAIN, KUBERNETES_ADDRESS, Settings

__all__ = ["CONTEXT_NAME", "Credentials", "kubeconfig", "make_credentials", "write_private"]

CONTEXT_NAME = "flametest-sandbox"
OWN_EXTENSION = "flametest.dev/own"

_LIFETIME = datetime.timedelta(days=365)
# Clocks of a machine that was restored or suspended may lag behind the one that signs.
_LENIENCE = datetime.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Credentials:
    """PEM texts and the token of one sandbox."""

    authority_certificate: str
    server_certificate: str
    server_key: str
    token: str

    def write(self, settings: Settings) -> None:
        """Write what the cluster process reads, each file with mode 0600."""
        write_private(settings.authority_file, self.authority_certificate)
        write_private(settings.certificate_file, self.server_certificate)
        write_private(settings.key_file, self.server_key)
        write_private(settings.token_file, self.token)


def make_credentials(addresses: list[str], now: datetime.datetime) -> Credentials:
    """Return a new authority, a server certificate that it signed for ``addresses`` and the API's names, and a token.

    ``now`` is in UTC; certificates are valid for a year from then.
    """
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "flametest-sandbox-ca")])
    authority = (
        _builder(authority_name, authority_name, authority_key, authority_key, now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    server_key = ec.generate_private_key(ec.SECP256R1())
    server_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "flametest-sandbox")])
    server = (
        _builder(server_name, authority_name, server_key, authority_key, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_alternative_names(addresses)), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return Credentials(
        authority_certificate=authority.public_bytes(serialization.Encoding.PEM).decode(),
        server_certificate=server.public_bytes(serialization.Encoding.PEM).decode(),
        server_key=server_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
        token=secrets.token_urlsafe(32),
    )


def kubeconfig(credentials: Credentials, server_url: str, namespace: str) -> str:
    """Return a kubeconfig with one context; it is JSON, which every reader of YAML reads."""
    authority = b64encode(credentials.authority_certificate.encode()).decode()
    # By this, who reads the file knows that the cluster is nobody else's.
    own = [{"name": OWN_EXTENSION, "extension": {"provider": "sandbox"}}]
    cluster = {"server": server_url, "certificate-authority-data": authority, "extensions": own}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": CONTEXT_NAME,
        "clusters": [{"name": CONTEXT_NAME, "cluster": cluster}],
        "users": [{"name": CONTEXT_NAME, "user": {"token": credentials.token}}],
        "contexts": [
            {
                "name": CONTEXT_NAME,
                "context": {"cluster": CONTEXT_NAME, "user": CONTEXT_NAME, "namespace": namespace},
            }
        ],
    }
    return json.dumps(content, indent=2) + "\n"


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads, at once: readers see the old content or the new, never a part."""
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    draft.replace(path)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    now: datetime.datetime,
) -> x509.CertificateBuilder:
    # Python 3.13 and later refuse certificates without the two key identifiers.
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _LENIENCE)
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative_names(addresses: list[str]) -> list[x509.GeneralName]:
    service = "kubernetes.default"
    names = ["localhost", "kubernetes", service, f"{service}.svc", f"{service}.svc.{CLUSTER_DOMAIN}"]
    unique_addresses = sorted({*addresses, KUBERNETES_ADDRESS})
    return [
        *(x509.DNSName(name) for name in names),
        *(x509.IPAddress(ipaddress.ip_address(address)) for address in unique_addresses),
    ]
