"""What is said of systems that somebody else has built: small inputs of kinds that were once told wrongly."""

import json
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from click.testing import CliRunner

from flametest.cli.main import main
from flametest.starter.evidence import Certainty
from flametest.starter.hosts import hosts_in_file
from flametest.starter.roles import RoleName
from flametest.starter.rules import find_weaknesses
from flametest.starter.sources import read_folder
from flametest.starter.topology import Topology, make_topology
from tests.starter.systems import Object, container, service, topology_of, workload


def named(name: str, *variables: str, image: str = "", **fields: Any) -> Object:
    """Return a workload whose container has variables, each as ``NAME=VALUE``."""
    env = [dict(zip(("name", "value"), one.split("=", 1), strict=True)) for one in variables]
    return workload(name, "Deployment", container(name, env=env, image=image or f"{name}:1"), **fields)


def obj(kind: str, name: str, **fields: Any) -> Object:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}} | fields


def pair(name: str, *variables: str, **spec: Any) -> list[Object]:
    """Return a workload and its Service."""
    return [named(name, *variables), service(name, **spec)]


def needs(topology: Topology, name: str) -> set[str]:
    return {one.service for one in topology.dependencies if one.workload.name == name}


def entry(topology: Topology) -> tuple[str, Certainty]:
    return (topology.entry.name if topology.entry else ""), topology.entrance.certainty


def weaknesses(topology: Topology) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in find_weaknesses(topology):
        found.setdefault(one.rule, []).append(f"{one.part}: {one.evidence}")
    return found


def ingress(*routes: tuple[str, str], host: str = "shop.example") -> Object:
    paths = [{"path": path, "backend": {"service": {"name": name}}} for path, name in routes]
    return obj("Ingress", "shop", spec={"rules": [{"host": host, "http": {"paths": paths}}]})


def init(folder: Path, *objects: Object, options: tuple[str, ...] = ()) -> str:
    """Write the objects into a folder, and return what init prints of it."""
    (folder / "k8s").mkdir(exist_ok=True)
    for number, one in enumerate(objects):
        (folder / "k8s" / f"{number}.json").write_text(json.dumps(one))
    done = CliRunner().invoke(
        main, ["init", "--manifests", str(folder / "k8s"), "--out", str(folder / "out"), *options]
    )
    assert done.exit_code == 0, done.output
    return done.output


# What keeps data (row 16)


def test_a_database_on_a_claim_of_one_writer_is_a_store_whatever_its_kind() -> None:
    mounted = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "files"}}]}
    mounting = container("postgres", volumeMounts=[{"name": "data", "mountPath": "/data"}])
    claim = obj("PersistentVolumeClaim", "files", spec={"accessModes": ["ReadWriteOnce"]})
    postgres = workload("postgres", "Deployment", mounting, pod=mounted, replicas=1, strategy={"type": "Recreate"})
    topology = topology_of(postgres, service("postgres"), claim, *pair("web", type="NodePort"))
    role = topology.role_of(topology.system.workloads[0])
    assert (role.name, role.keeps_data) == (RoleName.STORE, True)
    assert "recreate-strategy" not in weaknesses(topology), "the one that holds the files has to go first"


# Where users enter (rows 17, 18, 19, 29)


def test_of_two_that_nobody_names_the_entry_is_a_guess_that_says_so(tmp_path: Path) -> None:
    objects = [*pair("details"), *pair("shop")]
    assert entry(topology_of(*objects)) == ("shop", Certainty.GUESSED)
    told = init(tmp_path, *objects)
    assert "entry: Service shop (a guess: " in told
    assert "alternatives: details; choose one with --entry" in told


def test_a_load_generator_is_no_user_and_what_speaks_udp_is_no_entry() -> None:
    objects = [
        named("loadgen", "HOST=http://front"),
        *pair("front"),
        workload("agent", "DaemonSet"),
        service("agent", ports=[{"port": 8125, "protocol": "UDP"}]),
    ]
    assert entry(topology_of(*objects)) == ("front", Certainty.INFERRED)


def test_what_gets_the_root_is_the_entry_and_not_what_gets_a_part_of_it() -> None:
    topology = topology_of(*pair("api"), *pair("web"), ingress(("/api", "api"), ("/", "web")))
    assert entry(topology) == ("web", Certainty.SEEN)
    assert topology.entrance.alternatives == ("api",)


