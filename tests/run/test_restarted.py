"""Pods whose containers were restarted during a test are replaced before the next one; others stay."""

from typing import Any

import pytest

from flametest.kube.errors import NotReadyError
from flametest.kube.resources import PODS
from flametest.run import restarted
from flametest.run.restarted import replace_restarted, restarts_of
from tests.faults.conftest import NAMESPACE, FakeClient, pod


def put(client: Any, name: str, restarts: int, **metadata: Any) -> None:
    obj = pod(name, "api")
    obj["metadata"] |= metadata
    obj["status"]["containerStatuses"] = [{"name": "main", "restartCount": restarts}, {"name": "beside"}]
    client.api.put(PODS, obj)


def names(client: Any) -> set[str]:
    return {one["metadata"]["name"] for one in client.api.listed(PODS.path(NAMESPACE)).items}


def test_only_pods_that_were_restarted_since_then_are_deleted() -> None:
    client: Any = FakeClient()
    put(client, "steady", 0)
    put(client, "late-start", 2)
    put(client, "crashed", 0)
    put(client, "nobodys", 1, ownerReferences=[])
    before = restarts_of(client, NAMESPACE)
    for one in client.api.objects.values():
        if one["metadata"]["name"] in ("crashed", "nobodys"):
            one["status"]["containerStatuses"][0]["restartCount"] += 1

    assert replace_restarted(client, NAMESPACE, before) == 1
    assert names(client) == {"steady", "late-start", "nobodys"}
    assert replace_restarted(client, NAMESPACE, restarts_of(client, NAMESPACE)) == 0


def test_a_pod_that_came_later_and_was_restarted_is_deleted_as_well() -> None:
    client: Any = FakeClient()
    put(client, "new", 1)

    assert replace_restarted(client, NAMESPACE, {}) == 1
    assert names(client) == set()


def test_a_pod_that_does_not_go_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restarted, "GONE_SECONDS_MAX", 0.0)
    client: Any = FakeClient()
    put(client, "held", 1)
    monkeypatch.setattr(client.api, "send", lambda *_: {})  # a finalizer keeps it

    with pytest.raises(NotReadyError, match="still there 0 s after it was deleted, of held"):
        replace_restarted(client, NAMESPACE, {})
