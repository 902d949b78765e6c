"""Who serves whom, who needs whom, and where users enter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.starter.errors import StarterError
from flametest.starter.selectors import Requirement, Selector
from flametest.starter.topology import Topology
from tests.starter.systems import Object, container, service, topology_of, workload


def needs(text: str, *extra: Object) -> list[str]:
    """Return which Services a workload needs that has ``text`` in its environment."""
    asking = workload("web", "Deployment", container(env=[{"name": "ADDRESS", "value": text}]))
    others = [workload("db"), service("db"), workload("db-old"), service("db-old")]
    return [one.service for one in topology_of(asking, *others, *extra).dependencies]


@pytest.mark.parametrize(
    "text",
    [
        "db",
        "db:5432",
        "http://db",
        "postgres://user:word@db:5432/shop",
        "db.shop",
        "db.shop.svc.cluster.local:5432",
        "cache:6379,db:5432",
        "host=db port=5432",
        '["db"]',
    ],
)
def test_a_service_named_as_a_host_is_needed(text: str) -> None:
    assert needs(text) == ["db"]


@pytest.mark.parametrize("text", ["", "mydb", "db2", "db_name", "the-db", "db.another", "db.example.org", "DB"])
def test_a_name_that_only_looks_alike_is_not_needed(text: str) -> None:
    assert needs(text) == []


def test_a_longer_name_is_not_taken_for_a_shorter_one() -> None:
    assert needs("http://db-old/") == ["db-old"]


def test_a_service_named_in_a_config_map_that_is_mounted_is_needed() -> None:
    mounted = {"volumes": [{"name": "c", "configMap": {"name": "proxy"}}]}
    proxy = workload("proxy", pod=mounted)
    config = {
        "kind": "ConfigMap",
        "metadata": {"name": "proxy"},
        "data": {"proxy.conf": "upstream {\n  server db:80;\n}"},
    }
    (found,) = topology_of(proxy, workload("db"), service("db"), config).dependencies
    assert (found.workload.name, found.service) == ("proxy", "db")
    assert str(found.evidence) == "Deployment proxy, volume c: ConfigMap proxy, key proxy.conf"


def test_what_serves_itself_does_not_need_itself() -> None:
    own = workload("web", "Deployment", container(env=[{"name": "SELF", "value": "http://web"}]))
    assert topology_of(own, service("web")).dependencies == ()


def entry_of(topology: Topology) -> tuple[str, str]:
    assert topology.entry is not None
    return topology.entry.name, topology.entrance.reason


def ingress(path: str, name: str) -> Object:
    backend = {"service": {"name": name, "port": {"number": 80}}}
    rule = {"host": "shop.example", "http": {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]}}
    return {"kind": "Ingress", "metadata": {"name": "shop"}, "spec": {"rules": [rule]}}


BACK = [workload("back"), service("back", type="NodePort")]
FRONT = [workload("web", "Deployment", container(env=[{"name": "BACK", "value": "http://back"}])), service("web")]


def test_the_entry_is_behind_the_ingress_whatever_else_is_open() -> None:
    topology = topology_of(*BACK, *FRONT, ingress("/shop(/|$)(.*)", "web"))
    assert entry_of(topology) == ("web", "Ingress shop leads to it")
    assert topology.paths == ("/shop",)


def test_without_an_ingress_the_entry_is_what_is_open_to_the_outside() -> None:
    assert entry_of(topology_of(*BACK, *FRONT)) == ("back", "its type is NodePort, though another part names it")


def test_with_nothing_open_the_entry_is_what_no_other_part_names() -> None:
    topology = topology_of(BACK[0], service("back"), *FRONT)
    assert entry_of(topology) == ("web", "no other part names it")


def test_a_database_that_nobody_is_seen_to_name_is_not_taken_for_the_entry() -> None:
    topology = topology_of(workload("aa", "StatefulSet"), service("aa"), workload(), service())
    assert entry_of(topology)[0] == "web"


def test_the_entry_can_be_named_and_has_to_exist() -> None:
    assert entry_of(topology_of(*BACK, *FRONT, entry="web")) == ("web", "named by --entry")
    with pytest.raises(StarterError, match="no Service 'wep'") as told:
        topology_of(*BACK, *FRONT, entry="wep")
    assert told.value.remedy == "use one of: back, web"


def test_paths_are_those_of_readiness_probes_on_the_ports_of_the_entry() -> None:
    assert topology_of(workload(), service()).paths == ("/readyz",)


def test_a_port_for_probes_alone_is_not_asked_by_users() -> None:
    probe = {"httpGet": {"path": "/healthz", "port": 8081}}
    assert topology_of(workload("web", "Deployment", container(readinessProbe=probe)), service()).paths == ("/",)


def test_a_system_without_a_service_is_asked_at_its_root() -> None:
    topology = topology_of(workload())
    assert (topology.entry, topology.paths) == (None, ("/",))


LABELS = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy"), max_size=3)
EXPRESSIONS = st.builds(
    Requirement,
    st.sampled_from("abc"),
    st.sampled_from(["In", "NotIn", "Exists", "DoesNotExist"]),
    st.lists(st.sampled_from("xy"), min_size=1, unique=True).map(tuple),
)


@given(labels=LABELS.filter(bool), more=LABELS)
def test_a_selector_of_labels_selects_what_has_all_of_them(labels: dict[str, str], more: dict[str, str]) -> None:
    assert Selector.of_labels(labels).matches(more | labels)
    assert Selector.of_labels(labels).matches(more) == all(more.get(key) == value for key, value in labels.items())


@given(one=EXPRESSIONS, labels=LABELS)
def test_a_requirement_and_its_opposite_never_agree(one: Requirement, labels: dict[str, str]) -> None:
    opposite = {"In": "NotIn", "NotIn": "In", "Exists": "DoesNotExist", "DoesNotExist": "Exists"}[one.operator]
    assert one.matches(labels) != Requirement(one.key, opposite, one.values).matches(labels)


def test_a_selector_reads_as_the_api_takes_it() -> None:
    selector = Selector(
        (
            *Selector.of_labels({"app": "web", "tier": "front"}).requirements,
            Requirement("track", "In", ("a", "b")),
            Requirement("zone", "NotIn", ("c",)),
            Requirement("team", "Exists"),
            Requirement("old", "DoesNotExist"),
        )
    )
    assert str(selector) == "app=web,tier=front,track in (a,b),zone notin (c),team,!old"


def test_an_empty_selector_selects_nothing() -> None:
    assert not Selector().matches({"app": "web"})
