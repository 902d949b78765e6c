"""Which proxy the environment names for a URL, and which hosts no proxy is ever asked for.

The variables are those that curl, kubectl and Go programs read: ``https_proxy``, ``http_proxy``, ``all_proxy`` and
``no_proxy``, in small letters or in capitals. A proxy stands elsewhere in the network, so that it cannot reach this
machine's loopback: for that it is never asked, whatever ``no_proxy`` says.
"""

import ipaddress
from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

__all__ = ["is_loopback", "proxy_for", "without_secret"]

_PORTS = {"http": 80, "https": 443}


def proxy_for(url: str, environment: Mapping[str, str]) -> str:
    """Return the URL of the proxy by which ``url`` is reached; empty for none."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host) or _is_excepted(parts, _variable(environment, "no_proxy")):
        return ""
    named = _variable(environment, f"{parts.scheme}_proxy") or _variable(environment, "all_proxy")
    return named if not named or "://" in named else f"http://{named}"


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine itself, by name or address; nothing is looked up."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def without_secret(url: str) -> str:
    """Return a proxy's URL without user and password, for people."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def _variable(environment: Mapping[str, str], name: str) -> str:
    return (environment.get(name) or environment.get(name.upper()) or "").strip()


def _is_excepted(parts: SplitResult, no_proxy: str) -> bool:
    """Return whether ``no_proxy`` names a host: by name, domain, address, network, each with or without a port."""
    host = (parts.hostname or "").rstrip(".").lower()
    port = parts.port or _PORTS.get(parts.scheme, 0)
    return any(_covers(entry.strip().lower(), host, port) for entry in no_proxy.split(",") if entry.strip())


def _covers(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        pass  # one of them is a name, or the entry has a port
    name, separator, number = entry.rpartition(":")
    if separator and number.isascii() and number.isdigit():
        if int(number) != port:
            return False
        entry = name.strip("[]")
    domain = entry.removeprefix("*").removeprefix(".")
    return host == domain or (bool(domain) and host.endswith(f".{domain}"))
