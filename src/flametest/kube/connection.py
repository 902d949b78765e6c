"""How one context's API server is reached: its certificates, a proxy, credentials, and in whose name.

Everything that Flametest sends to a cluster goes through one `Connection`: its own requests, WebSockets, and what
chaostoolkit-kubernetes asks by the official package. So each carries the same headers; the official package alone
would leave the user of ``as`` out. What changes in a long run is taken up as it comes: a token in its file, the files
of certificates, what a credential program prints; and an answer of 401 makes it ask for credentials again, once.
"""

import os
import ssl
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from flametest.kube.credentials import Credentials, Proof, impersonation
from flametest.kube.entryfields import data_of, flag_of, text_of
from flametest.kube.errors import ContextError
from flametest.kube.kubeconfigs import ContextEntry
from flametest.kube.timelimits import TimeLimits
from flametest.model.proxies import proxy_for, without_secret

__all__ = ["Connection"]

_UNAUTHORIZED = 401
_SOCKS = {"socks4": "socks4", "socks4a": "socks4a", "socks5": "socks5h", "socks5h": "socks5h"}  # names go to the proxy
_PROXY_SCHEMES = ("http", "https", *_SOCKS)
_CONNECTIONS_MAX = 16


class Connection:
    """Requests to the API server of one context; safe to share between threads. Nothing is sent before the first.

    Args:
        entry: the context.
        limits: how long to wait for what.

    Raises:
        ContextError: the context cannot be used.
    """

    def __init__(self, entry: ContextEntry, limits: TimeLimits) -> None:
        self.context = entry.name
        self.limits = limits
        self.server = entry.server.rstrip("/")
        self.credentials = Credentials(entry, limits.credentials)
        self.proxy = _proxy(entry, self.server)
        self.is_verified = not flag_of(entry.name, entry.cluster, "insecure-skip-tls-verify")
        self.server_name = text_of(entry.name, entry.cluster, "tls-server-name")
        self._acting = impersonation(entry)
        self._entry = entry
        self._lock = threading.Lock()
        self._pool: Any = None
        self._made_of: object = None
        self._check_groups_can_be_sent()
        if not self.credentials.asks_a_program:
            self._made_pool(self.credentials.now())  # a certificate that cannot be used is told at once

    def request(self, method: str, url: str, **options: Any) -> Any:
        """Send a request with the headers of this context, and return the answer as ``urllib3`` has it.

        A request that was answered with 401 has done nothing, and is sent once more if there are newer credentials.

        Raises:
            urllib3.exceptions.HTTPError: there is no answer.
            CredentialsError: there are no credentials.
        """
        headers, proof = options.pop("headers", None), self.credentials.now()
        response = self._send(method, url, headers, proof, options)
        if response.status == _UNAUTHORIZED and (newer := self.credentials.renew(proof)) is not None:
            response.drain_conn()
            response = self._send(method, url, headers, newer, options)
        return response

    def identity(self, proof: Proof) -> list[tuple[str, str]]:
        """Return the headers that say who asks, and in whose name."""
        return ([("Authorization", proof.authorization)] if proof.authorization else []) + list(self._acting)

    def tls_context(self, proof: Proof) -> ssl.SSLContext:
        """Return the TLS settings of this context, made of what its files hold now.

        Raises:
            ContextError: a certificate or a key cannot be used.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if not self.is_verified:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        else:
            self._trust(context)
        certificate, key = self.credentials.certificate(proof)
        if certificate or key:
            self._present(context, certificate, key)
        return context

    def clear(self) -> None:
        """Close the idle connections; streams that are open are their readers' to close."""
        with self._lock:
            if self._pool is not None:
                self._pool.clear()

    def _send(self, method: str, url: str, given: Any, proof: Proof, options: Mapping[str, Any]) -> Any:
        from urllib3 import HTTPHeaderDict  # noqa: PLC0415 (comes with the official package)

        headers, identity = HTTPHeaderDict(given or {}), self.identity(proof)
        for name, _ in identity:
            headers.discard(name)
        for name, value in identity:
            headers.add(name, value)
        return self._made_pool(proof).request(method, url, headers=headers, **options)

    def _made_pool(self, proof: Proof) -> Any:
        """Return the pool of connections; it is created again when a certificate has changed."""
        made_of = proof.printed, self._files()
        with self._lock:
            if self._pool is None or made_of != self._made_of:
                former, self._pool, self._made_of = self._pool, self._new_pool(proof), made_of
                if former is not None:
                    former.clear()
            return self._pool

    def _files(self) -> object:
        """Return the state of each file that a pool depends on."""
        files = [self._entry.cluster.get("certificate-authority")]
        files += [self._entry.user.get(name) for name in ("client-certificate", "client-key")]
        return tuple(_state(str(path)) for path in files if path)

    def _new_pool(self, proof: Proof) -> Any:
        import urllib3  # noqa: PLC0415 (comes with the official package)

        options: dict[str, Any] = {"maxsize": _CONNECTIONS_MAX}
        if self.server.startswith("https"):
            options["ssl_context"] = self.tls_context(proof)
            options |= {"server_hostname": self.server_name} if self.server_name else {}
            if not self.is_verified:
                urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # for each request; one is told
        if not self.proxy:
            return urllib3.PoolManager(**options)
        if not self.proxy.startswith("socks"):
            return urllib3.ProxyManager(self.proxy, proxy_headers=_proxy_headers(self.proxy), **options)
        try:
            from urllib3.contrib.socks import SOCKSProxyManager  # noqa: PLC0415 (few need it)
        except ImportError as error:
            raise ContextError(
                f"context {self.context!r} goes through the proxy {without_secret(self.proxy)}, and PySocks is not "
                "installed",
                "install it with: pip install pysocks",
            ) from error
        return SOCKSProxyManager(self.proxy, **options)

    def _trust(self, context: ssl.SSLContext) -> None:
        authority = data_of(self.context, self._entry.cluster, "certificate-authority")
        if not authority:
            context.load_default_certs()
            return
        try:
            context.load_verify_locations(cadata=authority.decode("ascii"))
        except (ssl.SSLError, ValueError) as error:
            raise ContextError(
                f"context {self.context!r}: certificate-authority holds no certificate in PEM", "fix the kubeconfig"
            ) from error

    def _present(self, context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
        """Load a client certificate; the library takes it from files only."""
        with tempfile.TemporaryDirectory(prefix="flametest-") as folder:
            paths = Path(folder) / "certificate", Path(folder) / "key"
            for path, content in zip(paths, (certificate, key), strict=True):
                path.touch(mode=0o600)
                path.write_bytes(content)
            try:
                # A key that asks for a password would make the library ask at the terminal.
                context.load_cert_chain(*paths, password=lambda: b"")
            except (ssl.SSLError, ValueError) as error:
                raise ContextError(
                    f"context {self.context!r}: its client certificate and key cannot be used: they are no pair in "
                    "PEM, or the key has a password",
                    "fix the kubeconfig",
                ) from error

    def _check_groups_can_be_sent(self) -> None:
        names = [name for name, _ in self._acting]
        if len(set(names)) < len(names) and self.proxy.startswith("http") and self.server.startswith("http:"):
            raise ContextError(
                f"context {self.context!r} acts with several groups, which cannot be passed to an http server through "
                "a proxy",
                "use an https server, or exclude it with NO_PROXY",
            )


def _proxy(entry: ContextEntry, server: str) -> str:
    """Return the proxy: that of the context, whatever NO_PROXY says, else that of the environment; as kubectl does.

    Raises:
        ContextError: it is of a kind that nobody knows.
    """
    named = text_of(entry.name, entry.cluster, "proxy-url")
    proxy = named or proxy_for(server, os.environ)
    if not proxy:
        return ""
    try:
        parts = urlsplit(proxy)
        usable = parts.scheme in _PROXY_SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ContextError(
            f"context {entry.name!r} goes through the proxy {without_secret(proxy)!r}, which is none that is known "
            f"({'proxy-url of its cluster' if named else 'of the environment'})",
            "name one such as http://proxy:3128 or socks5://proxy:1080",
        )
    scheme = parts.scheme
    return proxy if scheme not in _SOCKS else f"{_SOCKS[scheme]}{proxy[len(scheme) :]}"


def _proxy_headers(proxy: str) -> dict[str, str]:
    import urllib3  # noqa: PLC0415 (comes with the official package)

    parts = urlsplit(proxy)
    if not parts.username:
        return {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return dict(urllib3.make_headers(proxy_basic_auth=pair))


def _state(path: str) -> tuple[str, int, int, int]:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return path, 0, 0, 0
    return path, found.st_ino, found.st_mtime_ns, found.st_size
