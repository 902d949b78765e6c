"""What is refused: a fault of each kind, and that no body, however broken, is more than refused."""

import copy
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flametest.sandbox.apiserver import Registry, bootstrap
from flametest.sandbox.apiserver.outcomes import WriteOptions
from flametest.sandbox.apiserver.resources import BY_NAME, CATALOGUE
from flametest.sandbox.apiserver.schema import FieldType, object_type, type_of_kind
from flametest.sandbox.apiserver.tables import table
from flametest.sandbox.apiserver.validation.batch import is_schedule
from flametest.sandbox.apiserver.warnings import warnings_for
from flametest.sandbox.errors import StatusError
from tests.apiserver.conftest import NOW
from tests.apiserver.objects import code_of, config_map, deployment, pod, service


def refused(registry: Registry, resource: str, obj: dict[str, Any]) -> list[str]:
    """Return the fields for which an object is refused."""
    with pytest.raises(StatusError) as caught:
        registry.create(resource, obj)
    assert caught.value.code == 422
    return [cause["field"] for cause in (caught.value.details or {})["causes"]]


def container(**fields: Any) -> dict[str, Any]:
    return pod(containers=[{"name": "main", "image": "x", **fields}])


FIRST = "spec.containers[0]"


@pytest.mark.parametrize(
    ("obj", "field"),
    [
        (pod(restartPolicy="Sometimes"), "spec.restartPolicy"),
        (pod(dnsPolicy="Odd"), "spec.dnsPolicy"),
        (pod(terminationGracePeriodSeconds=-1), "spec.terminationGracePeriodSeconds"),
        (pod(volumes=[{"name": "a"}, {"name": "a"}]), "spec.volumes[1].name"),
        (pod(volumes=[{"name": "a", "configMap": {}}]), "spec.volumes[0].configMap.name"),
        (pod(tolerations=[{"operator": "Equal"}]), "spec.tolerations[0].operator"),
        (
            pod(topologySpreadConstraints=[{"maxSkew": 0, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}]),
            "spec.topologySpreadConstraints[0].maxSkew",
        ),
        (container(ports=[{"containerPort": 0}]), f"{FIRST}.ports[0].containerPort"),
        (container(ports=[{"containerPort": 80, "protocol": "X"}]), f"{FIRST}.ports[0].protocol"),
        (container(env=[{"name": ""}]), f"{FIRST}.env[0].name"),
        (container(readinessProbe={}), f"{FIRST}.readinessProbe"),
        (container(livenessProbe={"exec": {}}), f"{FIRST}.livenessProbe.exec.command"),
        (
            container(livenessProbe={"tcpSocket": {"port": 1}, "successThreshold": 2}),
            f"{FIRST}.livenessProbe.successThreshold",
        ),
        (container(resources={"limits": {"cpu": "1"}, "requests": {"cpu": "2"}}), f"{FIRST}.resources.requests"),
        (container(volumeMounts=[{"name": "no", "mountPath": "/a"}]), f"{FIRST}.volumeMounts[0].name"),
        (container(imagePullPolicy="Maybe"), f"{FIRST}.imagePullPolicy"),
    ],
)
def test_a_pod_with_a_fault_is_refused_for_its_field(registry: Registry, obj: dict[str, Any], field: str) -> None:
    assert refused(registry, "pods", obj) == [field]


def test_what_is_no_quantity_is_a_bad_request(registry: Registry) -> None:
    with pytest.raises(StatusError, match="quantities must match") as caught:
        registry.create("pods", container(resources={"limits": {"cpu": "much"}}))
    assert caught.value.code == 400


def test_all_faults_are_told_at_once(registry: Registry) -> None:
    obj = pod(containers=[{"name": "Main"}], restartPolicy="No")
    fields = refused(registry, "pods", obj)
    assert fields == [f"{FIRST}.name", f"{FIRST}.image", "spec.restartPolicy"]


@pytest.mark.parametrize(
    ("resource", "obj", "field"),
    [
        ("services", service(type="Odd"), "spec.type"),
        ("services", service(ports=[{"port": 1, "name": "a"}, {"port": 1, "name": "b"}]), "spec.ports[1]"),
        ("services", service(clusterIP="None", type="NodePort"), "spec.clusterIPs[0]"),
        ("services", service("1web"), "metadata.name"),
        ("configmaps", {**config_map(), "data": {"a b": "c"}}, "data[a b]"),
        ("secrets", {"metadata": config_map()["metadata"], "data": {"a": "%"}}, "data[a]"),
        (
            "poddisruptionbudgets.policy",
            {"metadata": config_map()["metadata"], "spec": {"minAvailable": 1, "maxUnavailable": 1}},
            "spec",
        ),
        (
            "persistentvolumeclaims",
            {
                "metadata": config_map()["metadata"],
                "spec": {"accessModes": ["Odd"], "resources": {"requests": {"storage": "1Gi"}}},
            },
            "spec.accessModes",
        ),
        (
            "endpointslices.discovery.k8s.io",
            {"metadata": config_map()["metadata"], "addressType": "IPv4", "endpoints": [{"addresses": ["x"]}]},
            "endpoints[0].addresses[0]",
        ),
    ],
)
def test_other_kinds_are_refused_for_their_field(
    registry: Registry, resource: str, obj: dict[str, Any], field: str
) -> None:
    assert refused(registry, resource, obj) == [field]