def test_an_http_route_leads_users_as_an_ingress_does() -> None:
    rules = [
        {"matches": [{"path": {"type": "PathPrefix", "value": "/api"}}], "backendRefs": [{"name": "api", "port": 80}]},
        {"backendRefs": [{"name": "web", "port": 80}]},
    ]
    route = obj("HTTPRoute", "shop", spec={"hostnames": ["shop.example"], "rules": rules})
    assert entry(topology_of(*pair("api"), *pair("web"), route)) == ("web", Certainty.SEEN)


@pytest.mark.parametrize(
    "other",
    [
        [named("db", image="postgres:16"), service("db", type="NodePort")],
        [named("db", image="shop/db:1"), service("db", type="NodePort", ports=[{"port": 5432}])],
        [named("grafana", image="grafana/grafana:11"), service("grafana", type="LoadBalancer")],
        [named("kafka", image="bitnami/kafka:3"), service("kafka", type="NodePort")],
        [workload("nodes", "StatefulSet"), service("nodes", clusterIP="None")],
        [service("outside", selector=None, type="ExternalName", externalName="www.example.org")],
        [service("ghost", type="NodePort")],
    ],
)
def test_what_users_cannot_ask_is_no_entry_however_open_it_is(other: list[Object]) -> None:
    assert entry(topology_of(*other, *pair("web"))) == ("web", Certainty.INFERRED)
    assert entry(topology_of(*other, workload("worker")))[0] == ""


def test_an_entry_of_pods_of_another_controller_is_one() -> None:
    rollout = workload("web", "Rollout") | {"apiVersion": "argoproj.io/v1alpha1"}
    assert entry(topology_of(rollout, service("web"), *pair("db", image="mysql:8")))[0] == "web"


@pytest.mark.parametrize("kind", ["LoadBalancer", "ClusterIP", "NodePort"])
def test_an_address_that_is_not_known_is_not_made_up(tmp_path: Path, kind: str) -> None:
    told = init(tmp_path, *pair("web", type=kind))
    assert "address not known: name it with --url" in told
    assert "http://" not in told
    assert "--url URL" in (tmp_path / "out" / "README.md").read_text()
    written = json.loads((tmp_path / "out" / "experiments" / "control.json").read_text())
    assert written["configuration"]["entry_url"]["default"].endswith(".invalid")


def test_the_address_of_a_route_and_that_of_a_node_port_are_known(tmp_path: Path) -> None:
    (tmp_path / "route").mkdir()
    assert "https://shop.example /" in init(tmp_path / "route", *pair("web"), secured(ingress(("/", "web"))))
    (tmp_path / "node").mkdir()
    open_one = pair("web", type="NodePort", ports=[{"port": 80, "nodePort": 30123, "targetPort": "http"}])
    assert "http://127.0.0.1:30123 /readyz" in init(tmp_path / "node", *open_one)


def secured(route: Object) -> Object:
    return route | {"spec": route["spec"] | {"tls": [{"hosts": ["shop.example"]}]}}


# Who needs whom (rows 20 to 23)


def test_a_path_names_no_host() -> None:
    topology = topology_of(*pair("web", "GATEWAY=http://gateway/orders/list"), *pair("gateway"), *pair("orders"))
    assert needs(topology, "web") == {"gateway"}


def test_a_users_name_and_a_host_elsewhere_name_no_service() -> None:
    topology = topology_of(*pair("web", "POSTGRES_USER=postgres", "DB_HOST=db.example.com"), *pair("postgres"))
    assert needs(topology, "web") == set()
    assert topology.needs.outside["Deployment web"] == ("db.example.com",)


def test_one_key_of_a_config_map_names_what_that_key_names() -> None:
    config = obj("ConfigMap", "places", data={"API": "http://api", "DB_URL": "postgres://db:5432"})
    wanted = {"name": "TARGET", "valueFrom": {"configMapKeyRef": {"name": "places", "key": "API"}}}
    web = workload("web", "Deployment", container(env=[wanted]))
    topology = topology_of(web, service("web"), config, *pair("api"), *pair("db"))
    assert needs(topology, "web") == {"api"}


@pytest.mark.parametrize("command", ["until nc -z mysql 3306; do sleep 1; done", "wait-for-it.sh mysql:3306 -t 60"])
def test_what_an_init_container_waits_for_and_what_a_data_source_names_is_needed(command: str) -> None:
    waiting = {"initContainers": [{"name": "wait", "command": ["sh", "-c", command]}]}
    ports = {"ports": [{"port": 3306}]}
    waits = topology_of(workload("web", pod=waiting), service("web"), *pair("mysql", **ports))
    assert needs(waits, "web") == {"mysql"}
    asks = topology_of(*pair("web", "DSN=root:pw@tcp(mysql:3306)/shop"), *pair("mysql", **ports))
    assert needs(asks, "web") == {"mysql"}


