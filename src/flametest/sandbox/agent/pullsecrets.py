"""The credentials for registries that a pod brings: the Secrets of its imagePullSecrets and of its service account.

A Secret that is not there is passed over, as the kubelet does. What a Secret holds never goes into an event or a log.
"""

import base64
import json
from typing import Any

from flametest.sandbox.objects import Object, Objects

__all__ = ["pull_credentials"]

_KEYS = {".dockerconfigjson": "auths", ".dockercfg": None}


def pull_credentials(pod: Object, objects: Objects) -> dict[str, Any]:
    """Return ``auths`` as in Docker's config.json; of two entries for one registry the first counts."""
    namespace = str(pod["metadata"]["namespace"])
    account = objects.get("serviceaccounts", namespace, str(pod["spec"].get("serviceAccountName") or "default"))
    references = [*(pod["spec"].get("imagePullSecrets") or []), *((account or {}).get("imagePullSecrets") or [])]
    found: dict[str, Any] = {}
    for reference in references:
        secret = objects.get("secrets", namespace, str(reference.get("name", "")))
        for registry, entry in _entries(secret or {}).items():
            found.setdefault(registry, entry)
    return found


def _entries(secret: Object) -> dict[str, Any]:
    for key, inner in _KEYS.items():
        text = (secret.get("data") or {}).get(key)
        if text is None:
            continue
        try:
            content = json.loads(base64.b64decode(text))
            entries = content.get(inner) or {} if inner else content
            return {str(registry): entry for registry, entry in entries.items() if isinstance(entry, dict)}
        except (ValueError, AttributeError):
            return {}
    return {}
