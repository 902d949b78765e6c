"""A cluster in a dictionary, which answers like the API as far as faults ask, and says what was sent to it."""

import copy
import itertools
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flametest.kube.errors import ConflictError, NotFoundError
from flametest.kube.pages import Listing, whole_list
from flametest.kube.resources import (
    AUTOSCALERS,
    DAEMON_SETS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    NAMESPACES,
    NETWORK_POLICIES,
    NODES,
    PODS,
    REPLICA_SETS,
    SERVICES,
    STATEFUL_SETS,
    Object,
    Resource,
)
from flametest.sandbox.launch import SandboxOptions, start
from tests.faults.system import GIVEN_CLUSTER, NODE_PORT_ADDRESS, ROOT, System
from tests.patience import PATIENCE_SECONDS

NAMESPACE = "flametest"
_LISTED = (
    AUTOSCALERS,
    DAEMON_SETS,
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    NETWORK_POLICIES,
    NODES,
    PODS,
    REPLICA_SETS,
    SERVICES,
    STATEFUL_SETS,
)


class FakeApi:
    """Objects by the paths at which the API serves them."""

    server = "https://api.example"

    def __init__(self) -> None:
        self.objects: dict[str, Object] = {}
        self.sent: list[tuple[str, str]] = []
        self._numbers = itertools.count(1)

    def put(self, resource: Resource, obj: Object, namespace: str = NAMESPACE) -> Object:
        """Put an object in place, as if it had always been there."""
        where = namespace if resource.namespaced else ""
        metadata = {"namespace": where} if where else {}
        metadata |= {"uid": f"uid-{next(self._numbers)}", "creationTimestamp": "2026-01-01T00:00:00Z"}
        obj["metadata"] = metadata | obj["metadata"]
        self.objects[resource.path(where, obj["metadata"]["name"])] = obj
        return obj

    def get(self, path: str, query: dict[str, str] | None = None) -> Object:
        """Return an object, or a list of those below a path."""
        if path in self.objects:
            return copy.deepcopy(self.objects[path])
        plural = path.rsplit("/", 1)[1]
        if plural in {one.plural for one in _LISTED}:
            below = [obj for where, obj in sorted(self.objects.items()) if path in listed_at(where)]
            return {"items": [copy.deepcopy(one) for one in below if selected(one, query or {})]}
        raise absent("GET", path)

    def listed(self, path: str, query: dict[str, str] | None = None) -> Listing:
        """Return the list at a path."""
        return whole_list(lambda _: self.get(path, query), {})

    def send(self, method: str, path: str, body: Any = None, **_: Any) -> Object:
        """Create, merge into, or delete an object."""
        self.sent.append((method, path))
        if method == "POST":
            path = f"{path}/{body['metadata']['name']}"
            if path in self.objects:
                raise ConflictError(f"POST {path}: exists", code=409)
            stored = copy.deepcopy(body)
            stored["metadata"]["uid"] = f"uid-{next(self._numbers)}"
            self.objects[path] = stored
        elif path not in self.objects:
            raise absent(method, path)
        elif method == "DELETE":
            return self.objects.pop(path)
        else:
            merge(self.objects[path], body)
        return copy.deepcopy(self.objects[path])

    def close(self) -> None:
        """Have nothing to close."""


def absent(method: str, path: str) -> NotFoundError:
    """Return the API's own word that an object does not exist."""
    return NotFoundError(f"{method} {path}: not found", code=404, reason="NotFound", subject=path.rsplit("/", 1)[1])


class FakeClient:
    """A client of the cluster in the dictionary."""

    def __init__(self) -> None:
        self.api: Any = FakeApi()

    def close(self) -> None:
        """Have nothing to close."""


def listed_at(path: str) -> tuple[str, str]:
    """Return the path of the list of one namespace, and that of all namespaces, which have the object at a path."""
    in_namespace = path.rsplit("/", 1)[0]
    return in_namespace, re.sub("/namespaces/[^/]+/", "/", in_namespace)


def selected(obj: Object, query: dict[str, str]) -> bool:
    """Return whether a list with this label selector, of equalities only, and this node of pods, has an object."""
    node = query.get("fieldSelector", "").removeprefix("spec.nodeName=")
    if node and obj["spec"].get("nodeName") != node:
        return False
    labels = obj["metadata"].get("labels") or {}
    wanted = [part.partition("=") for part in query.get("labelSelector", "").split(",") if part]
    return all(labels.get(key) == value for key, _, value in wanted)


def merge(obj: Object, patch: Object) -> None:
    """Merge as RFC 7386 says."""
    for key, value in patch.items():
        if value is None:
            obj.pop(key, None)
        elif isinstance(value, dict):
            merge(obj.setdefault(key, {}), value)
        else:
            obj[key] = value


def pod(name: str, app: str, controller: str = "rs") -> Object:
    """Return a ready pod."""
    owner = {"kind": "ReplicaSet", "name": controller, "uid": f"uid-of-{controller}", "controller": True}
    return {
        "metadata": {"name": name, "labels": {"app": app}, "ownerReferences": [owner]},
        "spec": {"nodeName": "node-1", "containers": [{"name": "main"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], "podIP": "10.0.0.1"},
    }


@pytest.fixture
def client() -> Any:
    """A namespace that consents to faults, with three pods of one app."""
    fake = FakeClient()
    fake.api.put(NAMESPACES, {"metadata": {"name": NAMESPACE, "labels": {"flametest.dev/faults": "allowed"}}})
    for number in range(3):
        fake.api.put(PODS, pod(f"api-{number}", "api"))
    return fake


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    home = tmp_path_factory.mktemp("home")
    with _given(home) if GIVEN_CLUSTER in os.environ else _of_sandbox(home) as deployed, deployed.client as client:
        client.apply(ROOT / "manifests")
        client.wait_ready("flametest", PATIENCE_SECONDS)
        yield deployed


@contextmanager
def _of_sandbox(home: Path) -> Iterator[System]:
    images = ROOT / "manifests" / "images.toml"
    sandbox = start(SandboxOptions(home=home, node_port_address=NODE_PORT_ADDRESS, images_file=images))
    try:
        yield System(sandbox.kubeconfig, sandbox.context, home)
    finally:
        sandbox.stop()


@contextmanager
def _given(home: Path) -> Iterator[System]:
    kubeconfig, context, url = os.environ[GIVEN_CLUSTER].split(",")
    yield System(Path(kubeconfig), context, home, url)
