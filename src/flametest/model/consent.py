"""The consent to faults: the label by which a namespace's owner allows what is in it to be broken."""

from collections.abc import Mapping
from typing import Any

__all__ = ["CONSENT_LABEL", "CONSENT_VALUE", "has_consent"]

CONSENT_LABEL = "flametest.dev/faults"
CONSENT_VALUE = "allowed"


def has_consent(namespace: Mapping[str, Any]) -> bool:
    """Return whether a Namespace, as the API serves it or a manifest describes it, carries the label."""
    labels = (namespace.get("metadata") or {}).get("labels") or {}
    return bool(labels.get(CONSENT_LABEL) == CONSENT_VALUE)
