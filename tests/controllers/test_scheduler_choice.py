"""On which node a pod is put, and what is said when there is none."""

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flametest.sandbox.objects import Object
from flametest.sandbox.scheduler import NodeView, Placement, Refusal, choose
from tests.controllers.small_cluster import node_object
from tests.controllers.workloads import pod

NODES = ("sandbox-1", "sandbox-2", "sandbox-3")


def views(held: dict[str, list[Object]] | None = None, **options: Any) -> list[NodeView]:
    return [NodeView(node_object(name, **options), tuple((held or {}).get(name, ()))) for name in NODES]


def asking(name: str = "new", cpu: str = "0", **spec: Any) -> Object:
    container = {"name": "main", "image": "x", "resources": {"requests": {"cpu": cpu}}}
    return pod(name, spec={"containers": [container], **spec})


def spread(when: str, skew: int = 1) -> Object:
    return {
        "topologySpreadConstraints": [
            {
                "maxSkew": skew,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": when,
                "labelSelector": {"matchLabels": {"app": "web"}},
            }
        ]
    }


def place(pod_: Object, on: list[NodeView]) -> str:
    choice = choose(pod_, on)
    assert isinstance(choice, Placement), choice
    return choice.node


def refusal(pod_: Object, on: list[NodeView]) -> str:
    choice = choose(pod_, on)
    assert isinstance(choice, Refusal), choice
    return choice.message


@given(st.integers(1, 12), st.integers(1, 3))
def test_do_not_schedule_keeps_the_skew_whatever_comes(count: int, skew: int) -> None:
    placed: dict[str, list[Object]] = {name: [] for name in NODES}
    for index in range(count):
        placed[place(asking(f"p{index}", **spread("DoNotSchedule", skew)), views(placed))].append(pod(f"p{index}"))
    sizes = [len(pods) for pods in placed.values()]
    assert max(sizes) - min(sizes) <= skew


@given(st.lists(st.sampled_from(NODES), max_size=9))
def test_schedule_anyway_prefers_the_emptiest_node(before: list[str]) -> None:
    placed: dict[str, list[Object]] = {name: [] for name in NODES}
    for index, name in enumerate(before):
        placed[name].append(pod(f"p{index}"))
    chosen = place(asking(**spread("ScheduleAnyway")), views(placed))
    assert len(placed[chosen]) == min(len(pods) for pods in placed.values())


@given(st.lists(st.tuples(st.sampled_from(NODES), st.integers(0, 4)), max_size=8), st.integers(0, 5))
def test_a_choice_never_overfills_a_node_and_is_the_same_every_time(held: list[tuple[str, int]], cpu: int) -> None:
    placed: dict[str, list[Object]] = {name: [] for name in NODES}
    for index, (name, used) in enumerate(held):
        placed[name].append(asking(f"p{index}", str(used)))
    wanted = asking(cpu=str(cpu))
    situation = views(placed)
    before = copy.deepcopy((wanted, situation))
    choice = choose(wanted, situation)
    assert choice == choose(wanted, list(reversed(situation)))
    assert (wanted, situation) == before
    free = {name: 4 - sum(used for on, used in held if on == name) for name in NODES}
    if isinstance(choice, Placement):
        assert cpu == 0 or free[choice.node] >= cpu
    else:
        assert all(amount < cpu for amount in free.values())


def test_pods_of_a_workload_without_constraints_go_to_different_hosts() -> None:
    placed: dict[str, list[Object]] = {name: [] for name in NODES}
    for index in range(3):
        replica = asking(f"p{index}")
        replica["metadata"]["ownerReferences"] = [{"kind": "ReplicaSet", "name": "w", "uid": "u", "controller": True}]
        placed[place(replica, views(placed))].append(replica)
    assert [len(pods) for pods in placed.values()] == [1, 1, 1]


