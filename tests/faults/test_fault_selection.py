"""Which pods and nodes a fault acts on: selective, bounded, and drawn so that a seed repeats the draw."""

import copy
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flametest.faults import container_crash
from flametest.faults.container_crash import ContainerCrash
from flametest.faults.errors import FaultError
from flametest.faults.node_drain import NodeDrain
from flametest.faults.node_loss import NodeLoss
from flametest.faults.nodes import NodeSelection
from flametest.faults.scaling import Scaling
from flametest.faults.selection import PodSelection, foretold
from flametest.faults.workloads import pods_of, ready_endpoints
from flametest.kube.execute import Executed
from flametest.kube.resources import DEPLOYMENTS, ENDPOINT_SLICES, NODES, PODS, REPLICA_SETS, SERVICES
from tests.faults.conftest import merge, pod

NS = "flametest"


def names(selection: PodSelection, client: Any) -> list[str]:
    return [target.name for target in selection.targets(client)]


@pytest.mark.parametrize("selector", ["", "  "])
def test_an_empty_selector_is_refused(client: Any, selector: str) -> None:
    with pytest.raises(FaultError, match="the selector is empty, so it would select every pod of"):
        PodSelection(NS, selector, every=True).targets(client)


def test_a_misspelt_selector_is_told(client: Any) -> None:
    with pytest.raises(FaultError, match="no pod of namespace 'flametest' has 'app=apii'"):
        PodSelection(NS, "app=apii").targets(client)


@pytest.mark.parametrize("count", [0, 4, -1])
def test_more_pods_than_there_are_or_none_are_refused(client: Any, count: int) -> None:
    with pytest.raises(FaultError, match=f"{count} of 3 pods with 'app=api'.* were asked for"):
        PodSelection(NS, "app=api", count=count).targets(client)


def test_a_pattern_that_is_none_is_told(client: Any) -> None:
    with pytest.raises(FaultError, match="is no regular expression"):
        PodSelection(NS, name_pattern="(").targets(client)


def test_pods_are_taken_by_name_by_share_or_all(client: Any) -> None:
    assert names(PodSelection(NS, "app=api", at_random=False), client) == ["api-0"]
    assert names(PodSelection(NS, name_pattern="-[12]$", every=True), client) == ["api-1", "api-2"]
    assert names(PodSelection(NS, "app=api", count=34, percent=True, at_random=False), client) == ["api-0", "api-1"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(), count=st.integers(1, 3))
def test_a_draw_is_foretold_and_repeated_by_its_seed(client: Any, seed: int, count: int) -> None:
    selection = PodSelection(NS, "app=api", count=count)
    random.seed(seed)
    told = foretold(selection, client)
    assert selection.targets(client) == told
    random.seed(seed)
    assert selection.targets(client) == told


def test_a_node_is_named_or_drawn_from_those_with_a_pod_of_an_app(client: Any) -> None:
    client.api.put(NODES, {"metadata": {"name": "node-1"}, "spec": {}})
    drawn = NodeSelection(NS, app="api").targets(client)
    assert drawn[0].name == "node-1"
    with pytest.raises(FaultError, match="neither a node nor an app nor a label selector is named"):
        NodeSelection(NS).targets(client)
    with pytest.raises(FaultError, match="holds no workload 'apii', and none whose pods have the label app=apii"):
        NodeSelection(NS, app="apii").targets(client)
    assert NodeSelection(NS, label_selector="app=api").targets(client) == drawn
    with pytest.raises(FaultError, match=r"no node has a live pod of api with 'io\.kompose\.service=api'"):
        NodeSelection(NS, app="api", label_selector="io.kompose.service=api").targets(client)
    with pytest.raises(FaultError, match="the cluster holds no Node 'node-9'"):
        NodeSelection(NS, "node-9").targets(client)


def test_a_workload_that_does_not_exist_is_told_with_those_that_do(client: Any) -> None:
    client.api.put(DEPLOYMENTS, {"metadata": {"name": "api"}, "spec": {}})
    with pytest.raises(FaultError, match="holds no Deployment 'apii'") as raised:
        Scaling(NS, "apii", 1).targets(client)
    assert raised.value.remedy == "use one of: api"
    with pytest.raises(FaultError, match="the Deployment has no name"):
        Scaling(NS, "", 1).targets(client)


