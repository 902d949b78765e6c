"""Hashes of pod templates, as they appear in names and in the labels pod-template-hash and controller-revision-hash.

The real controllers hash Go's memory layout, which nobody else can; the hash here is of the canonical JSON. Shape and
alphabet are the same: FNV-1a of 32 bits, its decimal digits written in the API's safe alphabet.
"""

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["same_template", "template_hash"]

_SAFE_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_TEMPLATE_HASH_LABEL = "pod-template-hash"


def template_hash(template: Mapping[str, Any], collisions: int = 0) -> str:
    """Return the hash of a pod template; ``collisions`` counts how often its name was found taken."""
    text = json.dumps(_normalised(template), sort_keys=True, separators=(",", ":"))
    if collisions:
        text += f"#{collisions}"
    digits = str(_fnv1a(text.encode()))
    return "".join(_SAFE_ALPHABET[ord(digit) % len(_SAFE_ALPHABET)] for digit in digits)


def _fnv1a(data: bytes) -> int:
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def same_template(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two pod templates mean the same, their pod-template-hash labels apart."""
    return bool(_normalised(one) == _normalised(other))


def _normalised(template: Mapping[str, Any]) -> Any:
    metadata = template.get("metadata") or {}
    labels = {key: value for key, value in (metadata.get("labels") or {}).items() if key != _TEMPLATE_HASH_LABEL}
    kept = {"labels": labels, "annotations": metadata.get("annotations") or {}}
    return _pruned({"metadata": kept, "spec": template.get("spec") or {}})


def _pruned(value: Any) -> Any:
    """Return the value without null and empty lists, which mean the same as absent; an empty object may mean more."""
    if isinstance(value, dict):
        return {key: _pruned(each) for key, each in value.items() if each is not None and each != []}
    if isinstance(value, list):
        return [_pruned(each) for each in value]
    return value
