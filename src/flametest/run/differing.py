"""What a cluster has found out about images that are not quite what their names say, told when a system is deployed.

The sandbox puts it into Warning events of its pods: a stand-in of another version, a command of a Dockerfile that it
does not follow. Whoever only looks at pods that run never sees these.
"""

from collections.abc import Iterable

from flametest.kube import KubeClient
from flametest.kube.hopeless import part_of
from flametest.kube.resources import PODS

__all__ = ["differences"]

_REASON = "ImageDiffers"


def differences(client: KubeClient, namespaces: Iterable[str]) -> list[str]:
    """Return a line for each way in which images differ, with the parts of the system that run them.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    found: dict[str, dict[str, None]] = {}
    for namespace in namespaces:
        parts = {str(pod["metadata"]["name"]): part_of(pod) for pod in client.api.listed(PODS.path(namespace)).items}
        for one in client.warnings(namespace, "Pod"):
            if one.reason == _REASON and one.name in parts:
                found.setdefault(one.message, {})[parts[one.name]] = None
    return [f"{', '.join(parts)}: {message}" for message, parts in found.items()]