def test_a_signal_is_a_name_and_nothing_that_a_shell_could_take_for_more(client: Any) -> None:
    with pytest.raises(FaultError, match="is no name of a signal"):
        ContainerCrash(PodSelection(NS, "app=api"), signal="TERM; reboot").targets(client)


# Only live pods are drawn.

DEAD = [
    {"status": {"phase": "Succeeded"}},
    {"status": {"phase": "Failed"}},
    {"status": {"phase": "Unknown"}},
    {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}},
]
UNSCHEDULABLE = {
    "status": {
        "phase": "Pending",
        "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}],
    }
}


def put(client: Any, name: str, change: dict[str, Any], node: str = "node-1") -> None:
    obj = pod(name, "api")
    merge(obj, change | {"spec": {"nodeName": node}})
    client.api.put(PODS, obj)


@pytest.mark.parametrize("change", [*DEAD, UNSCHEDULABLE])
def test_a_pod_that_has_ended_or_is_on_its_way_out_or_unschedulable_is_never_drawn(
    client: Any, change: dict[str, Any]
) -> None:
    for number in range(5):
        put(client, f"api-a{number}", change)
    assert names(PodSelection(NS, "app=api", every=True), client) == ["api-0", "api-1", "api-2"]
    with pytest.raises(FaultError, match="4 of 3 pods"):
        PodSelection(NS, "app=api", count=4).targets(client)


def test_a_pod_that_is_about_to_run_is_drawn_unless_it_has_to_run(client: Any) -> None:
    put(client, "api-3", {"status": {"phase": "Pending"}})
    assert len(names(PodSelection(NS, "app=api", every=True), client)) == 4
    assert len(names(PodSelection(NS, "app=api", every=True, running=True), client)) == 3
    assert len(ContainerCrash(PodSelection(NS, "app=api", every=True)).targets(client)) == 3


def test_where_no_pod_lives_it_is_said_what_became_of_them(client: Any) -> None:
    for number in range(3):
        put(client, f"api-{number}", DEAD[0])
    with pytest.raises(FaultError, match=r"'app=api' lives: api-0 \(Succeeded\), api-1 \(Succeeded\)"):
        PodSelection(NS, "app=api").targets(client)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(seed=st.integers(), count=st.integers(1, 3), dead=st.integers(1, 9))
def test_what_a_foreign_draw_from_all_listed_pods_will_hit_lives(client: Any, seed: int, count: int, dead: int) -> None:
    for number in range(dead):
        put(client, f"api-a{number}", DEAD[number % len(DEAD)])
    random.seed(seed)
    selection = PodSelection(NS, "app=api", count=count, listed=True)
    told = foretold(selection, client)
    assert {one.name for one in told} <= {"api-0", "api-1", "api-2"}
    # As chaostoolkit-kubernetes draws: from the list as it is, with the random numbers as they were left.
    listed = client.api.get(PODS.path(NS), {"labelSelector": "app=api"})["items"]
    assert [one["metadata"]["name"] for one in random.sample(listed, count)] == [one.name for one in told]


@pytest.mark.parametrize("options", [{"at_random": False}, {"every": True}])
def test_a_foreign_draw_without_chance_that_would_hit_a_dead_pod_is_refused(client: Any, options: Any) -> None:
    put(client, "api-", DEAD[0])  # sorts before the others
    with pytest.raises(FaultError, match=r"would hit pods that do not live: api- \(Succeeded\)") as raised:
        foretold(PodSelection(NS, "app=api", listed=True, **options), client)
    assert "inject_pod_deletion" in raised.value.remedy


@pytest.mark.parametrize("change", DEAD)
def test_a_node_with_dead_pods_only_is_not_drawn_and_they_do_not_have_to_leave_it(
    client: Any, change: dict[str, Any]
) -> None:
    for node in ("node-1", "node-2"):
        client.api.put(NODES, {"metadata": {"name": node}, "spec": {}})
    for number in range(20):  # were they drawn, node-2 would be spared once in 2^20
        put(client, f"api-a{number}", change, "node-2")
        assert NodeSelection(NS, app="api").targets(client)[0].name == "node-1"


def test_a_container_that_a_pod_does_not_have_is_told_with_those_that_it_has(client: Any) -> None:
    crash = ContainerCrash(PodSelection(NS, "app=api"), container="nobody")
    with pytest.raises(FaultError, match="has no container 'nobody'") as raised:
        crash.record(client, crash.targets(client))
    assert raised.value.remedy == "use one of: main"


