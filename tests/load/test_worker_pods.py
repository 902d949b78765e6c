"""What the distributed load is deployed as, and where its pods find the entry."""

from pathlib import Path
from typing import Any

import pytest

from flametest.kube.pages import Listing, whole_list
from flametest.kube.resources import PODS, Object
from flametest.load import LoadError, LoadOptions
from flametest.load.distributed import inside_url
from flametest.load.worker_pods import PodLoad

LOAD = LoadOptions(40, 2.5, "http://nginx.flametest.svc:80", Path("locustfile.py"), 90, "/visits")


def pods() -> list[Object]:
    """Return the pods of a load with three workers."""
    made = PodLoad(LOAD, 3, "flametest-load-1", "secret").objects("text of the load test")
    return [obj for resource, obj in made if resource is PODS]


class Client:
    """A namespace with Services."""

    def __init__(self, services: list[Object]) -> None:
        self.api: Any = self
        self._services = services

    def get(self, path: str) -> Object:
        assert path == "/api/v1/namespaces/flametest/services"
        return {"items": self._services}

    def listed(self, path: str) -> Listing:
        return whole_list(lambda _: self.get(path), {})


def service(name: str, port: int, node_port: int | None = None) -> Object:
    """Return a Service."""
    return {
        "metadata": {"name": name},
        "spec": {"ports": [{"port": port} | ({"nodePort": node_port} if node_port else {})]},
    }


def test_there_are_a_master_and_as_many_workers_as_asked_for() -> None:
    assert [pod["metadata"]["name"] for pod in pods()] == [
        "locust-master",
        "locust-worker-0",
        "locust-worker-1",
        "locust-worker-2",
    ]


def test_the_master_has_the_users_and_the_workers_find_it_by_its_service() -> None:
    master, worker, *_ = [pod["spec"]["containers"][0]["args"] for pod in pods()]
    assert master[2:] == [
        *("--master", "--headless", "--only-summary", "--expect-workers", "3"),
        *("-u", "40", "-r", "40", "-t", "90s", "--host", "http://nginx.flametest.svc:80"),
    ]
    assert worker[2:] == ["--worker", "--master-host", "locust-master.flametest-load-1.svc"]


def test_every_pod_meets_the_restricted_standard_is_bounded_and_is_never_started_again() -> None:
    # https://kubernetes.io/docs/concepts/security/pod-security-standards/
    for pod in pods():
        spec, container = pod["spec"], pod["spec"]["containers"][0]
        assert spec["restartPolicy"] == "Never"
        assert spec["activeDeadlineSeconds"] == 150
        assert spec["securityContext"]["runAsNonRoot"]
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert spec["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert set(container["resources"]["requests"]) == set(container["resources"]["limits"]) == {"cpu", "memory"}
        assert pod["metadata"]["labels"]["app.kubernetes.io/name"] == "flametest-load"


def test_the_namespace_bears_the_mark_by_which_it_may_be_removed() -> None:
    labels = PodLoad(LOAD, 1, "flametest-load-1", "secret").namespace_object("flametest.dev/own")["metadata"]["labels"]
    assert labels["flametest.dev/own"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_pods_enter_by_the_service_whose_node_port_users_enter_by() -> None:
    client: Any = Client([service("api", 80), service("nginx", 8000, 30080)])
    assert inside_url(client, "flametest", "http://127.0.0.1:30080") == "http://nginx.flametest.svc:8000"


def test_an_entry_that_is_named_by_its_service_is_the_same_for_pods() -> None:
    client: Any = Client([])
    assert inside_url(client, "flametest", "http://nginx.flametest.svc") == "http://nginx.flametest.svc"


def test_an_entry_that_no_service_has_is_asked_for() -> None:
    client: Any = Client([service("nginx", 80, 30080)])
    with pytest.raises(LoadError, match="no Service of namespace 'flametest' has node port 8443"):
        inside_url(client, "flametest", "https://shop.example:8443/")


def test_the_image_has_the_locust_that_one_process_has_too() -> None:
    root = Path(__file__).parents[2]
    pinned = [line for line in (root / "loadtests" / "requirements.txt").read_text().splitlines() if line[:1] != "#"]
    assert pinned == [
        line for line in (root / "constraints.txt").read_text().splitlines() if line.startswith("locust==")
    ]
