"""Pods of a sandbox as `scripts.bench` watches them: deleted, replaced, Ready."""

import time
from collections.abc import Callable
from typing import Any

from flametest.kube import KubeClient

__all__ = ["pods", "replacement_seconds", "until"]

_SECONDS_MAX = 60.0


def replacement_seconds(client: KubeClient, namespace: str, app: str, replicas: int) -> float:
    """Delete a pod and return how long it took until so many others of its kind were Ready."""
    victim = next(pod for pod in pods(client, namespace, app) if _ready(pod))["metadata"]
    begun = time.monotonic()
    client.api.send("DELETE", f"/api/v1/namespaces/{namespace}/pods/{victim['name']}")

    def replaced() -> bool:
        others = [pod for pod in pods(client, namespace, app) if pod["metadata"]["uid"] != victim["uid"]]
        return sum(_ready(pod) for pod in others) >= replicas

    until(replaced)
    return time.monotonic() - begun


def until(met: Callable[[], bool]) -> None:
    """Ask until a condition is met.

    Raises:
        TimeoutError: it was not met within a minute.
    """
    end = time.monotonic() + _SECONDS_MAX
    while not met():
        if time.monotonic() > end:
            raise TimeoutError(f"the pods are not as wanted after {_SECONDS_MAX:g} s")


def pods(client: KubeClient, namespace: str, app: str) -> list[dict[str, Any]]:
    """Return the pods with a label ``app``."""
    return list(client.api.get(f"/api/v1/namespaces/{namespace}/pods", {"labelSelector": f"app={app}"})["items"])


def _ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    going = "deletionTimestamp" in pod["metadata"]
    return not going and any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)
