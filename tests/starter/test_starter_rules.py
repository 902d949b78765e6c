"""Each weakness is named where it is, with its evidence, and nowhere else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.starter.rules import allowed_to_miss, find_weaknesses, is_floating
from flametest.starter.topology import Topology
from flametest.starter.weakness import Severity
from tests.starter.systems import Object, budget, container, service, topology_of, workload


def named(topology: Topology) -> set[tuple[str, str]]:
    return {(one.rule, one.part) for one in find_weaknesses(topology)}


def rules(*objects: Object) -> set[str]:
    return {rule for rule, _ in named(topology_of(*objects))}


def web(*containers: Object, pod: Object | None = None, **spec: Any) -> list[Object]:
    return [workload("web", "Deployment", *containers, pod=pod, **spec), service(), budget()]


def test_a_sound_system_has_no_weakness() -> None:
    assert named(topology_of(*web())) == set()


@pytest.mark.parametrize(
    ("rule", "objects"),
    [
        ("single-pod", web(replicas=1)),
        ("no-readiness-probe", web(container(readinessProbe=None))),
        ("no-liveness-probe", web(container(livenessProbe=None))),
        ("no-disruption-budget", [workload(), service()]),
        ("no-disruption-budget", [workload(), service(), budget("another")]),
        ("budget-blocks-drains", [workload(), service(), budget(maxUnavailable=0)]),
        ("budget-blocks-drains", [workload(), service(), budget(minAvailable="100%")]),
        ("budget-blocks-drains", [workload(), service(), budget(minAvailable=3)]),
        ("no-resource-requests", web(container(resources=None))),
        ("no-resource-requests", web(container(resources={"requests": {"cpu": "10m"}}))),
        ("not-spread", web(pod={"topologySpreadConstraints": []})),
        ("service-without-pods", [*web(), service("ghost")]),
        ("service-without-port", web(container(ports=[{"name": "web", "containerPort": 80}]))),
        ("rollout-takes-all", web(strategy={"rollingUpdate": {"maxUnavailable": "100%"}})),
        ("rollout-takes-all", web(strategy={"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 3}})),
        ("recreate-strategy", web(strategy={"type": "Recreate"})),
        ("floating-image", web(container(image="registry.example:5000/shop/web"))),
        ("floating-image", web(container(image="web:latest"))),
        ("no-pre-stop", web(container(lifecycle=None))),
        ("no-grace", web(pod={"terminationGracePeriodSeconds": 0})),
    ],
)
def test_a_system_with_one_weakness_is_told_just_that(rule: str, objects: list[Object]) -> None:
    assert rules(*objects) == {rule}


@pytest.mark.parametrize(
    "objects",
    [
        web(container(resources={"limits": {"cpu": "1", "memory": "64Mi"}})),
        web(pod={"topologySpreadConstraints": [], "affinity": {"podAntiAffinity": {"requiredDuringScheduling": []}}}),
        web(container(), container("log-shipper", readinessProbe=None, livenessProbe=None, lifecycle=None)),
        web(container(image="web@sha256:0123")),
        [*web(), service("outside", selector=None, type="ExternalName", externalName="example.org")],
        [*web(), service("by-hand", selector=None)],
        web(strategy={"rollingUpdate": {"maxUnavailable": "99%"}}),
        [workload(), service(), budget(minAvailable=2)],
        [workload(), service(), {**budget(), "spec": {"maxUnavailable": 1, "selector": {}}}],
        [*web(), workload("asleep", replicas=0), service("asleep")],
        [workload("web", "Deployment", container(ports=None)), service(ports=[{"port": 80}]), budget()],
    ],
)
def test_what_is_sound_in_another_way_is_not_called_weak(objects: list[Object]) -> None:
    assert rules(*objects) == set()


def test_a_worker_that_no_service_leads_to_need_not_be_ready_or_drained() -> None:
    bare = workload("worker", "Deployment", container("worker", readinessProbe=None, lifecycle=None))
    assert rules(bare) == set()


def test_a_daemon_on_one_node_is_no_single_pod() -> None:
    assert rules(workload("agent", "DaemonSet")) == set()


def test_a_budget_that_could_not_be_read_is_not_called_missing() -> None:
    topology = topology_of(workload(), service(), unread=("PodDisruptionBudget",))
    assert named(topology) == set()


def test_a_service_of_pods_without_a_workload_has_pods() -> None:
    lone = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "labels": {"app": "lone"}}}
    assert rules(*web(), service("lone"), lone) == set()


def test_who_needs_a_single_pod_is_part_of_its_evidence() -> None:
    asks = container(env=[{"name": "DATABASE_URL", "value": "postgres://user@db:80/shop"}])
    database = workload("db", "StatefulSet", replicas=1)
    (weakness,) = find_weaknesses(topology_of(*web(asks), database, service("db")))
    assert (weakness.part, weakness.evidence) == ("StatefulSet db", "1 replica, needed by web")
    assert weakness.severity is Severity.HIGH


def test_the_worst_comes_first() -> None:
    found = find_weaknesses(topology_of(*web(container(livenessProbe=None, image="web")), service("ghost")))
    assert [one.severity for one in found] == [Severity.HIGH, Severity.MEDIUM, Severity.LOW]


@given(share=st.integers(0, 100), replicas=st.integers(1, 500))
def test_a_share_that_may_be_missing_is_rounded_down_and_never_more_than_all(share: int, replicas: int) -> None:
    missing = allowed_to_miss(f"{share}%", replicas)
    assert 0 <= missing <= replicas
    assert missing * 100 <= share * replicas < (missing + 1) * 100


@given(limit=st.integers(0, 1000), replicas=st.integers(1, 500))
def test_a_number_that_may_be_missing_is_that_number_or_all(limit: int, replicas: int) -> None:
    assert allowed_to_miss(str(limit), replicas) == min(limit, replicas)


NAMES = st.from_regex(r"[a-z0-9]{1,8}(/[a-z0-9]{1,8})?", fullmatch=True)


@given(
    host=st.sampled_from(["", "registry.example/", "localhost:5000/"]), name=NAMES, tag=st.sampled_from(["1", "v2.0"])
)
def test_an_image_is_floating_without_a_tag_and_pinned_with_one_whatever_its_registry(
    host: str, name: str, tag: str
) -> None:
    assert is_floating(f"{host}{name}")
    assert is_floating(f"{host}{name}:latest")
    assert not is_floating(f"{host}{name}:{tag}")
    assert not is_floating(f"{host}{name}:latest@sha256:00")
