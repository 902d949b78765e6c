"""Pods of one container that run real images: made, waited for, and read."""

from collections.abc import Callable
from typing import Any

from tests.sandbox.conftest import Api

__all__ = ["PODS", "log_of", "pod", "printed", "state_of"]

PODS = "/api/v1/namespaces/default/pods"


def pod(name: str, image: str, *command: str, **more: Any) -> dict[str, Any]:
    container = {"name": "main", "image": image, "imagePullPolicy": "IfNotPresent", **more.pop("container", {})}
    if command:
        container["command"] = list(command)
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0, "restartPolicy": "Never", **more}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def state_of(api: Api, name: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Return the state of the pod's container once it is as wanted."""
    found: dict[str, Any] = {}

    def met(listed: dict[str, Any]) -> bool:
        for one in listed["items"]:
            statuses = one.get("status", {}).get("containerStatuses") or []
            if one["metadata"]["name"] == name and statuses:
                found.update(statuses[0])
                return wanted(statuses[0]["state"])
        return False

    api.watch_until(PODS, met, seconds=60)
    return found


def log_of(api: Api, name: str) -> str:
    """Return the log of a pod whose container has ended."""
    state_of(api, name, lambda state: "terminated" in state)
    with api.open(f"{PODS}/{name}/log") as answer:
        text: str = answer.read().decode()
    return text


def printed(api: Api, name: str, image: str, script: str, **more: Any) -> str:
    """Return what a script prints in a new pod."""
    api(PODS, pod(name, image, "sh", "-c", script, **more))
    return log_of(api, name)