def test_a_deployment_without_any_room_to_roll_is_refused(registry: Registry) -> None:
    obj = deployment()
    obj["spec"]["strategy"] = {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}
    assert refused(registry, "deployments.apps", obj) == ["spec.strategy.rollingUpdate.maxUnavailable"]


@pytest.mark.parametrize("text", ["* * * * *", "*/5 0-6 1,15 jan-mar MON-FRI", "@daily", "@every 1h30m", "0 0 1 1 7"])
def test_schedules_of_cron_are_taken(text: str) -> None:
    assert is_schedule(text)


@pytest.mark.parametrize(
    "text", ["", "* * * *", "60 * * * *", "* * 0 * *", "*/0 * * * *", "a * * * *", "@often", "1-2-3 * * * *"]
)
def test_other_texts_are_no_schedules(text: str) -> None:
    assert not is_schedule(text)


SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "time": st.sampled_from(("2026-01-02T03:04:05Z", "soon")),
    "string": st.sampled_from(("", "a", "A b", "1", "None", "NodePort", "ExternalName", "Always")),
    "boolean": st.booleans(),
    "int32": st.sampled_from((-1, 0, 1, 80, 70_000)),
    "int64": st.sampled_from((-1, 0, 1, 30)),
    "number": st.just(1.5),
    "quantity": st.sampled_from(("1", "x", "64Mi")),
    "intstr": st.sampled_from((0, 80, "http", "25%", "")),
    "any": st.just({}),
}


def values(field: FieldType, depth: int) -> st.SearchStrategy[Any]:
    """Return values that have the type of a field, and mostly no sense."""
    if field.kind == "object":
        return objects(field.type_name, depth - 1)
    if field.element is not None:
        inner = values(field.element, depth)
        if field.kind == "list":
            return st.lists(inner, max_size=2)
        return st.dictionaries(st.sampled_from(("a", "b c")), inner, max_size=2)
    return SCALARS[field.kind]


def objects(name: str, depth: int) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects of a type with some of its fields, to a depth."""
    if depth <= 0:
        return st.just({})
    fields = object_type(name).fields
    names = sorted(key for key in fields if key != "metadata")
    return st.lists(st.sampled_from(names), max_size=5, unique=True).flatmap(
        lambda chosen: st.fixed_dictionaries({key: values(fields[key], depth) for key in chosen})
    )


def bodies(resource: str) -> st.SearchStrategy[dict[str, Any]]:
    kind = BY_NAME[resource]
    name = type_of_kind(kind.group, kind.version, kind.kind).name
    return objects(name, 7).map(lambda obj: {k: v for k, v in obj.items() if k not in ("kind", "apiVersion")})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_every_body_of_the_right_types_is_stored_or_refused(data: st.DataObject) -> None:
    registry = Registry(rng=random.Random(1))
    bootstrap(registry)
    resource = data.draw(st.sampled_from([r.name for r in CATALOGUE if r.kind != "Namespace"]))
    body = data.draw(bodies(resource))
    namespace = "default" if BY_NAME[resource].namespaced else ""
    obj = {**copy.deepcopy(body), "metadata": {"name": "fuzz"}}
    code = code_of(lambda: registry.add(BY_NAME[resource], namespace, obj, WriteOptions()))
    assert code in (0, 400, 422)
    stored = registry.get(resource, namespace, "fuzz")
    if stored is not None:
        # What was stored once is stored again without a change: defaults are stable.
        assert registry.update(resource, stored) == stored
        assert table(BY_NAME[resource], [stored], {}, "Object", NOW)["rows"]
        assert warnings_for(BY_NAME[resource], stored) is not None


def statuses(resource: str) -> st.SearchStrategy[dict[str, Any]]:
    kind = BY_NAME[resource]
    field = type_of_kind(kind.group, kind.version, kind.kind).fields.get("status")
    return st.just({}) if field is None else values(field, 4)


WITHOUT_SENSE = [
    (pod("a"), "pods"),
    (deployment("a"), "deployments.apps"),
    (service("a", type="LoadBalancer"), "services"),
    ({"metadata": {"name": "a"}}, "nodes"),
]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data(), st.sampled_from(WITHOUT_SENSE))
def test_every_status_can_be_shown_as_a_row(data: st.DataObject, what: tuple[dict[str, Any], str]) -> None:
    registry = Registry(rng=random.Random(1))
    bootstrap(registry)
    obj, resource = what
    stored = registry.create(resource, obj)
    # A status that breaks the forms of the API is refused; every other one is shown.
    status = data.draw(statuses(resource))
    if code_of(lambda: registry.update_status(resource, {**stored, "status": status})) == 0:
        shown = registry.get(resource, stored["metadata"].get("namespace", ""), "a")
        assert table(BY_NAME[resource], [shown or {}], {}, "None", NOW)["rows"]