def test_a_pod_that_fits_nowhere_is_told_in_the_words_of_kubernetes_1_36() -> None:
    """As recorded from v1.36.2, for pods that ask for more than a node has, and for more than others have left."""
    waits = (
        "0/3 nodes are available: 3 Insufficient cpu. no new claims to deallocate, preemption: 0/3 nodes are available"
    )
    assert refusal(asking(cpu="5"), views()) == f"{waits}: 3 Preemption is not helpful for scheduling."
    full = views({name: [asking(name, cpu="3")] for name in NODES})
    assert refusal(asking(cpu="2"), full) == f"{waits}: 3 No preemption victims found for incoming pod."


def test_reasons_are_counted_by_node_and_sorted() -> None:
    on = views()
    on[0].node["spec"]["unschedulable"] = True
    on[1].node["spec"]["taints"] = [{"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}]
    assert refusal(asking(cpu="5"), on) == (
        "0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint(s), "
        "1 node(s) were unschedulable. no new claims to deallocate, preemption: 0/3 nodes are available: "
        "3 Preemption is not helpful for scheduling."
    )


def test_without_any_node_the_message_says_so() -> None:
    assert refusal(asking(), []) == "no nodes available to schedule pods"


def test_a_toleration_opens_a_tainted_node() -> None:
    on = views()
    for view in on:
        view.node["spec"]["taints"] = [{"key": "dedicated", "value": "gpu", "effect": "NoSchedule"}]
    tolerant = asking(tolerations=[{"key": "dedicated", "operator": "Exists"}])
    assert place(tolerant, on) == "sandbox-1"
    assert "untolerated taint" in refusal(asking(), on)


def test_node_selector_and_required_affinity_are_obeyed() -> None:
    assert place(asking(nodeSelector={"kubernetes.io/hostname": "sandbox-2"}), views()) == "sandbox-2"
    expression = {"key": "kubernetes.io/hostname", "operator": "NotIn", "values": ["sandbox-1", "sandbox-2"]}
    required = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    affinity = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
    assert place(asking(affinity=affinity), views()) == "sandbox-3"
    assert "didn't match Pod's node affinity/selector" in refusal(asking(nodeSelector={"none": "such"}), views())


def anti_affinity(kind: str) -> Object:
    term = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}
    rule: Any = [term] if kind.startswith("required") else [{"weight": 100, "podAffinityTerm": term}]
    return {"affinity": {"podAntiAffinity": {f"{kind}DuringSchedulingIgnoredDuringExecution": rule}}}


def test_required_anti_affinity_keeps_pods_apart_from_both_sides() -> None:
    apart = asking(**anti_affinity("required"))
    full = {name: [pod(f"on-{name}")] for name in NODES}
    assert "didn't match pod anti-affinity rules" in refusal(apart, views(full))
    shy = {name: [asking(f"on-{name}", **anti_affinity("required"))] for name in NODES}
    assert "existing pods anti-affinity rules" in refusal(asking(), views(shy))


def test_preferred_anti_affinity_prefers_the_node_without_the_others() -> None:
    apart = asking(**anti_affinity("preferred"))
    assert place(apart, views({"sandbox-1": [pod("a")], "sandbox-3": [pod("b")]})) == "sandbox-2"


def test_required_affinity_lets_the_first_of_its_own_group_begin() -> None:
    term = {"labelSelector": {"matchLabels": {"app": "web"}}, "topologyKey": "kubernetes.io/hostname"}
    near = {"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}
    assert place(asking(affinity=near), views()) == "sandbox-1"
    assert place(asking(affinity=near), views({"sandbox-3": [pod("a")]})) == "sandbox-3"


def test_a_host_port_is_given_out_once_a_node() -> None:
    container = {"name": "main", "image": "x", "ports": [{"containerPort": 80, "hostPort": 80}]}
    taken = {name: [pod(f"on-{name}", spec={"containers": [container]})] for name in NODES}
    assert "free ports" in refusal(pod("new", spec={"containers": [container]}), views(taken))


def test_a_node_holds_no_more_pods_than_it_may() -> None:
    full = {name: [pod(f"{name}-{index}") for index in range(2)] for name in NODES}
    assert "3 Too many pods" in refusal(asking(), views(full, pods=2))