@pytest.mark.parametrize("code", [0, None, 137])
def test_a_command_that_ended_with_its_container_has_sent_the_signal(
    client: Any, monkeypatch: pytest.MonkeyPatch, code: int | None
) -> None:
    monkeypatch.setattr(container_crash, "execute", lambda *_, **__: Executed(code, ""))
    crash = ContainerCrash(PodSelection(NS, "app=api"))
    crash.inject(client, crash.targets(client))


@pytest.mark.parametrize(("code", "output"), [(1, "no such process"), (126, "exec: sh: not found"), (2, "")])
def test_a_command_that_failed_by_itself_is_told_as_a_refusal(
    client: Any, monkeypatch: pytest.MonkeyPatch, code: int, output: str
) -> None:
    monkeypatch.setattr(container_crash, "execute", lambda *_, **__: Executed(code, output))
    crash = ContainerCrash(PodSelection(NS, "app=api"))
    with pytest.raises(FaultError, match=f"refused the signal: {output or code}"):
        crash.inject(client, crash.targets(client))


def test_without_a_shell_the_signal_is_sent_by_the_program_kill(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[list[str]] = []

    def execute(_: Any, __: Any, command: list[str], **___: Any) -> Executed:
        if command[0] == "sh":
            return Executed(None, "", 'exec: "sh": executable file not found in $PATH')
        sent.append(command)
        return Executed(0, "")

    monkeypatch.setattr(container_crash, "execute", execute)
    crash = ContainerCrash(PodSelection(NS, "app=api"), signal="QUIT")
    targets = crash.targets(client)
    crash.record(client, targets)
    crash.inject(client, targets)
    assert sent == [["kill", "-QUIT", "1"]]


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        ("no such file", "can send a signal, since its image has neither a shell nor kill: no such"),
        ("executable file `sh` not found in $PATH: No such file", "can send a signal, since its image has neither"),
        ("failed to load task: no running task found", "cannot be entered: failed to load task"),
    ],
)
def test_a_container_in_which_nothing_can_send_a_signal_is_refused_before_anything_is_done(
    client: Any, monkeypatch: pytest.MonkeyPatch, refusal: str, told: str
) -> None:
    monkeypatch.setattr(container_crash, "execute", lambda *_, **__: Executed(None, "", refusal))
    crash = ContainerCrash(PodSelection(NS, "app=api"))
    targets = crash.targets(client)
    crash.record(client, targets)
    with pytest.raises(FaultError, match=told):
        crash.inject(client, targets)


