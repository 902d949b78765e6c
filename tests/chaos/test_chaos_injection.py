"""Which requests make a fault, what it hit, and when it is proved."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.chaos.injection import injection, target_of
from flametest.chaos.view import View
from flametest.kube.stamps import Mutation
from flametest.model.events import ChangeKind, Event, OwnerObserved, PodObserved, Stamp, Target, WorkloadObserved

MS = 1_000_000
PODS = "/api/v1/namespaces/flametest/pods"


def at(milliseconds: float) -> Stamp:
    return Stamp(int(milliseconds * MS), 0.0)


def pod(
    name: str,
    uid: str,
    milliseconds: float,
    *,
    ready: bool = True,
    terminating: bool = False,
    change: ChangeKind = ChangeKind.MODIFIED,
) -> PodObserved:
    return PodObserved(
        at(milliseconds), "s", change, uid, name, "n", "api", "rs", "Running", ready, terminating, True, 0, 0.0
    )


def workload(desired: int) -> WorkloadObserved:
    return WorkloadObserved(
        at(0), "s", ChangeKind.LISTED, "Deployment", "api", "api", "d", desired, desired, desired, desired, desired
    )


def view(*events: Event) -> View:
    seen = View()
    for event in events:
        seen.take(event)
    return seen


def deletion(name: str, sent: float, status: int = 200) -> Mutation:
    return Mutation("DELETE", f"{PODS}/{name}", status, int(sent * MS), int((sent + 4) * MS))


def test_an_accepted_deletion_is_a_fault_with_the_pods_uid_and_the_requests_stamps() -> None:
    found = injection("terminate_pods", [deletion("api-1", 100)], view(pod("api-1", "u1", 0)), at(110), "s")
    assert found is not None
    assert found.event.targets == (Target("Pod", "flametest", "api-1", "u1"),)
    assert (found.event.sent_ns, found.event.acknowledged_ns) == (100 * MS, 104 * MS)


def test_a_refused_deletion_is_no_fault() -> None:
    assert injection("terminate_pods", [deletion("api-1", 100, status=403)], view(), at(110), "s") is None
    assert injection("terminate_pods", [], view(), at(110), "s") is None


def test_t0_is_that_of_the_first_accepted_request_and_all_targets_are_named_once() -> None:
    mutations = [
        deletion("api-2", 200),
        deletion("api-0", 50, status=404),
        deletion("api-1", 100),
        deletion("api-1", 300),
    ]
    seen = view(pod("api-1", "u1", 0), pod("api-2", "u2", 0))
    found = injection("terminate_pods", mutations, seen, at(310), "s")
    assert found is not None
    assert found.event.sent_ns == 100 * MS
    assert [target.name for target in found.event.targets] == ["api-1", "api-2"]


def test_a_name_that_comes_again_is_the_uid_that_had_it_when_the_request_was_sent() -> None:
    seen = view(pod("redis-0", "old", 0), pod("redis-0", "new", 500, change=ChangeKind.ADDED))
    found = injection("terminate_pods", [deletion("redis-0", 100)], seen, at(600), "s")
    assert found is not None
    assert found.event.targets[0].uid == "old"


def test_a_deletion_is_proved_once_every_target_was_seen_to_go() -> None:
    seen = view(pod("api-1", "u1", 0), pod("api-2", "u2", 0))
    found = injection("terminate_pods", [deletion("api-1", 100), deletion("api-2", 105)], seen, at(110), "s")
    assert found is not None
    assert found.proof(seen, at(111)) is None
    seen.take(pod("api-1", "u1", 112, terminating=True))
    assert found.proof(seen, at(112)) is None
    seen.take(pod("api-2", "u2", 114, change=ChangeKind.DELETED))
    proof = found.proof(seen, at(114))
    assert proof is not None
    assert proof.proved
    assert proof.evidence == "the watch showed api-1, api-2 terminating or gone within 10 ms of the answer"


def test_a_target_that_no_watch_knows_is_never_proved() -> None:
    found = injection("terminate_pods", [deletion("stranger", 100)], view(), at(110), "s")
    assert found is not None
    assert found.proof(view(), at(999)) is None
    assert not found.unproved(at(999)).proved


def test_a_change_that_is_no_deletion_waits_for_no_pod_and_is_not_proved() -> None:
    patch = Mutation("PATCH", "/apis/apps/v1/namespaces/flametest/deployments/api/scale", 200, 1, 2)
    found = injection("scale_deployment", [patch], view(workload(3)), at(1), "s")
    assert found is not None
    assert found.event.targets == (Target("Deployment", "flametest", "api", "d"),)
    assert not found.deletion
    assert found.unproved(at(2)).evidence == "no evidence is known for this fault"


def test_an_eviction_counts_as_a_deletion() -> None:
    evict = Mutation("POST", f"{PODS}/api-1/eviction", 201, 1 * MS, 2 * MS)
    found = injection("drain_nodes", [evict], view(pod("api-1", "u1", 0)), at(3), "s")
    assert found is not None
    assert found.deletion


@pytest.mark.parametrize(
    ("path", "target"),
    [
        (f"{PODS}/api-1", ("Pod", "flametest", "api-1")),
        ("/apis/apps/v1/namespaces/flametest/statefulsets/redis", ("StatefulSet", "flametest", "redis")),
        ("/apis/networking.k8s.io/v1/namespaces/flametest/networkpolicies", ("networkpolicies", "flametest", "")),
        ("/api/v1/nodes/sandbox-1", ("Node", "", "sandbox-1")),
        ("/api/v1/namespaces/flametest", ("namespaces", "", "flametest")),
        ("/version", ("", "", "")),
    ],
)
def test_a_path_names_its_object(path: str, target: tuple[str, str, str]) -> None:
    assert target_of(path) == target


@given(st.text())
def test_no_path_breaks_the_reading(path: str) -> None:
    assert len(target_of(path)) == 3


def test_a_workload_is_ready_when_as_many_pods_as_desired_are_ready_and_stay() -> None:
    pods = [pod(f"api-{number}", f"u{number}", 0) for number in range(3)]
    seen = view(workload(3), *pods)
    assert seen.is_ready("api")
    seen.take(pod("api-0", "u0", 1, terminating=True))
    assert not seen.is_ready("api")
    seen.take(pod("api-3", "u3", 2, ready=False))
    assert not seen.is_ready("api")
    seen.take(pod("api-3", "u3", 3))
    assert seen.is_ready("api")
    seen.take(pod("api-0", "u0", 4, change=ChangeKind.DELETED))
    assert seen.is_ready("api")
    assert not seen.is_ready("unknown")


def owned(name: str, owner_uid: str, *, ready: bool = True) -> PodObserved:
    return replace(pod(name, name, 0, ready=ready), owner_uid=owner_uid, owner_kind="ReplicaSet")


def of_uid(name: str, desired: int) -> WorkloadObserved:
    return replace(workload(desired), name=name, uid=name)


def replica_set(name: str, owner_uid: str) -> OwnerObserved:
    return OwnerObserved(at(0), "s", ChangeKind.LISTED, "ReplicaSet", name, name, owner_uid)


def test_a_pod_counts_for_the_workload_that_owns_it_whatever_its_label_says() -> None:
    both = [of_uid("shop", 2), of_uid("shop-worker", 1), replica_set("rs", "shop"), replica_set("rs-w", "shop-worker")]
    pods = [owned("shop-1", "rs"), owned("shop-2", "rs", ready=False), owned("worker-1", "rs-w")]
    seen = view(*both, *pods, replace(owned("job-1", "job"), owner_kind="Job"))
    assert (seen.ready_pods("shop"), seen.ready_pods("shop-worker")) == (1, 1)
    assert not seen.is_ready("shop")
    assert [seen.workload_of(name) for name in ("shop-1", "worker-1", "job-1", "nobody")] == [
        "shop",
        "shop-worker",
        "",
        "",
    ]
    seen.take(owned("shop-2", "rs"))
    assert seen.is_ready("shop")


def test_a_pod_that_is_seen_before_its_owner_counts_as_soon_as_that_is_known() -> None:
    seen = view(of_uid("shop", 1), owned("shop-1", "rs"))
    assert not seen.is_ready("shop")
    seen.take(replica_set("rs", "shop"))
    assert seen.is_ready("shop")


def test_a_workload_is_wanted_as_it_is_now() -> None:
    seen = view(of_uid("shop", 3), replica_set("rs", "shop"), owned("shop-1", "rs"), owned("shop-2", "rs"))
    assert not seen.is_ready("shop")
    seen.take(replace(of_uid("shop", 2), change=ChangeKind.MODIFIED))
    assert seen.is_ready("shop")
    seen.take(replace(of_uid("shop", 2), change=ChangeKind.DELETED))
    assert seen.desired("shop") is None


def test_each_injection_carries_its_number_into_its_proof() -> None:
    seen = view(pod("api-1", "u1", 0), pod("api-2", "u2", 0))
    first = injection("terminate_pods", [deletion("api-1", 100)], seen, at(110), "s")
    second = injection("terminate_pods", [deletion("api-2", 100)], seen, at(110), "s")
    assert first is not None
    assert second is not None
    first, second = (
        replace(one, event=replace(one.event, injection=number)) for number, one in enumerate((first, second), start=1)
    )
    seen.take(pod("api-1", "u1", 112, terminating=True))
    proof = first.proof(seen, at(112))
    assert proof is not None
    assert (proof.injection, second.proof(seen, at(112)), second.unproved(at(113)).injection) == (1, None, 2)


@pytest.mark.parametrize("how", [{"terminating": True}, {"phase": "Succeeded"}, {"phase": "Failed"}])
def test_the_end_of_a_pod_that_had_ended_before_the_fault_proves_nothing(how: dict[str, Any]) -> None:
    seen = view(replace(pod("api-1", "u1", 50), **how))
    found = injection("terminate_pods", [deletion("api-1", 100)], seen, at(110), "s")
    assert found is not None
    seen.take(pod("api-1", "u1", 112, terminating=True, change=ChangeKind.DELETED))
    proof = found.proof(seen, at(112))
    assert proof is not None
    assert (proof.proved, proof.evidence) == (False, "api-1 had ended, or was on its way out, before the fault")
