"""Every experiment that is written is valid, bounded, selective, judged by limits, and suits its system."""

import importlib
import inspect
import json
import tomllib
from typing import Any

from chaoslib.experiment import ensure_experiment_is_valid
from hypothesis import given
from hypothesis import strategies as st

from flametest.chaos import gate
from flametest.chaos.values import Values
from flametest.measure.figures import CRITERIA
from flametest.model.limits import parse_limits
from flametest.starter.documents import document
from flametest.starter.experiments import Plan, make_plan
from flametest.starter.project import project_files
from tests.starter.systems import Object, container, service, topology_of, workload

URL = "http://shop.example"


def plan_of(*objects: Object) -> Plan:
    topology = topology_of(*objects)
    return make_plan(topology, URL, topology.paths)


def names(plan: Plan) -> list[str]:
    return [one.name for one in plan.experiments]


def asks(text: str) -> Object:
    return container(env=[{"name": "ADDRESS", "value": text}])


SHOP = [
    workload("web", "Deployment", asks("http://back http://db:5432"), replicas=1),
    service("web", type="NodePort"),
    workload("back", replicas=2),
    service("back"),
    workload("db", "StatefulSet", replicas=1),
    service("db"),
    workload("worker"),
    workload("asleep", replicas=0),
    service("asleep"),
    workload("agent", "DaemonSet"),
]


def test_what_serves_is_deleted_scaled_and_removed_and_what_keeps_data_is_taken_away() -> None:
    plan = plan_of(*SHOP)
    assert names(plan) == [
        "control",
        "pod-delete-web",
        "pod-delete-back",
        "scale-web",
        "scale-back",
        "remove-service-web",
        "remove-service-back",
        "outage-db",
    ]
    assert plan.core == ("pod-delete-web", "pod-delete-back", "outage-db")
    assert [one.split(":")[0] for one in plan.left_out] == ["Deployment asleep", "Deployment worker", "DaemonSet agent"]


def test_only_the_share_of_a_single_pod_is_widened() -> None:
    shares = {one.name: one.pods_share_max for one in plan_of(*SHOP).experiments}
    assert [name for name, share in shares.items() if share is not None] == ["pod-delete-web"]
    assert shares["pod-delete-web"] == 1.0


def test_a_deployment_without_any_service_is_tested_all_the_same() -> None:
    assert names(plan_of(workload())) == ["control", "pod-delete-web", "scale-web"]


def test_what_an_autoscaler_scales_is_not_scaled() -> None:
    target = {"scaleTargetRef": {"kind": "Deployment", "name": "web"}}
    scaler = {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"}, "spec": target}
    plan = plan_of(workload(), service(), scaler)
    assert "scale-web" not in names(plan)
    assert plan.left_out == ("Deployment web: it is not scaled, since an autoscaler would scale it back",)


def test_a_database_that_users_ask_themselves_has_a_control_only_and_its_service_removed() -> None:
    plan = plan_of(workload("db", "StatefulSet"), service("db", type="LoadBalancer"))
    assert (names(plan), plan.core) == (["control", "remove-service-db"], ("control",))


def test_pods_are_selected_by_all_that_their_deployment_selects_them_by() -> None:
    labels = {"app": "web", "tier": "front"}
    expressions = [{"key": "track", "operator": "In", "values": ["stable", "canary"]}]
    chosen = workload(
        selector={"matchLabels": labels, "matchExpressions": expressions},
    )
    (deletion,) = [one for one in plan_of(chosen, service()).experiments if one.name == "pod-delete-web"]
    assert deletion.fault is not None
    assert deletion.fault.arguments["label_selector"] == "app=web,tier=front,track in (stable,canary)"


def activities(written: dict[str, Any]) -> list[dict[str, Any]]:
    return [*written["steady-state-hypothesis"]["probes"], *written["method"]]


def check(plan: Plan) -> None:
    """Check what tests/experiments checks of the project's own experiments."""
    files = project_files(plan, (), "")
    written = {
        name.removeprefix("experiments/").removesuffix(".json"): json.loads(text)
        for name, text in files.items()
        if name.endswith(".json")
    }
    book = parse_limits(files["experiments/limits.toml"], "limits.toml", CRITERIA)
    suites = tomllib.loads(files["experiments/suites.toml"])
    assert set(book.scenarios()) <= written.keys()
    assert set(suites["full"]["experiments"]) == written.keys()
    assert set(suites["core"]["experiments"]) <= written.keys()
    assert suites["core"]["experiments"]
    for name, one in written.items():
        check_experiment(name, one)
        assert {limit.criterion for limit in book.of(name)} >= {"outage_seconds", "recovery_seconds", "availability"}


def check_experiment(name: str, one: dict[str, Any]) -> None:
    ensure_experiment_is_valid(one)
    gate.check_experiment(one, Values())
    assert "teaches" in one["description"].lower()
    arguments = one["controls"][0]["provider"]["arguments"]
    assert arguments["scenario"] == name
    for activity in activities(one):
        provider = activity["provider"]
        if provider["type"] == "python":
            function = getattr(importlib.import_module(provider["module"]), provider["func"])
            inspect.signature(function).bind(**provider.get("arguments", {}))
    called = [step["provider"]["func"] for step in one["method"]]
    assert called[0] == "observe_baseline"
    assert called[2:] in (["await_recovery"], ["observe_fault", "heal_faults", "await_recovery"])


def test_every_experiment_of_a_whole_system_is_valid_and_has_limits() -> None:
    check(plan_of(*SHOP))


KINDS = st.sampled_from(["Deployment", "StatefulSet", "DaemonSet"])
NAMES = st.from_regex(r"[a-z]([a-z0-9.-]{0,8}[a-z0-9])?", fullmatch=True)


@st.composite
def systems(draw: st.DrawFn) -> list[Object]:
    """Draw workloads with and without Services, which name one another."""
    chosen = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    objects = []
    for number, name in enumerate(chosen):
        kind = "Deployment" if number == 0 else draw(KINDS)
        replicas = draw(st.integers(1 if number == 0 else 0, 4))
        objects.append(workload(name, kind, asks(draw(st.sampled_from(chosen))), replicas=replicas))
        if draw(st.booleans()):
            objects.append(service(name, type=draw(st.sampled_from(["ClusterIP", "NodePort"]))))
    return objects


@given(systems())
def test_whatever_a_system_consists_of_its_experiments_are_valid_and_named_once(objects: list[Object]) -> None:
    plan = plan_of(*objects)
    assert len(set(names(plan))) == len(names(plan))
    check(plan)


def test_an_experiment_names_no_cluster_or_address_but_as_a_default() -> None:
    configuration = document(plan_of(*SHOP).experiments[0])["configuration"]
    assert configuration["entry_url"] == {"type": "env", "key": "FLAMETEST_URL", "default": URL}
    assert configuration["namespace"] == {"type": "env", "key": "FLAMETEST_NAMESPACE", "default": "shop"}
