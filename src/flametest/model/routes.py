"""How an entry is reached: whom its certificate has to be signed by, and through which proxy.

Every part that asks an entry asks it in the same way: the check before a run, prober, ledger, audit and Locust. Most
are processes of their own, so that it goes to them by the environment:

    FLAMETEST_CA_FILE        certificates in PEM of the authorities that are trusted; unset for those of this machine
    FLAMETEST_INSECURE       true to trust anybody
    FLAMETEST_ENTRY_PROXY    the proxy; empty for none, unset for what `proxy_for` says

A proxy is asked as curl asks one, for an entry that the user has named: by ``https_proxy``, ``http_proxy`` and
``all_proxy``, unless ``no_proxy`` excepts its host; never for this machine's loopback.
"""

import http.client
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from flametest.model.errors import FlametestError
from flametest.model.proxies import proxy_for, without_secret

__all__ = ["CA_FILE", "ENTRY_PROXY", "INSECURE", "TRUSTED_HERE", "Route", "RouteError", "Trust", "said_by_proxy"]

CA_FILE, INSECURE, ENTRY_PROXY = "FLAMETEST_CA_FILE", "FLAMETEST_INSECURE", "FLAMETEST_ENTRY_PROXY"

_PORTS = {"http": 80, "https": 443}
_YES, _NO = ("1", "true", "yes", "on"), ("", "0", "false", "no", "off")
_PROXY_AUTHENTICATION_REQUIRED = 407


class RouteError(FlametestError):
    """An entry that cannot be asked as the options say."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Whose certificates an entry may show.

    Attributes:
        ca_file: a file of trusted authorities in PEM; empty for those of this machine.
        insecure: whether anybody is trusted.
    """

    ca_file: str = ""
    insecure: bool = False

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Trust":
        """Return what an environment says.

        Raises:
            RouteError: it says neither yes nor no.
        """
        insecure = environment.get(INSECURE, "").strip().lower()
        if insecure not in (*_YES, *_NO):
            raise RouteError(f"{INSECURE} is {insecure!r}; expected true or false", "unset it")
        return cls(environment.get(CA_FILE, ""), insecure in _YES)

    def variables(self) -> dict[str, str]:
        """Return the environment that says it."""
        named = {CA_FILE: str(Path(self.ca_file).absolute())} if self.ca_file else {}
        return named | ({INSECURE: "true"} if self.insecure else {})

    def tls_context(self) -> ssl.SSLContext:
        """Return TLS settings that trust so.

        Raises:
            RouteError: the file holds no certificates, or cannot be read.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if self.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            return context
        if not self.ca_file:
            context.load_default_certs()
            return context
        try:
            context.load_verify_locations(self.ca_file)
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            told = "holds no certificate in PEM" if isinstance(error, ssl.SSLError) else f"cannot be read: {error}"
            raise RouteError(
                f"the file of trusted authorities {self.ca_file} {told}",
                "name one with --ca-file, or FLAMETEST_CA_FILE",
            ) from error
        return context


TRUSTED_HERE = Trust()
"""Trusts the authorities of this machine."""


@dataclass(frozen=True, slots=True)
class Route:
    """How one entry is reached.

    Attributes:
        trust: whose certificates it may show.
        proxy: the proxy's URL; empty for none.
    """

    trust: Trust = TRUSTED_HERE
    proxy: str = ""

    @classmethod
    def of(cls, environment: Mapping[str, str], url: str) -> "Route":
        """Return how an environment says that ``url`` is reached.

        Raises:
            RouteError: it cannot be understood.
        """
        named = environment.get(ENTRY_PROXY)
        try:
            proxy = proxy_for(url, environment) if named is None else named
        except ValueError:  # the URL is none, which is told by whoever opens it
            proxy = ""
        return cls(Trust.of(environment), proxy)

    def variables(self) -> dict[str, str]:
        """Return the environment that says it."""
        return self.trust.variables() | ({ENTRY_PROXY: self.proxy} if self.proxy else {})

    @property
    def proxy_address(self) -> tuple[str, int] | None:
        """Return host and port of the proxy, or None without one.

        Raises:
            RouteError: it is one that a load cannot go through.
        """
        if not self.proxy:
            return None
        try:
            parts = urlsplit(self.proxy)
            host, port = parts.hostname, parts.port or 80
        except ValueError:
            parts, host, port = urlsplit(""), None, 0
        if parts.scheme != "http" or not host or parts.username:
            raise RouteError(
                f"the entry would be reached through the proxy {without_secret(self.proxy)}, and load goes through "
                "HTTP proxies without a password only",
                "except the entry's host by NO_PROXY, or name another proxy",
            )
        return host, port

    def connection(self, url: str, seconds: float) -> tuple[http.client.HTTPConnection, str]:
        """Return a connection to the entry, not yet opened, and what a request for ``url`` names as its target.

        Raises:
            RouteError: the options cannot be used.
        """
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 0)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        where = self.proxy_address or (host, port)
        if parts.scheme == "https":
            tls = http.client.HTTPSConnection(*where, timeout=seconds, context=self.trust.tls_context())
            if self.proxy:
                tls.set_tunnel(host, port)
            return tls, target
        return http.client.HTTPConnection(*where, timeout=seconds), url if self.proxy else target


def said_by_proxy(status: int, headers: Mapping[str, str]) -> bool:
    """Return whether an answer is a proxy's own, by what only a proxy says: RFC 9110 (11.7), RFC 9209, and Squid.

    ``headers`` have names in small letters.
    """
    if status < 400:
        return False
    own = "proxy-authenticate" in headers or "x-squid-error" in headers
    return own or status == _PROXY_AUTHENTICATION_REQUIRED or "error=" in headers.get("proxy-status", "")