# What is named and not there (row 24)


def test_a_host_that_no_service_has_is_a_weakness_that_tells_which_one_may_be_meant() -> None:
    found = weaknesses(topology_of(*pair("web", "POSTGRES_HOST=db-service"), *pair("db")))
    assert found["absent-host"] == [
        "Deployment web: container web, env POSTGRES_HOST names host db-service, but there is no such Service in "
        "namespace shop; did you mean db?"
    ]


@pytest.mark.parametrize(
    ("host", "name", "meant"),
    [
        ("db-service", "db", "db"),
        ("mysql", "mysql-server", "mysql-server"),
        ("catalogs", "catalog", "catalog"),
        ("ai-service", "makeline-service", ""),
        ("redis", "mongo", ""),
    ],
)
def test_a_service_is_proposed_only_where_its_name_is_alike(host: str, name: str, meant: str) -> None:
    (absent,) = topology_of(*pair("web", f"DB_HOST={host}"), *pair(name)).needs.absent["Deployment web"]
    assert absent.similar == meant


@pytest.mark.parametrize(
    "variable",
    [
        "HOST=anything",
        "URL=http://localhost:80",
        "DB_HOST=db.example.com",
        "DB_HOST=10.0.0.1",
        "RABBITMQ_DEFAULT_VHOST=orders",
        "DB_HOST=db.other",
        "BUCKET_URL=s3://pictures",
        "PATH_URL=file:///data",
        "LEVEL=info",
        "DB_HOST=$(OTHER)",
        "CORS_ORIGIN=http://shop",
    ],
)
def test_what_may_be_there_elsewhere_or_is_no_host_is_not_called_absent(variable: str) -> None:
    assert "absent-host" not in weaknesses(topology_of(*pair("web", variable)))


def test_what_a_pod_needs_to_start_and_is_not_there_is_a_weakness(tmp_path: Path) -> None:
    env_from = [{"configMapRef": {"name": "settings"}}, {"secretRef": {"name": "maybe", "optional": True}}]
    password = {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "login", "key": "password"}}}
    mounted = [{"name": "data", "persistentVolumeClaim": {"claimName": "files"}}]
    web = workload(
        "web",
        "Deployment",
        container(envFrom=env_from, env=[password]),
        pod={"serviceAccountName": "robot", "volumes": mounted},
    )
    told = init(tmp_path, web, service("web"))
    for rule in ("absent-config-map", "absent-secret", "absent-claim", "absent-service-account"):
        assert f"high    Deployment web {rule} (inferred): " in told, told
    assert "maybe" not in told


def test_what_is_over_or_scaled_to_none_needs_nothing_any_more() -> None:
    wanting = {"containers": [container("c", envFrom=[{"configMapRef": {"name": "gone"}}])]}
    done = workload("done", "Job", pod=wanting) | {"status": {"conditions": [{"type": "Complete", "status": "True"}]}}
    ended = obj("Pod", "ended", spec=wanting, status={"phase": "Succeeded"})
    asleep = workload("asleep", pod=wanting, replicas=0)
    assert "absent-config-map" not in weaknesses(topology_of(done, ended, asleep, *pair("web")))
    assert "absent-config-map" in weaknesses(topology_of(workload("going", "Job", pod=wanting), *pair("web")))


def test_what_is_there_is_not_called_absent_and_a_key_that_is_not_is() -> None:
    wanted = [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": "login", "key": name}}} for name in ("user", "password")
    ]
    login = obj("Secret", "login", stringData={"user": "me"})
    found = weaknesses(topology_of(workload("web", "Deployment", container(env=wanted)), service("web"), login))
    assert "absent-secret" not in found
    assert found["absent-key"] == [
        "Deployment web: container web, env password wants key password of Secret login, which has no such key"
    ]


def test_a_secret_that_an_add_on_makes_is_not_called_absent(tmp_path: Path) -> None:
    sealed = {"apiVersion": "bitnami.com/v1alpha1", "kind": "SealedSecret", "metadata": {"name": "login"}}
    wanted = {"name": "A", "valueFrom": {"secretKeyRef": {"name": "login", "key": "a"}}}
    told = init(tmp_path, workload("web", "Deployment", container(env=[wanted])), service("web"), sealed)
    assert "absent-secret" not in told


