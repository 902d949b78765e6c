"""EndpointSlices and Endpoints: which pods are behind a Service, and in which state."""

from hypothesis import given
from hypothesis import strategies as st

from flametest.sandbox.controllers.changes import Create, Update
from flametest.sandbox.controllers.endpointslices import Observed, plan
from flametest.sandbox.objects import Object
from tests.controllers.small_cluster import SmallCluster
from tests.controllers.workloads import deployment, pod, service

SLICES = "endpointslices.discovery.k8s.io"


def slices(cluster: SmallCluster, name: str = "web") -> list[Object]:
    return cluster.registry.list(SLICES, "default", {"kubernetes.io/service-name": name})


def subsets(cluster: SmallCluster) -> list[Object]:
    return (cluster.registry.get("endpoints", "default", "web") or {}).get("subsets") or []


def conditions(cluster: SmallCluster) -> list[tuple[bool, bool, bool]]:
    return [
        (each["conditions"]["ready"], each["conditions"]["serving"], each["conditions"]["terminating"])
        for held in slices(cluster)
        for each in held.get("endpoints") or []
    ]


async def test_a_service_has_an_empty_slice_from_its_first_moment(cluster: SmallCluster) -> None:
    cluster.create("services", service())
    await cluster.until(lambda: slices(cluster))
    (held,) = slices(cluster)
    assert not held.get("endpoints")
    assert held["metadata"]["labels"] == {
        "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        "kubernetes.io/service-name": "web",
    }
    assert held["metadata"]["ownerReferences"][0]["kind"] == "Service"


async def test_endpoints_follow_a_pod_through_its_life(cluster: SmallCluster) -> None:
    cluster.create("services", service())
    cluster.create("deployments.apps", deployment())
    await cluster.until(lambda: conditions(cluster) == [(True, True, False)] * 2)
    (held,) = slices(cluster)
    assert held["ports"] == [{"name": "", "port": 8080, "protocol": "TCP"}]
    cluster.agent.may_end = cluster.agent.may_start = lambda pod: False
    first = held["endpoints"][0]["targetRef"]["name"]
    cluster.registry.delete("pods", "default", first)
    await cluster.until(lambda: (False, True, True) in conditions(cluster))
    # It keeps its place while it ends, and still serves.
    assert conditions(cluster) == [(False, True, True), (True, True, False)]
    (subset,) = cluster.get("endpoints", "web")["subsets"]
    assert len(subset["addresses"]) == 1
    cluster.agent.may_end = cluster.agent.may_start = lambda pod: True
    cluster.agent.look_at_all()
    await cluster.until(lambda: conditions(cluster) == [(True, True, False)] * 2)
    assert len(slices(cluster)) == 1


async def test_the_last_pod_gone_leaves_the_same_slice_empty(cluster: SmallCluster) -> None:
    cluster.create("services", service())
    cluster.create("deployments.apps", deployment())
    await cluster.until(lambda: len(conditions(cluster)) == 2)
    name = slices(cluster)[0]["metadata"]["name"]
    cluster.scale("deployments.apps", "web", 0)
    await cluster.until(lambda: not cluster.pods() and not conditions(cluster))
    assert [held["metadata"]["name"] for held in slices(cluster)] == [name]
    await cluster.until(lambda: "subsets" not in cluster.get("endpoints", "web"))


async def test_endpoints_name_pod_node_and_port(cluster: SmallCluster) -> None:
    cluster.create("services", service())
    cluster.create("deployments.apps", deployment(replicas=1))
    await cluster.until(lambda: cluster.registry.get("endpoints", "default", "web") and conditions(cluster))
    await cluster.settled()
    (only,) = cluster.pods()
    held = cluster.get("endpoints", "web")
    assert held["metadata"]["labels"] == {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}
    metadata = only["metadata"]
    reference = {"kind": "Pod", "namespace": "default", "name": metadata["name"], "uid": metadata["uid"]}
    assert held["subsets"] == [
        {
            "addresses": [
                {"ip": only["status"]["podIP"], "nodeName": only["spec"]["nodeName"], "targetRef": reference}
            ],
            "ports": [{"port": 8080, "protocol": "TCP"}],
        }
    ]


