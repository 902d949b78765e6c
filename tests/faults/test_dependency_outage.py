"""When a dependency counts as away."""

from typing import Any

import pytest

from flametest.faults import dependency_outage
from flametest.faults.dependency_outage import DependencyOutage
from flametest.kube.resources import DEPLOYMENTS, PODS, REPLICA_SETS, SERVICES, STATEFUL_SETS, Resource

NS = "flametest"


@pytest.fixture(autouse=True)
def looks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing moves in a dictionary, so one look is as good as many."""
    monkeypatch.setattr(dependency_outage, "wait_for", lambda look, _: look())


def owned_by(client: Any, resource: Resource, name: str, owner: Any, **metadata: Any) -> Any:
    reference = {"kind": "owner", "name": "owner", "uid": owner["metadata"]["uid"], "controller": True}
    return client.api.put(resource, {"metadata": {"name": name, "ownerReferences": [reference]} | metadata})


def without_endpoints(client: Any, resource: Resource) -> None:
    """Put a workload in place whose Service has no endpoint, and whose one pod still ends."""
    template = {"metadata": {"labels": {"app": "db"}}}
    made = client.api.put(resource, {"metadata": {"name": "db"}, "spec": {"replicas": 0, "template": template}})
    client.api.put(SERVICES, {"metadata": {"name": "db"}, "spec": {"selector": {"app": "db"}}})
    owner = owned_by(client, REPLICA_SETS, "db-1", made) if resource is DEPLOYMENTS else made
    owned_by(client, PODS, "db-1-a", owner, deletionTimestamp="2026-01-01T00:00:00Z")


def is_proved(client: Any, kind: str) -> bool:
    fault = DependencyOutage(NS, "db", kind)
    return fault.prove(client, fault.targets(client), {}).proved


def test_a_statefulset_is_away_when_its_services_have_no_endpoint(client: Any) -> None:
    without_endpoints(client, STATEFUL_SETS)
    assert is_proved(client, "StatefulSet")


def test_a_deployment_is_away_only_when_its_pods_are_gone_since_new_ones_would_start_beside_them(client: Any) -> None:
    without_endpoints(client, DEPLOYMENTS)
    assert not is_proved(client, "Deployment")
    del client.api.objects[PODS.path(NS, "db-1-a")]
    assert is_proved(client, "Deployment")
