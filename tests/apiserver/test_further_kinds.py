"""Kinds that tutorials use beside workloads: classes, limits, quotas, replication controllers. Asked over HTTP."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.sandbox.apiserver.views import VIEWS
from tests.apiserver.objects import pod
from tests.apiserver.serving import Client

CORE = "/api/v1/namespaces/default"
NETWORKING = "/apis/networking.k8s.io/v1"
SCHEDULING = "/apis/scheduling.k8s.io/v1"
TEMPLATE = {"metadata": {"labels": {"app": "rc"}}, "spec": pod()["spec"]}
KINDS: list[tuple[str, dict[str, Any], list[Any], str]] = [
    (f"{NETWORKING}/ingressclasses", {"spec": {"controller": "example.com/one"}}, ["example.com/one", "<none>"], "no "),
    (
        f"{SCHEDULING}/priorityclasses",
        {"value": 1000, "description": "important"},
        [1000, False, "PreemptLowerPriority"],
        "nothing is preempted",
    ),
    (f"{CORE}/limitranges", {"spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}}]}}, [], ""),
    (f"{CORE}/resourcequotas", {"spec": {"hard": {"pods": "4", "limits.cpu": "2"}}}, ["pods: 0/4", "limits."], ""),
    (f"{CORE}/replicationcontrollers", {"spec": {"replicas": 2, "template": TEMPLATE}}, [2, 0, 0], ""),
]


@pytest.mark.parametrize(("path", "body", "cells", "note"), KINDS, ids=lambda one: str(one).rpartition("/")[2][:24])
def test_a_kind_is_stored_listed_patched_and_deleted(
    client: Client, path: str, body: dict[str, Any], cells: list[Any], note: str
) -> None:
    created = client.post(path, {"metadata": {"name": "one"}, **body})
    assert created.status == 201, created.body
    if note:
        assert any(note in warning for warning in created.warnings)
    listed = client.get(path, Accept="application/json;as=Table;v=v1;g=meta.k8s.io").body
    row = listed["rows"][-1]["cells"]
    assert row[0] == "one"
    assert all(str(found).startswith(str(wanted)) for found, wanted in zip(row[1:], cells, strict=False)), row
    for kind in ("merge-patch+json", "strategic-merge-patch+json"):
        patched = client.patch(f"{path}/one", {"metadata": {"labels": {"kind": kind[:5]}}}, kind)
        assert patched.body["metadata"]["labels"]["kind"] == kind[:5]
    assert client.call("DELETE", f"{path}/one?propagationPolicy=Background").status == 200
    assert client.get(f"{path}/one").status == 404


def test_discovery_lists_them_with_their_short_names(client: Client) -> None:
    found = {
        resource["name"]: (resource["kind"], resource.get("shortNames"), resource["namespaced"])
        for group in ("/api/v1", NETWORKING, SCHEDULING)
        for resource in client.get(group).body["resources"]
    }
    assert found["ingressclasses"] == ("IngressClass", None, False)
    assert found["priorityclasses"] == ("PriorityClass", ["pc"], False)
    assert found["limitranges"] == ("LimitRange", ["limits"], True)
    assert found["resourcequotas"] == ("ResourceQuota", ["quota"], True)
    assert found["replicationcontrollers"] == ("ReplicationController", ["rc"], True)
    assert found["replicationcontrollers/scale"][0] == "Scale"


def test_a_replication_controller_takes_selector_and_labels_from_its_template_and_can_be_scaled(client: Client) -> None:
    path = f"{CORE}/replicationcontrollers"
    created = client.post(path, {"metadata": {"name": "bare"}, "spec": {"template": TEMPLATE}}).body
    assert (created["spec"]["selector"], created["metadata"]["labels"]) == ({"app": "rc"}, {"app": "rc"})
    assert (created["spec"]["replicas"], created["metadata"]["generation"]) == (1, 1)
    scale = client.patch(f"{path}/bare/scale", {"spec": {"replicas": 5}}, "merge-patch+json").body
    assert (scale["spec"]["replicas"], scale["status"]["selector"]) == (5, "app=rc")
    assert client.get(f"{path}/bare").body["spec"]["replicas"] == 5


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        (f"{CORE}/replicationcontrollers", {"spec": {"selector": {"app": "x"}, "template": TEMPLATE}}, "labels"),
        (f"{CORE}/replicationcontrollers", {"spec": {"template": {"spec": pod()["spec"]}}}, "spec.selector"),
        (f"{CORE}/resourcequotas", {"spec": {"hard": {"pods": "-1"}}}, "spec.hard[pods]"),
        (f"{CORE}/limitranges", {"spec": {"limits": [{"type": "Pod", "default": {"cpu": "1"}}]}}, "limits[0].default"),
        (
            f"{CORE}/limitranges",
            {"spec": {"limits": [{"type": "Container", "min": {"cpu": "2"}, "max": {"cpu": "1"}}]}},
            "spec.limits[0].min[cpu]",
        ),
        (f"{SCHEDULING}/priorityclasses", {"value": 2_000_000_000}, "value"),
        (f"{SCHEDULING}/priorityclasses", {"preemptionPolicy": "Sometimes"}, "preemptionPolicy"),
        (f"{NETWORKING}/ingressclasses", {"spec": {"parameters": {"kind": "Config"}}}, "spec.parameters.name"),
    ],
)
def test_what_makes_no_sense_is_refused(client: Client, path: str, body: dict[str, Any], field: str) -> None:
    answer = client.post(path, {"metadata": {"name": "odd"}, **body})
    assert answer.status == 422, answer.body
    assert any(field in cause["field"] for cause in answer.body["details"]["causes"]), answer.body


def test_what_stays_fixed_in_a_class_cannot_be_changed(client: Client) -> None:
    for path, body, change in (
        (f"{SCHEDULING}/priorityclasses", {"value": 10}, {"value": 20}),
        (f"{NETWORKING}/ingressclasses", {"spec": {"controller": "a/b"}}, {"spec": {"controller": "a/c"}}),
    ):
        assert client.post(path, {"metadata": {"name": "fixed"}, **body}).status == 201
        assert client.patch(f"{path}/fixed", change, "merge-patch+json").status == 422


def test_a_limit_range_fills_in_the_defaults_of_containers(client: Client) -> None:
    limits = [{"type": "Container", "max": {"cpu": "2"}, "default": {"memory": "64Mi"}, "min": {"cpu": "1"}}]
    created = client.post(f"{CORE}/limitranges", {"metadata": {"name": "filled"}, "spec": {"limits": limits}}).body
    (item,) = created["spec"]["limits"]
    assert item["default"] == {"cpu": "2", "memory": "64Mi"}
    assert item["defaultRequest"] == {"cpu": "2", "memory": "64Mi"}


def autoscaler(version: str, **spec: Any) -> dict[str, Any]:
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    return {
        "apiVersion": f"autoscaling/{version}",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {"scaleTargetRef": target, "maxReplicas": 3, **spec},
    }


AUTOSCALERS = "/apis/autoscaling/{}/namespaces/default/horizontalpodautoscalers"
OLD, NEW = AUTOSCALERS.format("v1"), AUTOSCALERS.format("v2")


def test_an_autoscaler_of_either_version_is_seen_in_both(client: Client) -> None:
    created = client.post(OLD, autoscaler("v1", targetCPUUtilizationPercentage=50))
    assert created.status == 201, created.body
    assert any("no controller scales here" in warning for warning in created.warnings)
    assert created.body["spec"]["targetCPUUtilizationPercentage"] == 50
    assert created.body["status"] == {"currentReplicas": 0, "desiredReplicas": 0}
    newer = client.get(f"{NEW}/web").body
    assert newer["apiVersion"] == "autoscaling/v2"
    assert newer["spec"]["metrics"][0]["resource"]["target"] == {"type": "Utilization", "averageUtilization": 50}
    patched = client.patch(f"{OLD}/web", {"spec": {"maxReplicas": 9}}, "strategic-merge-patch+json").body
    assert (patched["apiVersion"], patched["spec"]["maxReplicas"]) == ("autoscaling/v1", 9)
    assert client.get(f"{NEW}/web").body["spec"]["maxReplicas"] == 9
    listed = client.get(OLD).body
    assert (listed["apiVersion"], [one["spec"] for one in listed["items"]]) == ("autoscaling/v1", [patched["spec"]])
    assert client.call("DELETE", f"{OLD}/web").status == 200
    assert client.get(f"{NEW}/web").status == 404


def test_what_the_old_version_of_autoscalers_has_no_field_for_survives_a_change_by_it(client: Client) -> None:
    target = {"type": "Utilization", "averageUtilization": 70}
    memory = {"type": "Resource", "resource": {"name": "memory", "target": target}}
    behavior = {"scaleDown": {"stabilizationWindowSeconds": 60}}
    created = client.post(NEW, autoscaler("v2", metrics=[memory], behavior=behavior)).body
    old = client.get(f"{OLD}/web").body
    assert "targetCPUUtilizationPercentage" not in old["spec"]
    old["spec"]["maxReplicas"] = 4
    assert client.call("PUT", f"{OLD}/web", old).status == 200
    changed = client.get(f"{NEW}/web").body
    assert changed["spec"] == {**created["spec"], "maxReplicas": 4}
    assert "annotations" not in changed["metadata"]
    assert client.call("DELETE", f"{NEW}/web").status == 200


def test_an_autoscaler_without_a_metric_aims_at_busy_processors(client: Client) -> None:
    assert client.post(OLD, autoscaler("v1")).body["spec"]["targetCPUUtilizationPercentage"] == 80
    assert client.post(OLD, autoscaler("v1", bogus=1)).status == 409
    assert client.call("DELETE", f"{OLD}/web").status == 200


def test_the_newer_version_of_autoscalers_is_preferred(client: Client) -> None:
    group = client.get("/apis/autoscaling").body
    assert [version["version"] for version in group["versions"]] == ["v2", "v1"]
    assert group["preferredVersion"]["version"] == "v2"


def metric(name: str, percent: int | None) -> dict[str, Any]:
    target = {"type": "AverageValue", "averageValue": "1"}
    if percent is not None:
        target = {"type": "Utilization", "averageUtilization": percent}  # type: ignore[dict-item]
    return {"type": "Resource", "resource": {"name": name, "target": target}}


metrics = st.lists(
    st.builds(metric, st.sampled_from(["cpu", "memory"]), st.one_of(st.none(), st.integers(1, 200))), min_size=1
)


@given(metrics, st.one_of(st.none(), st.just({"scaleUp": {"selectPolicy": "Max"}})), st.booleans())
def test_nothing_of_an_autoscaler_is_lost_by_its_old_version(
    wanted: list[dict[str, Any]], behavior: dict[str, Any] | None, annotated: bool
) -> None:
    (view,) = (one for one in VIEWS if one.kind == "HorizontalPodAutoscaler")
    assert view.show is not None
    assert view.store is not None
    stored = autoscaler("v2", metrics=wanted, **({"behavior": behavior} if behavior else {}))
    if annotated:
        stored["metadata"]["annotations"] = {"a": "b"}
    before = json.dumps(stored)
    found = view.store(view.show(stored))
    assert json.dumps(stored) == before
    key = json.dumps
    assert sorted(found["spec"].pop("metrics"), key=key) == sorted(stored["spec"].pop("metrics"), key=key)
    assert found == stored
