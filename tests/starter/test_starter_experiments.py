"""Every experiment that is written is valid, bounded, selective, judged by limits, and suits its system."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.starter.documents import document
from flametest.starter.paths import user_paths
from flametest.starter.plan import Plan, make_plan
from tests.starter.checking import check_files
from tests.starter.systems import Object, container, service, topology_of, workload

URL = "http://shop.example"


def plan_of(*objects: Object) -> Plan:
    topology = topology_of(*objects)
    return make_plan(topology, URL, topology.paths)


def names(plan: Plan) -> list[str]:
    return [one.name for one in plan.experiments]


def asks(text: str) -> Object:
    return container(env=[{"name": "ADDRESS", "value": text}])


def claimed(name: str) -> Object:
    return {"metadata": {"name": name}, "spec": {"accessModes": ["ReadWriteOnce"]}}


SHOP = [
    workload("web", "Deployment", asks("http://back http://db:5432"), replicas=1),
    service("web", type="NodePort"),
    workload("back", replicas=2),
    service("back"),
    workload("db", "StatefulSet", replicas=1, volumeClaimTemplates=[claimed("data")]),
    service("db"),
    workload("worker"),
    workload("asleep", replicas=0),
    service("asleep"),
    workload("agent", "DaemonSet"),
]


def test_what_serves_is_deleted_restarted_scaled_and_removed_and_what_keeps_data_is_taken_away() -> None:
    plan = plan_of(*SHOP)
    assert names(plan) == [
        "control",
        "pod-delete-web",
        "pod-delete-back",
        "rolling-restart-web",
        "rolling-restart-back",
        "scale-web",
        "scale-back",
        "remove-service-web",
        "remove-service-back",
        "outage-db",
        "crash-db",
        "edge-silent-back",
        "edge-silent-db",
    ]
    assert plan.core == ("pod-delete-web", "pod-delete-back", "rolling-restart-web", "outage-db")
    assert [one.split(":")[0] for one in plan.left_out] == [
        "no experiment of its own for Deployment asleep",
        "no experiment of its own for Deployment worker",
        "no scaling of StatefulSet db",
        "no experiment of its own for DaemonSet agent",
    ]


def test_only_the_share_of_a_single_pod_is_widened() -> None:
    shares = {one.name: one.pods_share_max for one in plan_of(*SHOP).experiments}
    assert {name: share for name, share in shares.items() if share is not None} == {
        "pod-delete-web": 1.0,
        "crash-db": 1.0,
    }


def test_a_deployment_without_any_service_is_tested_all_the_same_and_nothing_else_is_said_of_it() -> None:
    plan = plan_of(workload(containers=[container(ports=None)]))
    assert names(plan) == ["control", "pod-delete-web", "rolling-restart-web", "scale-web"]
    assert plan.left_out == ()


def scaler(name: str = "web") -> Object:
    target = {"scaleTargetRef": {"kind": "Deployment", "name": name}}
    return {"kind": "HorizontalPodAutoscaler", "metadata": {"name": name}, "spec": target | {"maxReplicas": 5}}


@pytest.mark.parametrize(
    ("objects", "reason"),
    [
        ([workload(), scaler()], "an autoscaler would scale it back"),
        ([workload(strategy={"type": "Recreate"})], "its strategy Recreate says that no second pod may run"),
        ([workload(replicas=10)], "it has 10 pods or more"),
    ],
)
def test_scaling_is_left_out_where_it_is_not_safe_and_the_reason_is_told(objects: list[Object], reason: str) -> None:
    plan = plan_of(*objects, service())
    assert names(plan) == ["control", "pod-delete-web", "rolling-restart-web", "remove-service-web"]
    (told,) = plan.left_out
    assert told.startswith(f"no scaling of Deployment web: {reason}")


def test_nothing_is_scaled_beyond_the_blast_radius() -> None:
    (scaling,) = [one for one in plan_of(workload(replicas=8), service()).experiments if one.name == "scale-web"]
    assert scaling.fault is not None
    assert scaling.fault.arguments["replicas"] == 10


def store(kind: str, *, volume: bool, replicas: int = 1) -> list[Object]:
    """Return PostgreSQL, as people write it, with a claim that one pod only may write."""
    image = container("db", image="docker.io/library/postgres:16", ports=[{"name": "http", "containerPort": 5432}])
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    image |= {"volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}]} if volume else {}
    made = workload("db", kind, image, pod={"volumes": volumes} if volume else None, replicas=replicas)
    claim = {"kind": "PersistentVolumeClaim", **claimed("data")}
    return [made, service("db"), *([claim] if volume else []), workload("web", "Deployment", asks("http://db:5432"))]


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_a_store_is_taken_away_and_crashed_but_never_given_a_second_pod(kind: str) -> None:
    plan = plan_of(*store(kind, volume=True), service("web"))
    assert [one.name for one in plan.experiments if one.workload == "db"] == ["outage-db", "crash-db", "edge-silent-db"]
    crash = next(one for one in plan.experiments if one.name == "crash-db")
    assert crash.fault is not None
    assert crash.fault.arguments["signal"] == "INT"  # by SIGTERM it would wait for its clients
    (told,) = [one for one in plan.left_out if f"{kind} db" in one]
    assert "it is a store, and a pod alongside the one that keeps its data could harm them" in told


def test_a_store_without_a_volume_would_lose_its_data_so_that_it_is_left_alone() -> None:
    plan = plan_of(*store("Deployment", volume=False), service("web"))
    assert [one.name for one in plan.experiments if one.workload == "db"] == ["edge-silent-db"], "which loses nothing"
    assert [one for one in plan.left_out if one.startswith("no outage and no crash of Deployment db")]


def test_one_of_several_pods_of_a_store_is_deleted_where_each_has_a_volume_of_its_own() -> None:
    db = workload("db", "StatefulSet", replicas=3, volumeClaimTemplates=[claimed("data")])
    assert names(plan_of(db, service("db"), workload(), service()))[-3:] == [
        "remove-service-web",
        "outage-db",
        "crash-db",
    ]
    assert "pod-delete-db" in names(plan_of(db, service("db"), workload(), service()))


def test_a_load_generator_and_an_observer_are_left_alone() -> None:
    objects = [workload("loadgenerator"), workload("prometheus"), service("prometheus"), workload(), service()]
    plan = plan_of(*objects)
    assert {one.workload for one in plan.experiments} == {"web"}
    assert [one.partition(" (")[0] for one in plan.left_out] == [
        "no experiment of its own for Deployment loadgenerator: it plays the user",
        "no experiment of its own for Deployment prometheus: it looks on, and users do not need it",
    ]


def test_the_service_of_a_load_balancer_is_not_removed() -> None:
    plan = plan_of(workload(), service(type="LoadBalancer"))
    assert "remove-service-web" not in names(plan)
    assert "no removal of Service web: the cluster would release its load balancer's address" in plan.left_out


@pytest.mark.parametrize(("length", "silenced"), [(41, True), (42, False)])
def test_a_service_whose_proxy_could_not_be_named_is_not_silenced(length: int, silenced: bool) -> None:
    name = "b" * length
    web = workload("web", "Deployment", asks(f"http://{name}:80"))
    plan = plan_of(web, service("web", type="NodePort"), workload("back"), service(name, "back"))
    assert (f"edge-silent-{name}" in names(plan)) is silenced
    assert any(told.startswith(f"no silence of Service {name}: ") for told in plan.left_out) is not silenced


def test_what_no_proxy_can_stand_before_is_not_silenced_and_the_reason_is_told() -> None:
    plan = plan_of(workload("web", "Deployment", asks("http://back:80")), service("web", type="NodePort"), *HEADLESS)
    assert "edge-silent-back" not in names(plan)
    assert "no silence of Service back: it is headless, so no proxy can be put in front of it" in plan.left_out


HEADLESS = [workload("back"), service("back", clusterIP="None")]


def ingress(**paths: str) -> Object:
    rules = [
        {"path": path, "pathType": "Prefix", "backend": {"service": {"name": name, "port": {"number": 80}}}}
        for name, path in paths.items()
    ]
    return {
        "kind": "Ingress",
        "metadata": {"name": "all"},
        "spec": {"rules": [{"host": "h", "http": {"paths": rules}}]},
    }


def test_each_experiment_asks_for_a_path_that_is_seen_to_need_what_the_fault_hits() -> None:
    db = workload("db", "StatefulSet", volumeClaimTemplates=[claimed("data")])
    api = workload("api", "Deployment", asks("http://db:5432"))
    lone = workload("lone")
    objects = [workload(), service(), api, service("api"), db, service("db"), lone, service("lone")]
    topology = topology_of(*objects, ingress(web="/", api="/api"))
    plan = make_plan(topology, URL, user_paths(topology))
    paths = {one.name: one.path for one in plan.experiments}
    assert paths["control"] == paths["pod-delete-web"] == "/"
    assert paths["pod-delete-api"] == paths["outage-db"] == paths["crash-db"] == "/api"
    assert paths["pod-delete-lone"] == "/"
    assert plan.left_out[-1].startswith("no path is seen to need Deployment lone: experiments ask for /")


def test_two_workloads_of_one_name_have_experiments_of_their_own() -> None:
    db = workload("web", "StatefulSet", volumeClaimTemplates=[claimed("data")])
    found = names(plan_of(workload(), service(), db))
    assert {"pod-delete-web-deployment", "pod-delete-web-statefulset"} <= set(found)
    assert len(set(found)) == len(found)


def test_pods_are_selected_by_all_that_their_deployment_selects_them_by() -> None:
    labels = {"app": "web", "tier": "front"}
    expressions = [{"key": "track", "operator": "In", "values": ["stable", "canary"]}]
    chosen = workload(
        selector={"matchLabels": labels, "matchExpressions": expressions},
    )
    (deletion,) = [one for one in plan_of(chosen, service()).experiments if one.name == "pod-delete-web"]
    assert deletion.fault is not None
    assert deletion.fault.arguments["label_selector"] == "app=web,tier=front,track in (stable,canary)"


def test_every_experiment_of_a_whole_system_is_valid_and_has_limits() -> None:
    check_files(plan_of(*SHOP))


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
    check_files(plan)


def test_an_experiment_names_no_cluster_or_address_but_as_a_default() -> None:
    configuration = document(plan_of(*SHOP).experiments[0])["configuration"]
    assert configuration["entry_url"] == {"type": "env", "key": "FLAMETEST_URL", "default": URL}
    assert configuration["namespace"] == {"type": "env", "key": "FLAMETEST_NAMESPACE", "default": "shop"}