def test_what_a_kustomization_generates_is_not_called_absent(tmp_path: Path) -> None:
    (tmp_path / "k8s").mkdir()
    generator = "configMapGenerator:\n- name: settings\n  literals: [A=b]\n"
    (tmp_path / "k8s" / "kustomization.yaml").write_text(f"resources: [0.json]\n{generator}")
    web = workload("web", "Deployment", container(envFrom=[{"configMapRef": {"name": "settings"}}]))
    assert "absent-config-map" not in init(tmp_path, web, service("web"))
    (tmp_path / "k8s" / "kustomization.yaml").write_text("resources: [")
    assert "absent-config-map" in init(tmp_path, web, service("web"), options=("--force",))


def test_a_route_to_a_service_that_is_not_there_is_a_weakness() -> None:
    found = weaknesses(topology_of(*pair("web"), ingress(("/", "web"), ("/api", "wep"))))
    assert found["route-without-service"] == [
        "Ingress shop: it sends shop.example/api to Service wep, which is not in namespace shop"
    ]


def test_a_port_that_the_service_does_not_have_is_a_weakness() -> None:
    found = weaknesses(topology_of(*pair("web", "API_URL=http://api:8080"), *pair("api")))
    assert found["absent-port"] == [
        "Deployment web: container web, env API_URL asks Service api at port 8080, which it does not have"
    ]
    assert "absent-port" not in weaknesses(topology_of(*pair("web", "API_URL=http://api:80"), *pair("api")))


# Numbers as they will be (rows 25 to 28)


def test_an_autoscalers_minimum_counts() -> None:
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "web"}, "minReplicas": 2, "maxReplicas": 5}
    scaler = obj("HorizontalPodAutoscaler", "web", spec=spec)
    topology = topology_of(named("web", replicas=1), service("web"), scaler)
    assert topology.system.workloads[0].replicas == 2
    assert "single-pod" not in weaknesses(topology)


def test_a_budget_without_a_selector_selects_nothing() -> None:
    budget = obj("PodDisruptionBudget", "all", spec={"maxUnavailable": 1})
    assert "no-disruption-budget" in weaknesses(topology_of(*pair("web"), budget))


@pytest.mark.parametrize("kind", ["ReplicaSet", "ReplicationController", "CronJob", "Job", "Rollout", "Pod"])
def test_pods_of_any_controller_count_behind_a_service(kind: str) -> None:
    made = workload("lone", kind)
    if kind == "CronJob":
        made["spec"] = {"jobTemplate": {"spec": made["spec"]}}
    if kind == "Pod":
        made = {"kind": kind, "metadata": {"name": "lone", **made["spec"]["template"]["metadata"]}, "spec": {}}
    topology = topology_of(made, service("lone"), *pair("web"))
    assert "service-without-pods" not in weaknesses(topology)


def test_a_native_sidecar_has_ports_of_its_pod() -> None:
    sidecar = {"name": "proxy", "restartPolicy": "Always", "ports": [{"name": "http", "containerPort": 8080}]}
    once = {"name": "once", "ports": [{"name": "http", "containerPort": 8080}]}
    for init_container, is_weak in ((sidecar, False), (once, True)):
        web = workload("web", "Deployment", container(ports=None), pod={"initContainers": [init_container]})
        assert ("service-without-port" in weaknesses(topology_of(web, service("web")))) is is_weak


def test_namespaces_are_apart_and_it_is_said(tmp_path: Path) -> None:
    jaeger = workload("jaeger")
    jaeger["metadata"]["namespace"] = "monitoring"
    told = init(tmp_path, *pair("web", "JAEGER_URL=http://jaeger.monitoring:4317"), jaeger)
    assert "note: 1 object is in namespace monitoring; use --namespace monitoring to look there" in told
    system = read_folder(tmp_path / "k8s")
    assert [one.name for one in system.workloads] == ["web"]
    (absent,) = make_topology(system).needs.absent["Deployment web"]
    assert absent.host == "jaeger.monitoring", "that namespace is to be seen, and has no such Service"


# Systems without a Service (row 30), and large ones (row 31)


def test_a_system_without_a_service_is_not_said_to_have_an_entry(tmp_path: Path) -> None:
    told = init(tmp_path, workload("web"))
    assert "entry: not known, since there is no Service; name its address with --url" in told


def test_what_is_weak_in_the_same_way_is_told_in_one_line(tmp_path: Path) -> None:
    objects = [one for number in range(64) for one in pair(f"part{number:02}")]
    told = init(tmp_path, *objects)
    assert told.count("no-disruption-budget") == 1
    assert "64 Deployments (part00, part01, part02 and 61 more) no-disruption-budget" in told
    assert len(told.splitlines()) < 60


