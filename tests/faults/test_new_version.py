"""What a new version changes, what it refuses, and that it is rolled back byte for byte."""

import copy
from typing import Any

import pytest

from flametest.faults import new_version
from flametest.faults.errors import FaultError
from flametest.faults.new_version import NewVersion
from flametest.kube.resources import DEPLOYMENTS, PODS, REPLICA_SETS

NS = "flametest"
DONE = {"observedGeneration": 2, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1}
PATH = DEPLOYMENTS.path(NS, "api")


@pytest.fixture(autouse=True)
def looks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing moves in a dictionary, so one look is as good as many."""
    monkeypatch.setattr(new_version, "wait_for", lambda look, _: look())


@pytest.fixture(autouse=True)
def deployed(client: Any) -> Any:
    """A Deployment of one pod whose first container has a variable."""
    containers = [{"name": "main", "image": "app:1", "env": [{"name": "A", "value": "1"}]}, {"name": "side"}]
    template = {"metadata": {"labels": {"app": "api"}}, "spec": {"containers": containers}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": "api"}}, "template": template}
    found = client.api.put(DEPLOYMENTS, {"metadata": {"name": "api", "generation": 2}, "spec": spec, "status": DONE})
    owned(client, REPLICA_SETS, "api-rs", found["metadata"]["uid"])
    owned(client, PODS, "api-rs-a", client.api.get(REPLICA_SETS.path(NS, "api-rs"))["metadata"]["uid"])
    return found


def owned(client: Any, resource: Any, name: str, uid: str) -> None:
    owner = {"apiVersion": "apps/v1", "kind": "any", "name": "owner", "uid": uid, "controller": True}
    metadata = {"name": name, "ownerReferences": [owner]}
    client.api.put(resource, {"metadata": metadata, "spec": {}, "status": {"phase": "Running"}})


def injected(client: Any, fault: NewVersion) -> tuple[Any, dict[str, Any]]:
    targets = fault.targets(client)
    state = fault.record(client, targets)
    fault.inject(client, targets)
    return targets, state


def template(client: Any) -> Any:
    return client.api.get(PATH)["spec"]["template"]


@pytest.mark.parametrize(
    "options",
    [
        {"image": "app:2"},
        {"environment": {"VERSION": "2"}},
        {"annotations": {"example.com/version": "2"}},
        {"image": "app:2", "environment": {"VERSION": "2"}, "annotations": {"example.com/version": "2"}},
    ],
)
def test_what_is_rolled_out_is_rolled_back(client: Any, options: dict[str, Any]) -> None:
    before = copy.deepcopy(template(client))
    _, state = injected(client, NewVersion(NS, "api", **options))
    assert template(client) != before
    assert template(client)["spec"]["containers"][1] == before["spec"]["containers"][1]
    assert NewVersion.heal(client, state) == "Deployment api was rolled back"
    assert template(client) == before
    assert NewVersion.heal(client, state) == "Deployment api has nothing of the new version"


def test_what_others_have_changed_meanwhile_stays(client: Any) -> None:
    fault = NewVersion(NS, "api", "app:2", {"VERSION": "2"}, {"example.com/version": "2"})
    _, state = injected(client, fault)
    found = client.api.objects[PATH]["spec"]["template"]
    found["spec"]["containers"][0]["image"] = "app:3"
    found["metadata"]["annotations"]["example.com/version"] = "3"
    NewVersion.heal(client, state)
    assert template(client)["spec"]["containers"][0] == {
        "name": "main",
        "image": "app:3",
        "env": [{"name": "A", "value": "1"}],
    }
    assert template(client)["metadata"]["annotations"] == {"example.com/version": "3"}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "nothing is to be new"),
        ({"image": "app:1"}, "has the image app:1 already"),
        ({"environment": {"A": "2"}}, "has A already"),
    ],
)
def test_what_would_be_no_new_version_is_refused(client: Any, options: dict[str, Any], told: str) -> None:
    fault = NewVersion(NS, "api", **options)
    with pytest.raises(FaultError, match=told):
        fault.record(client, fault.targets(client))


def test_a_paused_deployment_is_refused(client: Any) -> None:
    client.api.objects[PATH]["spec"]["paused"] = True
    fault = NewVersion(NS, "api", "app:2")
    with pytest.raises(FaultError, match="Deployment api is paused"):
        fault.record(client, fault.targets(client))


def test_it_counts_as_rolled_out_when_no_former_pod_is_there(client: Any) -> None:
    fault = NewVersion(NS, "api", "app:2")
    targets, state = injected(client, fault)
    assert fault.prove(client, targets, state).evidence.endswith("1 of 1 former pods are there")
    client.api.objects[PODS.path(NS, "api-rs-a")]["metadata"]["uid"] = "another"
    assert fault.prove(client, targets, state).proved


def test_a_deployment_that_is_gone_needs_no_healing(client: Any) -> None:
    _, state = injected(client, NewVersion(NS, "api", "app:2"))
    client.api.objects[PATH]["metadata"]["uid"] = "another"
    assert "was recreated by somebody else" in NewVersion.heal(client, state)
