"""Objects that the tests write."""

from collections.abc import Callable
from typing import Any

from flametest.sandbox.errors import StatusError

__all__ = ["code_of", "config_map", "deployment", "pod", "service"]


def code_of(attempt: Callable[[], object]) -> int:
    """Return the code with which something is refused; 0 when it is not."""
    try:
        attempt()
    except StatusError as error:
        return error.code
    return 0


def config_map(name: str = "one", **data: str) -> dict[str, Any]:
    """A config map in the default namespace."""
    return {"metadata": {"name": name, "namespace": "default"}, "data": data or {"k": "v"}}


def pod(name: str = "web", **spec: Any) -> dict[str, Any]:
    """A pod of one container, with the label ``app`` of its name."""
    return {
        "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
        "spec": {"containers": [{"name": "main", "image": "example/web:1"}], **spec},
    }


def deployment(name: str = "web", replicas: int = 2, **template: Any) -> dict[str, Any]:
    """A deployment of such pods."""
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": pod(name, **template)["spec"]},
        },
    }


def service(name: str = "web", **spec: Any) -> dict[str, Any]:
    """A Service in front of such pods."""
    return {
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}], **spec},
    }
