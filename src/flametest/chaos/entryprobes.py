"""Probes by HTTP that ask the entry trust whom all here trust, unless they say by themselves whom (``verify_tls``)."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from flametest.chaos.values import Values
from flametest.model.routes import Trust

__all__ = ["trust_entry"]


def trust_entry(activity: Mapping[str, Any], values: Values, environment: Mapping[str, str]) -> None:
    """Have an activity that asks the https entry of ``environment`` trust as that says; others are left as they are.

    Raises:
        RouteError: the environment cannot be understood.
    """
    provider, trust = activity.get("provider"), Trust.of(environment)
    if not isinstance(provider, dict) or provider.get("type") != "http" or not (trust.insecure or trust.ca_file):
        return
    if _origin(str(values.fill(provider.get("url") or ""))) == _origin(environment.get("FLAMETEST_URL", "")):
        # Chaos Toolkit hands it to `requests` as ``verify``: False, or a file of authorities.
        provider.setdefault("verify_tls", False if trust.insecure else trust.ca_file)


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc.lower()
