"""chaostoolkit-kubernetes on the recorder's connection to the cluster, in place of a client that it makes itself.

That client leaves out the user of ``as``, sends what is for this machine to the proxy of HTTP_PROXY, waits for ever for
a credential program, and follows ``secrets`` to another cluster, where nobody gates what it does.
"""

import sys
from collections.abc import Mapping
from typing import Any

from chaoslib.exceptions import ActivityFailed

from flametest.chaos import session

__all__ = ["pin_extension"]

_CONTEXT = "KUBERNETES_CONTEXT"
_ELSEWHERE = ("KUBERNETES_HOST", "KUBERNETES_API_KEY", "KUBERNETES_USERNAME", "KUBERNETES_CERT_FILE")


def pin_extension() -> None:
    """Let chaostoolkit-kubernetes reach the cluster as the recorder does from now on; may be repeated."""
    import chaosk8s  # noqa: PLC0415 (takes more than a second)

    chaosk8s.create_k8s_api_client = _client
    # Its modules have taken the function over by name; those that are imported later take this one.
    for name, module in list(sys.modules.items()):
        if name.startswith("chaosk8s.") and hasattr(module, "create_k8s_api_client"):
            module.create_k8s_api_client = _client  # type: ignore[attr-defined]


def _client(secrets: Mapping[str, Any] | None = None) -> Any:
    """Return a client of the official package for the experiment's own context.

    Raises:
        ActivityFailed: ``secrets`` name another cluster.
        NoRecorderError: no experiment is recorded.
    """
    api = session.current().client.api
    given = secrets or {}
    named = str(given.get(_CONTEXT) or api.context)
    elsewhere = [name for name in _ELSEWHERE if given.get(name)]
    if named != api.context or elsewhere:
        told = f"{_CONTEXT} {named!r}" if named != api.context else ", ".join(elsewhere)
        raise ActivityFailed(
            f"the secrets of the activity name {told}, and the experiment runs in context {api.context!r}: what is "
            "done elsewhere is neither gated nor healed"
        )
    return api.official_client()