def test_an_image_of_further_pods_that_can_send_no_signal_is_found_out_before_the_first_is_crashed(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def execute(_: Any, place: tuple[str, str], *__: Any, **___: Any) -> Executed:
        asked.append(place[1])
        return Executed(None, "", "no such file")

    monkeypatch.setattr(container_crash, "execute", execute)
    for number in range(3):
        client.api.objects[PODS.path(NS, f"api-{number}")]["spec"]["containers"][0]["image"] = f"api:{number // 2}"
    crash = ContainerCrash(PodSelection(NS, "app=api", every=True))
    with pytest.raises(FaultError, match="of pod api-2 can send a signal"):
        crash.record(client, crash.targets(client))
    assert set(asked) == {"api-2"}


def test_pods_and_endpoints_of_a_workload_are_those_that_it_owns(client: Any) -> None:
    api = {"metadata": {"name": "api"}, "spec": {"template": {"metadata": {"labels": {"app": "api"}}}}}
    found = client.api.put(DEPLOYMENTS, api) | {"kind": "Deployment"}
    owner = {"kind": "Deployment", "uid": found["metadata"]["uid"], "controller": True}
    replicas = {"metadata": {"name": "rs", "uid": "uid-of-rs", "ownerReferences": [owner]}}
    client.api.put(REPLICA_SETS, replicas)
    stranger = client.api.put(PODS, pod("worker-0", "api", "rs-worker"))
    assert [one["metadata"]["name"] for one in pods_of(client, found)] == ["api-0", "api-1", "api-2"]
    client.api.put(SERVICES, {"metadata": {"name": "api"}, "spec": {"selector": {"app": "api"}}})
    own = client.api.get(PODS.path(NS, "api-0"))["metadata"]["uid"]
    endpoints = [{"targetRef": {"uid": uid}} for uid in (own, stranger["metadata"]["uid"], "gone")]
    labels = {"kubernetes.io/service-name": "api"}
    client.api.put(ENDPOINT_SLICES, {"metadata": {"name": "api-1", "labels": labels}, "endpoints": endpoints})
    assert ready_endpoints(client, found) == {"api": 2}


class Reviewed:
    """What the API answers when it is asked whether pods may be evicted."""

    def __init__(self, client: Any, allowed: bool) -> None:
        self.asked: list[str] = []
        send = client.api.send

        def sending(method: str, path: str, body: Any = None, **options: Any) -> Any:
            if body is None or body.get("kind") != "SelfSubjectAccessReview":
                return send(method, path, body, **options)
            self.asked.append(body["spec"]["resourceAttributes"]["namespace"])
            return {"status": {"allowed": allowed}}

        client.api.send = sending


def test_a_drain_moves_neither_pods_of_daemon_sets_nor_static_ones(client: Any) -> None:
    client.api.put(NODES, {"metadata": {"name": "node-1"}, "spec": {}})
    agent, static = pod("agent", "agent"), pod("static", "static")
    agent["metadata"]["ownerReferences"][0]["kind"] = "DaemonSet"
    static["metadata"]["annotations"] = {"kubernetes.io/config.mirror": "1"}
    for one in (agent, static):
        client.api.put(PODS, one)
    client.api.put(NODES, {"metadata": {"name": "node-2"}, "spec": {}})
    client.api.get = every_namespace(client)
    found = NodeDrain(NodeSelection(NS, "node-1")).targets(client)
    assert [one.name for one in found] == ["node-1", "api-0", "api-1", "api-2"]


def test_a_node_is_not_drained_where_its_pods_have_nowhere_to_go(client: Any) -> None:
    drain = NodeDrain(NodeSelection(NS, "node-1"))
    client.api.put(NODES, {"metadata": {"name": "node-1"}, "spec": {}})
    with pytest.raises(FaultError, match="that would leave node node-1: the cluster has no other one"):
        drain.targets(client)
    client.api.put(NODES, {"metadata": {"name": "node-2"}, "spec": {"unschedulable": True}})
    with pytest.raises(FaultError, match="that would leave node node-1: the others are cordoned"):
        drain.targets(client)
    client.api.put(NODES, {"metadata": {"name": "node-3"}, "spec": {}})
    assert drain.targets(client)[0].name == "node-1"


def test_a_node_that_no_api_can_stop_is_refused_before_anything_runs(client: Any) -> None:
    client.api.put(NODES, {"metadata": {"name": "node-1"}, "spec": {"providerID": "kind://node-1"}})
    with pytest.raises(FaultError, match="node node-1 is no node of the sandbox"):
        NodeLoss(NodeSelection(NS, "node-1")).targets(client)


@pytest.mark.parametrize("allowed", [True, False])
def test_whether_pods_of_other_namespaces_may_be_evicted_is_asked_before_the_drain(client: Any, allowed: bool) -> None:
    for node in ("node-1", "node-2"):
        client.api.put(NODES, {"metadata": {"name": node}, "spec": {}})
    client.api.put(PODS, pod("dns-0", "dns", "rs-dns"), "kube-system")
    client.api.get = every_namespace(client)
    reviewed = Reviewed(client, allowed)
    drain = NodeDrain(NodeSelection(NS, "node-1"))
    targets = drain.targets(client)
    assert {one.namespace for one in targets} == {"", NS, "kube-system"}
    if allowed:
        assert drain.record(client, targets)["node"] == "node-1"
    else:
        with pytest.raises(FaultError, match="may not evict pods of namespace 'kube-system'"):
            drain.record(client, targets)
    assert reviewed.asked == ["kube-system"]


def every_namespace(client: Any) -> Any:
    """Return a way to get that lists the pods of all namespaces where none is named."""
    get = client.api.get

    def getting(path: str, query: dict[str, str] | None = None) -> Any:
        if path != PODS.path():
            return get(path, query)
        found = [copy.deepcopy(obj) for where, obj in sorted(client.api.objects.items()) if "/pods/" in where]
        return {"items": found, "metadata": {}}

    return getting
