"""What a rolling restart refuses, and when it counts as done."""

from typing import Any

import pytest

from flametest.faults import rolling_restart
from flametest.faults.errors import FaultError
from flametest.faults.rolling_restart import RollingRestart
from flametest.kube.resources import DEPLOYMENTS, PODS, REPLICA_SETS

NS = "flametest"
DONE = {"observedGeneration": 2, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2}


@pytest.fixture(autouse=True)
def looks_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing moves in a dictionary, so one look is as good as many."""
    monkeypatch.setattr(rolling_restart, "wait_for", lambda look, _: look())


def deployed(client: Any, **spec: Any) -> Any:
    """Put a Deployment of two pods in place, and return it."""
    spec = {"replicas": 2, "selector": {"matchLabels": {"app": "api"}}, "template": {"metadata": {}}} | spec
    found = client.api.put(DEPLOYMENTS, {"metadata": {"name": "api", "generation": 2}, "spec": spec, "status": DONE})
    owned(client, REPLICA_SETS, "api-1", "Deployment", found["metadata"]["uid"])
    for name in ("api-1-a", "api-1-b"):
        owned(client, PODS, name, "ReplicaSet", client.api.get(REPLICA_SETS.path(NS, "api-1"))["metadata"]["uid"])
    return found


def owned(client: Any, resource: Any, name: str, kind: str, uid: str) -> None:
    owner = {"apiVersion": "apps/v1", "kind": kind, "name": "owner", "uid": uid, "controller": True}
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    client.api.put(resource, {"metadata": {"name": name, "ownerReferences": [owner]}, "spec": {}, "status": status})


def replace_pods(client: Any, *names: str) -> None:
    """Put others in the place of pods."""
    for name in names:
        found = client.api.objects[PODS.path(NS, name)]
        found["metadata"]["uid"] += "-new"


def proof(client: Any, *replaced: str, **status: Any) -> tuple[bool, str]:
    found, fault = deployed(client), RollingRestart(NS, "api")
    targets = fault.targets(client)
    state = fault.record(client, targets)
    fault.inject(client, targets)
    replace_pods(client, *replaced)
    client.api.objects[DEPLOYMENTS.path(NS, "api")]["status"] = found["status"] | status
    seen = fault.prove(client, targets, state)
    return seen.proved, seen.evidence


def test_it_changes_one_annotation_of_the_template(client: Any) -> None:
    deployed(client)
    fault = RollingRestart(NS, "api")
    fault.inject(client, fault.targets(client))
    template = client.api.get(DEPLOYMENTS.path(NS, "api"))["spec"]["template"]
    assert list(template) == ["metadata"]
    assert list(template["metadata"]) == ["annotations"]
    assert list(template["metadata"]["annotations"]) == ["kubectl.kubernetes.io/restartedAt"]


def test_it_is_proved_when_all_pods_are_others_and_available(client: Any) -> None:
    assert proof(client, "api-1-a", "api-1-b") == (True, "all 2 pods of Deployment api were replaced")


def test_a_pod_that_stays_is_no_proof(client: Any) -> None:
    proved, evidence = proof(client, "api-1-a")
    assert (proved, evidence.startswith("1 of 2 pods of Deployment api were not replaced within")) == (False, True)


@pytest.mark.parametrize("count", ["observedGeneration", "replicas", "updatedReplicas", "availableReplicas"])
def test_a_rollout_that_is_not_over_is_no_proof(client: Any, count: str) -> None:
    proved, evidence = proof(client, "api-1-a", "api-1-b", **{count: 1})
    assert (proved, "new ones were not all available within" in evidence) == (False, True)


@pytest.mark.parametrize(
    ("spec", "told"),
    [({"paused": True}, "Deployment api is paused"), ({"replicas": 0}, "Deployment api has no pod to restart")],
)
def test_a_deployment_that_would_not_restart_is_refused(client: Any, spec: dict[str, Any], told: str) -> None:
    deployed(client, **spec)
    if "replicas" in spec:
        client.api.objects = {path: one for path, one in client.api.objects.items() if "/pods/" not in path}
    fault = RollingRestart(NS, "api")
    with pytest.raises(FaultError, match=told):
        fault.record(client, fault.targets(client))
