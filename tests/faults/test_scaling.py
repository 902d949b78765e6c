"""Scaling is refused where an autoscaler would take it back, and only there."""

from typing import Any

import pytest

from flametest.faults.errors import FaultError
from flametest.faults.scaling import Scaling
from flametest.kube.errors import ApiRejectedError
from flametest.kube.resources import AUTOSCALERS, DEPLOYMENTS
from tests.faults.conftest import NAMESPACE

FAULT = Scaling(NAMESPACE, "api", 5)


@pytest.fixture
def scaled(client: Any) -> Any:
    """A cluster with a Deployment and an autoscaler that acts on it; a test may change that."""
    client.api.put(DEPLOYMENTS, {"metadata": {"name": "api"}, "spec": {"replicas": 3}})
    spec = {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api"}, "maxReplicas": 5}
    conditions = [{"type": "AbleToScale", "status": "True"}, {"type": "ScalingActive", "status": "True"}]
    body = {"metadata": {"name": "for-api"}, "spec": spec, "status": {"conditions": conditions}}
    client.autoscaler = client.api.put(AUTOSCALERS, body)
    return client


def test_what_an_autoscaler_sets_is_not_scaled_beside_it(scaled: Any) -> None:
    with pytest.raises(
        FaultError, match="HorizontalPodAutoscaler for-api sets how many pods Deployment api has"
    ) as why:
        FAULT.targets(scaled)
    assert "minReplicas" in why.value.remedy
    assert scaled.api.sent == []


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one["spec"]["scaleTargetRef"].update(name="other"),
        lambda one: one["spec"]["scaleTargetRef"].update(kind="StatefulSet"),
        lambda one: one["status"]["conditions"][1].update(status="False"),  # it lacks its metrics
        lambda one: one.pop("status"),  # nothing looks after it
    ],
)
def test_an_autoscaler_of_something_else_or_one_that_does_not_act_refuses_nothing(scaled: Any, change: Any) -> None:
    change(scaled.autoscaler)
    assert [target.name for target in FAULT.targets(scaled)] == ["api"]


@pytest.mark.parametrize(("code", "is_refused"), [(403, False), (404, False), (503, True)])
def test_an_error_is_no_answer(scaled: Any, monkeypatch: pytest.MonkeyPatch, code: int, is_refused: bool) -> None:
    listed = scaled.api.listed

    def failing(path: str, query: Any = None) -> Any:
        if path.endswith(AUTOSCALERS.plural):
            raise ApiRejectedError("no", code=code)
        return listed(path, query)

    monkeypatch.setattr(scaled.api, "listed", failing)
    if is_refused:
        with pytest.raises(ApiRejectedError):
            FAULT.targets(scaled)
    else:
        assert [target.name for target in FAULT.targets(scaled)] == ["api"]
