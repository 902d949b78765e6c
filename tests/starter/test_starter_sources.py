"""A system is read from a folder, or from what a cluster lets be read, and what cannot be is told."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.kube.errors import ApiRejectedError, NotFoundError
from flametest.kube.pages import Listing, whole_list
from flametest.manifests import ManifestError
from flametest.starter.errors import StarterError
from flametest.starter.rules import find_weaknesses
from flametest.starter.sources import make_system, read_folder, read_namespace
from flametest.starter.topology import make_topology
from tests.starter.systems import Object, service, workload

ROOT = Path(__file__).parents[2]


class PretendedApi:
    """Lists by plural; what is missing is unknown to it, and what is None forbidden."""

    context = "pretended"

    def __init__(self, **lists: list[Object] | None) -> None:
        self.lists = lists
        self.asked: list[str] = []

    def get(self, path: str) -> Object:
        self.asked.append(path)
        if path.startswith("/api/v1/namespaces/") and path.count("/") == 4:
            if "namespaces" in self.lists:
                raise NotFoundError(f"GET {path}", code=404)
            return {"metadata": {"name": "shop", "labels": {"flametest.dev/faults": "allowed"}}}
        found = self.lists.get(path.rsplit("/", 1)[1], [])
        if found is None:
            raise ApiRejectedError(f"GET {path}", code=403)
        return {"items": [{key: value for key, value in one.items() if key != "kind"} for one in found]}

    def listed(self, path: str) -> Listing:
        return whole_list(lambda _: self.get(path), {})


class PretendedClient:
    """A client of that API."""

    def __init__(self, **lists: list[Object] | None) -> None:
        self.api: Any = PretendedApi(**lists)


def test_a_namespace_is_read_without_a_look_at_secrets() -> None:
    client: Any = PretendedClient(deployments=[workload()], services=[service()])
    system = read_namespace(client, "shop")
    assert [str(one) for one in (*system.workloads, *system.services)] == ["Deployment web", "Service web"]
    assert system.consents
    assert not [path for path in client.api.asked if "secret" in path]


def test_what_a_cluster_forbids_is_noted_and_the_rest_is_read() -> None:
    client: Any = PretendedClient(deployments=[workload()], configmaps=None, poddisruptionbudgets=None)
    assert read_namespace(client, "shop").unread == ("PodDisruptionBudget", "ConfigMap")


def test_without_the_right_to_list_workloads_nothing_is_said() -> None:
    client: Any = PretendedClient(deployments=None)
    with pytest.raises(ApiRejectedError):
        read_namespace(client, "shop")


def test_a_namespace_that_is_not_there_and_one_that_is_empty_are_told_apart() -> None:
    absent: Any = PretendedClient(namespaces=[])
    with pytest.raises(StarterError, match="the cluster has no namespace 'shop'"):
        read_namespace(absent, "shop")
    empty: Any = PretendedClient()
    with pytest.raises(StarterError, match="'shop' holds no Deployment, StatefulSet or DaemonSet"):
        read_namespace(empty, "shop")


def write(folder: Path, *objects: Object) -> Path:
    for number, one in enumerate(objects):
        (folder / f"{number}.json").write_text(json.dumps(one))
    return folder


def placed(namespace: str, obj: Object) -> Object:
    return obj | {"metadata": obj["metadata"] | {"namespace": namespace}}


def test_a_folder_says_itself_of_which_namespace_it_is(tmp_path: Path) -> None:
    folder = write(tmp_path, placed("shop", workload()), service())
    system = read_folder(folder)
    assert (system.namespace, len(system.workloads), len(system.services)) == ("shop", 1, 1)
    assert system.consents is None


def test_namespaces_are_kept_apart_and_what_is_not_looked_at_is_said(tmp_path: Path) -> None:
    folder = write(tmp_path, placed("shop", workload()), placed("bank", workload("till")), placed("shop", service()))
    system = read_folder(folder)
    assert (system.namespace, [one.name for one in system.workloads]) == ("shop", ["web"])
    assert "1 object is in namespace bank; use --namespace bank to look there" in system.notes
    assert [one.name for one in read_folder(folder, "bank").workloads] == ["till"]


def test_what_names_no_namespace_is_not_put_into_that_of_another_part(tmp_path: Path) -> None:
    folder = write(tmp_path, workload(), service(), placed("monitoring", workload("jaeger")))
    system = read_folder(folder)
    assert (system.namespace, [one.name for one in system.workloads]) == ("flametest", ["web"])
    other = read_folder(folder, "monitoring")
    assert ([one.name for one in other.workloads], other.services) == (["jaeger"], ())
    asked = read_folder(folder, "staging")
    assert ([one.name for one in asked.workloads], [one.name for one in asked.services]) == (["web"], ["web"])


def test_a_single_file_is_read_as_a_folder_with_it_would_be(tmp_path: Path) -> None:
    write(tmp_path, workload(), workload("other"))
    assert [one.name for one in read_folder(tmp_path / "0.json").workloads] == ["web"]


def test_a_folder_that_is_not_there_or_holds_broken_yaml_is_told(tmp_path: Path) -> None:
    with pytest.raises(StarterError, match="does not exist"):
        read_folder(tmp_path / "absent")
    (tmp_path / "broken.yaml").write_text("kind: [")
    with pytest.raises(ManifestError, match=r"broken\.yaml, document 1"):
        read_folder(tmp_path)


@pytest.mark.parametrize("spec", [{"replicas": "three"}, {"replicas": [3]}])
def test_an_object_that_cannot_be_understood_is_named(tmp_path: Path, spec: Object) -> None:
    with pytest.raises(StarterError, match="Deployment web cannot be understood"):
        read_folder(write(tmp_path, workload(**spec)))


@pytest.mark.parametrize("spec", [None, {}, {"template": None}, {"template": {"spec": {"containers": [None]}}}])
def test_an_object_that_is_hardly_one_is_read_as_far_as_it_goes(tmp_path: Path, spec: Object | None) -> None:
    system = read_folder(write(tmp_path, workload() | {"spec": spec}))
    assert system.workloads[0].containers == ()


def test_the_same_objects_give_the_same_system_from_a_folder_and_from_a_cluster(tmp_path: Path) -> None:
    objects = [placed("shop", workload()), placed("shop", service())]
    client: Any = PretendedClient(deployments=[objects[0]], services=[objects[1]])
    read, listed = read_folder(write(tmp_path, *objects)), read_namespace(client, "shop")
    assert (read.workloads, read.services) == (listed.workloads, listed.services)


KEYS = st.one_of(
    st.sampled_from(["spec", "template", "metadata", "name", "labels", "replicas", "strategy", "rollingUpdate"]),
    st.sampled_from(
        ["containers", "ports", "port", "containerPort", "env", "args", "volumes", "resources", "requests"]
    ),
    st.sampled_from(["selector", "matchLabels", "matchExpressions", "values", "rules", "http", "paths", "data"]),
    st.sampled_from(
        ["initContainers", "envFrom", "configMap", "configMapRef", "items", "key", "valueFrom", "optional"]
    ),
    st.sampled_from(
        ["tls", "hosts", "hostAliases", "hostnames", "annotations", "matches", "backendRefs", "accessModes"]
    ),
    st.sampled_from(["persistentVolumeClaim", "claimName", "hostPath", "path", "readinessProbe", "httpGet", "command"]),
    st.sampled_from(
        ["jobTemplate", "volumeClaimTemplates", "scaleTargetRef", "minReplicas", "maxReplicas", "tcpSocket"]
    ),
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-2, 9), st.sampled_from(["", "a", "3", "50%"]))
ANYTHING = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
OBJECTS = st.builds(
    lambda spec, template: {"metadata": {"name": "web"}, "spec": {"template": template} | spec},
    st.dictionaries(KEYS, ANYTHING, max_size=4),
    ANYTHING,
)


WITH_PODS = st.sampled_from(["Deployment", "StatefulSet", "Pod", "Job", "CronJob"])
WITHOUT = st.sampled_from(["Service", "Ingress", "HTTPRoute", "ConfigMap", "Secret", "HorizontalPodAutoscaler"])
BESIDE = st.sampled_from(["PersistentVolumeClaim", "PodDisruptionBudget", "ServiceAccount"])
PARSED = st.one_of(WITH_PODS, WITHOUT, BESIDE)


@given(kind=PARSED, obj=OBJECTS)
def test_whatever_stands_in_a_manifest_is_understood_or_named_as_not_understood(kind: str, obj: Object) -> None:
    objects = {"Deployment": [workload("sound")], "Service": [service("sound")]}
    objects[kind] = [*objects.get(kind, []), obj]
    told = ""
    try:
        find_weaknesses(make_topology(make_system("shop", "a test", objects)))
    except StarterError as error:
        told = error.message
    assert not told or f"{kind} web cannot be understood" in told