def test_a_large_config_map_that_many_mount_is_looked_through_once(monkeypatch: pytest.MonkeyPatch) -> None:
    line = "key = some value with http://nowhere.example/path and words\n"
    config = obj("ConfigMap", "big", data={"big.conf": line * (500_000 // len(line)) + "url = http://api:80\n"})
    mounted = {"volumes": [{"name": "c", "configMap": {"name": "big"}}]}
    objects = [one for number in range(64) for one in (workload(f"p{number}", pod=mounted), service(f"p{number}"))]
    looked = Mock(wraps=hosts_in_file)
    monkeypatch.setattr("flametest.starter.needs.hosts_in_file", looked)
    topology = topology_of(*objects, config, *pair("api"))
    assert looked.call_count == 1
    assert len(topology.users_of("api")) == 64


# Found on public sets of manifests


def test_what_nothing_but_its_lonely_name_speaks_for_is_a_guess() -> None:
    assert entry(topology_of(*pair("nimbus"))) == ("nimbus", Certainty.GUESSED)
    asked = topology_of(*pair("nimbus", "DB_HOST=db"), *pair("db"))
    assert entry(asked) == ("nimbus", Certainty.INFERRED)


def test_a_page_is_likelier_to_be_asked_by_users_than_what_is_behind_it() -> None:
    topology = topology_of(*pair("details"), *pair("productpage"), *pair("reviews"))
    assert entry(topology) == ("productpage", Certainty.GUESSED)


def test_the_claim_of_a_stateful_sets_own_template_is_there() -> None:
    template = {"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}
    mounted = {"volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]}
    store = workload("store", "StatefulSet", pod=mounted, volumeClaimTemplates=[template])
    assert "absent-claim" not in weaknesses(topology_of(store, service("store")))


def test_variables_of_a_config_map_may_have_a_prefix() -> None:
    source = {"prefix": "DB_", "configMapRef": {"name": "places"}}
    config = obj("ConfigMap", "places", data={"HOST": "db", "USER": "api"})
    web = workload("web", "Deployment", container(envFrom=[source]))
    assert needs(topology_of(web, service("web"), config, *pair("db"), *pair("api")), "web") == {"db"}


def test_a_system_of_other_kinds_is_told_though_nothing_can_be_measured_of_it(tmp_path: Path) -> None:
    (tmp_path / "pod.json").write_text(json.dumps(obj("Pod", "lone", spec={"containers": [container("lone")]})))
    done = CliRunner().invoke(main, ["init", "--manifests", str(tmp_path), "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "entry: not known, since there is no Service" in done.output
    assert "holds no Deployment and no StatefulSet that is to have pods" in done.output


def test_what_a_load_generator_asks_is_likelier_than_what_nobody_asks() -> None:
    k6 = container("k6", image="grafana/k6:1", args=["run", "-e", "TARGET=http://yard", "x.js"])
    job = workload("k6", "Job", k6)
    assert entry(topology_of(job, *pair("yard"), *pair("back"))) == ("yard", Certainty.INFERRED)


def test_what_is_open_and_asked_by_another_part_is_a_guess() -> None:
    topology = topology_of(*pair("api", type="NodePort"), *pair("web", "API_URL=http://api"))
    assert entry(topology) == ("api", Certainty.GUESSED)
    assert topology.entrance.alternatives == ("web",)


@pytest.mark.parametrize("kind", ["StatefulSet", "Deployment"])
def test_what_keeps_something_and_is_not_led_to_is_no_entry_beside_another_one(kind: str) -> None:
    mounted = {"volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "d"}}]}
    keeping = container("aa", volumeMounts=[{"name": "d", "mountPath": "/d"}])
    store = [workload("aa", kind, keeping, pod=mounted), service("aa")]
    assert entry(topology_of(*store, *pair("zz", "HOST=x")))[0] == "zz"
    assert entry(topology_of(*store)) == ("aa", Certainty.GUESSED)


def test_a_console_of_a_store_is_the_entry_only_where_nothing_else_can_be() -> None:
    console = [named("adminer", image="adminer:4"), service("adminer", type="NodePort")]
    assert entry(topology_of(*console, *pair("web")))[0] == "web"
    assert entry(topology_of(*console, named("db", image="postgres:16"), service("db")))[0] == "adminer"


def test_several_objects_that_are_not_there_are_told_with_their_harm_once() -> None:
    sources = [{"secretRef": {"name": "one"}}, {"secretRef": {"name": "two"}}]
    web = workload("web", "Deployment", container(envFrom=sources))
    (told,) = weaknesses(topology_of(web, service("web"), obj("Secret", "other")))["absent-secret"]
    assert told.count("pods stay in") == 1
    assert "Secret one and container web, envFrom names Secret two, which are not in namespace shop" in told