async def test_a_service_without_selector_is_left_alone(cluster: SmallCluster) -> None:
    lone = service()
    del lone["spec"]["selector"]
    cluster.create("services", lone)
    await cluster.settled()
    assert not slices(cluster)
    assert cluster.registry.get("endpoints", "default", "web") is None


async def test_everything_behind_a_service_goes_with_it_and_returns_with_it(cluster: SmallCluster) -> None:
    cluster.create("deployments.apps", deployment(replicas=1))
    cluster.create("services", service())
    await cluster.until(lambda: conditions(cluster))
    cluster.registry.delete("services", "default", "web")
    await cluster.until(lambda: not slices(cluster) and cluster.registry.get("endpoints", "default", "web") is None)
    cluster.create("services", service())
    await cluster.until(lambda: conditions(cluster) == [(True, True, False)])


async def test_unready_pods_are_published_when_asked_for(cluster: SmallCluster) -> None:
    cluster.create("services", service(clusterIP="None", publishNotReadyAddresses=True))
    cluster.create("pods", {k: v for k, v in pod("early").items() if k != "status"})
    await cluster.until(lambda: len(cluster.ready_pods()) == 1)

    def unready(obj: Object) -> None:
        for each in obj["status"]["conditions"]:
            each["status"] = "False" if each["type"] in ("Ready", "ContainersReady") else each["status"]

    cluster.agent.may_start = lambda pod: False
    found = cluster.get("pods", "early")
    unready(found)
    cluster.registry.update_status("pods", found)
    await cluster.until(lambda: conditions(cluster) == [(True, False, False)])
    (held,) = slices(cluster)
    assert held["metadata"]["labels"]["service.kubernetes.io/headless"] == ""
    await cluster.until(lambda: [list(each) for each in subsets(cluster)] == [["addresses", "ports"]])


def _running(index: int, port_name: str) -> Object:
    made = pod(f"p{index}", node="sandbox-1", ready=True)
    made["status"]["podIP"] = f"10.244.{index // 250}.{index % 250 + 1}"
    made["spec"]["containers"][0]["ports"][0]["name"] = port_name
    return made


@given(st.lists(st.sampled_from(["http", "web", "admin"]), max_size=8))
def test_a_named_port_groups_pods_by_what_it_means_on_each(names: list[str]) -> None:
    owner = service()
    owner["metadata"]["uid"] = "uid-service"
    pods = tuple(_running(index, name) for index, name in enumerate(names))
    made = [change.object for change in plan(Observed(owner, pods, ())).changes if isinstance(change, Create)]
    held = {each["targetRef"]["name"]: part["ports"] for part in made for each in part["endpoints"] or []}
    assert len(held) == len(names)
    for index, name in enumerate(names):
        wanted = [{"name": "", "port": 8080, "protocol": "TCP"}] if name == "http" else None
        assert held[f"p{index}"] == wanted


def test_a_slice_holds_no_more_than_a_hundred_endpoints() -> None:
    owner = service()
    owner["metadata"]["uid"] = "uid-service"
    pods = tuple(_running(index, "http") for index in range(230))
    made = [change.object for change in plan(Observed(owner, pods, ())).changes if isinstance(change, Create)]
    assert sorted(len(part["endpoints"]) for part in made) == [30, 100, 100]


@given(st.integers(0, 5), st.integers(0, 5))
def test_slices_that_are_up_to_date_are_not_written(before: int, after: int) -> None:
    owner = service()
    owner["metadata"]["uid"] = "uid-service"
    pods = tuple(_running(index, "http") for index in range(before))
    (made,) = [change.object for change in plan(Observed(owner, pods, ())).changes if isinstance(change, Create)]
    stored = {**made, "metadata": {**made["metadata"], "name": "web-abcde", "uid": "u"}}
    assert plan(Observed(owner, pods, (stored,))).changes == ()
    changed = plan(Observed(owner, tuple(_running(index, "http") for index in range(after)), (stored,))).changes
    assert [type(change) for change in changed] == ([] if before == after else [Update])
