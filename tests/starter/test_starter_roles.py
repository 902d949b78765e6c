"""What a workload is to its system: by what it mounts and runs, and only then by its kind."""

import pytest

from flametest.starter.evidence import Certainty
from flametest.starter.roles import Role, RoleName
from flametest.starter.wellknown import Purpose, purpose_of_image, purpose_of_name
from tests.starter.systems import Object, container, service, topology_of, workload


def claim(name: str, *modes: str) -> Object:
    kind = {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    return kind | {"metadata": {"name": name}, "spec": {"accessModes": list(modes)}}


def mounting(name: str, volume: Object, *, read_only: bool = False) -> Object:
    mount = {"name": "data", "mountPath": "/data", "readOnly": read_only}
    return workload(
        name, "Deployment", container(name, volumeMounts=[mount]), pod={"volumes": [{"name": "data"} | volume]}
    )


def on_claim(name: str, *, read_only: bool = False) -> Object:
    return mounting(name, {"persistentVolumeClaim": {"claimName": "files"}}, read_only=read_only)


def running(name: str, image: str, **fields: object) -> Object:
    return workload(name, "Deployment", container(name, image=image, **fields))


def role(*objects: Object, name: str = "", entry: str = "") -> Role:
    """Return the role of a workload, beside an entry that asks nobody; of the first one without a name."""
    topology = topology_of(*objects, workload("shop"), service("shop", type="NodePort"), entry=entry)
    wanted = name or objects[0]["metadata"]["name"]
    return next(topology.role_of(one) for one in topology.system.workloads if one.name == wanted)


@pytest.mark.parametrize("modes", [("ReadWriteOnce",), ("ReadWriteOncePod",), ()])
def test_a_deployment_that_writes_to_a_claim_of_one_writer_is_a_store(modes: tuple[str, ...]) -> None:
    found = role(on_claim("files"), service("files"), claim("files", *modes))
    assert (found.name, found.keeps_data, found.certainty) == (RoleName.STORE, True, Certainty.SEEN)
    assert "claim files" in found.reason
    assert str(found.evidence) == "Deployment files, volumes"


def test_a_claim_that_many_may_write_or_that_is_only_read_makes_no_store() -> None:
    shared = role(on_claim("files"), service("files"), claim("files", "ReadWriteMany"))
    read = role(on_claim("files", read_only=True), service("files"), claim("files", "ReadWriteOnce"))
    assert [(one.name, one.keeps_data) for one in (shared, read)] == [(RoleName.SERVICE, False)] * 2


def test_a_claim_that_is_not_there_is_taken_for_one_of_a_single_writer_by_a_guess() -> None:
    found = role(on_claim("files"), service("files"))
    assert (found.name, found.certainty) == (RoleName.STORE, Certainty.GUESSED)


def test_a_folder_of_the_node_is_kept_data_unless_it_is_the_nodes_own() -> None:
    assert role(mounting("files", {"hostPath": {"path": "/mnt/data"}})).name is RoleName.STORE
    assert role(mounting("agent", {"hostPath": {"path": "/var/run/docker.sock"}})).name is RoleName.WORKER


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("postgres:16", RoleName.STORE),
        ("docker.io/bitnami/postgresql@sha256:00", RoleName.STORE),
        ("mcr.microsoft.com/mssql/server:2022-latest", RoleName.STORE),
        ("redis:7-alpine", RoleName.CACHE),
        ("localhost:5000/cache/memcached", RoleName.CACHE),
        ("confluentinc/cp-kafka:7.6", RoleName.BROKER),
        ("locustio/locust", RoleName.GENERATOR),
        ("prom/prometheus:v2", RoleName.OBSERVER),
        ("prometheuscommunity/postgres-exporter", RoleName.OBSERVER),
        ("shop/postgres-migrations:1", RoleName.SERVICE),
    ],
)
def test_the_program_of_an_image_tells_the_role_whatever_the_kind(image: str, name: RoleName) -> None:
    found = role(running("part", image), service("part"))
    assert found.name is name
    assert found.keeps_data == (name in (RoleName.STORE, RoleName.CACHE, RoleName.BROKER))


def test_a_cache_that_writes_to_a_claim_is_a_store() -> None:
    mount = {"name": "data", "mountPath": "/data"}
    redis = container("redis", image="redis:7", volumeMounts=[mount])
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "files"}}
    kept = workload("redis", "Deployment", redis, pod={"volumes": [volume]})
    assert role(kept, claim("files", "ReadWriteOnce")).name is RoleName.STORE


def test_a_port_tells_where_the_image_does_not() -> None:
    found = role(running("part", "shop/orders:1", ports=[{"containerPort": 5432}]), service("part"))
    assert (found.name, found.certainty) == (RoleName.STORE, Certainty.INFERRED)


def test_the_port_that_a_service_leads_to_tells_where_the_pod_declares_none() -> None:
    silent = running("part", "shop/part:1", ports=None)
    assert role(silent, service("part", ports=[{"port": 80, "targetPort": 3306}])).name is RoleName.STORE
    assert role(silent, service("part", ports=[{"port": 80}, {"port": 3306}])).name is RoleName.SERVICE


def test_a_name_tells_by_a_guess_only() -> None:
    found = role(running("orders-db", "shop/orders:1"), service("orders-db"))
    assert (found.name, found.certainty) == (RoleName.STORE, Certainty.GUESSED)
    assert str(found).endswith("; a guess)")


def test_who_answers_users_is_the_entry_even_where_it_keeps_files() -> None:
    web = on_claim("web")
    topology = topology_of(web, service("web", type="NodePort"), claim("files", "ReadWriteOnce"), entry="web")
    found = topology.role_of(topology.system.workloads[0])
    assert (found.name, found.keeps_data) == (RoleName.ENTRY, True)


def test_a_database_does_not_become_something_else_because_users_ask_it() -> None:
    assert role(running("db", "mysql:8"), service("db"), entry="db").name is RoleName.STORE


def test_what_a_service_leads_to_is_a_service_and_what_none_leads_to_a_worker() -> None:
    assert role(workload("back"), service("back")).name is RoleName.SERVICE
    assert role(workload("back")).name is RoleName.WORKER


def test_without_any_service_what_listens_serves_by_a_guess() -> None:
    topology = topology_of(workload("web"), workload("tally", "Deployment", container("tally", ports=None)))
    assert [(one.name, one.certainty) for one in topology.roles.values()] == [
        (RoleName.WORKER, Certainty.SEEN),
        (RoleName.SERVICE, Certainty.GUESSED),
    ]


@pytest.mark.parametrize(
    ("name", "purpose"),
    [
        ("orders-db", Purpose.STORE),
        ("redis-master", Purpose.CACHE),
        ("mysql-deployment", Purpose.STORE),
        ("mongo-0", Purpose.STORE),
        ("load-generator", Purpose.GENERATOR),
        ("redis-exporter", Purpose.OBSERVER),
        ("db-migrate", None),
        ("web", None),
    ],
)
def test_the_last_telling_word_of_a_name_decides(name: str, purpose: Purpose | None) -> None:
    assert purpose_of_name(name) is purpose


def test_an_image_is_told_by_its_whole_name() -> None:
    assert purpose_of_image("shop/mysql-client:1") is None
    assert purpose_of_image("") is None
