"""The gate: what may be hit, and how it says no."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.chaos.radius import read_limits
from flametest.faults.errors import BlastRadiusError
from flametest.faults.safety import Hit, Radius, Surroundings, check, refusals
from flametest.faults.survey import survey
from flametest.model.events import Target

RADIUS = Radius(frozenset({"flametest"}), targets_max=3, pods_share_max=0.5)
CONSENT = {"flametest": {"flametest.dev/faults": "allowed"}}


def pods(count: int, namespace: str = "flametest") -> tuple[Target, ...]:
    return tuple(Target("Pod", namespace, f"api-{number}", f"uid-{number}") for number in range(count))


def around(population: int) -> Surroundings:
    return Surroundings(CONSENT, {f"uid-{number}": "owner" for number in range(population)}, {"owner": population})


def test_few_pods_of_a_namespace_that_consents_may_be_hit() -> None:
    check("delete pods", pods(1), RADIUS, around(3))
    assert refusals(pods(2), RADIUS, around(4)) == ()


def test_a_fault_that_selects_nothing_is_stopped() -> None:
    with pytest.raises(BlastRadiusError, match=r"'delete pods' was stopped before .*: it selects nothing"):
        check("delete pods", (), RADIUS, around(3))


def test_a_namespace_that_is_not_on_the_list_is_stopped_though_it_consents() -> None:
    consent = Surroundings({"kube-system": CONSENT["flametest"]}, {}, {})
    (reason, *_) = refusals(pods(1, "kube-system"), RADIUS, consent)
    assert reason == "namespace 'kube-system' is not one of flametest (Pod api-0)"


def test_pods_of_another_namespace_are_named_with_the_remedy() -> None:
    system = (*pods(1), *pods(7, "kube-system"))
    with pytest.raises(BlastRadiusError, match=r"\(Pod api-0, .*, Pod api-4 and 2 more\)") as raised:
        check("drain node n", system, RADIUS, around(3))
    assert "namespaces of the recorder control" in raised.value.remedy
    assert "flametest.dev/faults=allowed" in raised.value.remedy


@pytest.mark.parametrize(("named", "consents"), [(True, True), (True, False), (False, True)])
def test_another_namespace_is_hit_only_where_it_is_named_and_consents(named: bool, consents: bool) -> None:
    arguments = {"namespaces": ["kube-system"]} if named else {}
    radius = read_limits(arguments).radius("flametest")
    labels = CONSENT | {"kube-system": CONSENT["flametest"] if consents else {}}
    found = refusals(pods(1, "kube-system"), radius, Surroundings(labels, {"uid-0": "owner"}, {"owner": 2}))
    assert (found == ()) == (named and consents)


@pytest.mark.parametrize("value", ["kube-system", [""], [1], {"kube-system": 1}])
def test_namespaces_are_a_list_of_names(value: Any) -> None:
    with pytest.raises(ValueError, match=r"namespaces is .*: expected a list of the names of namespaces"):
        read_limits({"namespaces": value})


@pytest.mark.parametrize("labels", [{}, {"flametest.dev/faults": "yes"}, {"flametest.dev/faults": ""}])
def test_a_namespace_without_the_label_is_stopped_though_it_is_on_the_list(labels: dict[str, str]) -> None:
    (reason, *_) = refusals(pods(1), RADIUS, Surroundings({"flametest": labels}, {"uid-0": "owner"}, {"owner": 3}))
    assert reason == "namespace 'flametest' does not carry the label flametest.dev/faults=allowed (Pod api-0)"


def test_a_namespace_that_does_not_exist_is_told() -> None:
    assert "does not exist" in refusals(pods(1), RADIUS, Surroundings())[0]


def test_too_many_objects_and_too_large_a_share_are_both_told() -> None:
    reasons = refusals(pods(4), RADIUS, around(5))
    assert reasons == (
        "it hits 4 objects, more than the 3 that are allowed",
        "it hits 4 of 5 pods of one controller, more than the share of 50% that is allowed",
    )


def test_a_pod_that_nobody_replaces_is_all_there_is_of_it() -> None:
    assert "1 of 1 pods" in refusals(pods(1), RADIUS, Surroundings(CONSENT))[0]


def test_a_node_may_be_hit_only_where_the_experiment_says_so() -> None:
    node = (Target("Node", "", "node-1", "uid"),)
    assert refusals(node, RADIUS, Surroundings()) == ("it hits 1 node, more than the 0 that are allowed",)
    assert refusals(node, Radius(frozenset(), nodes_max=1), Surroundings()) == ()


def test_other_things_without_a_namespace_may_never_be_hit() -> None:
    role = (Target("ClusterRole", "", "admin", "uid"),)
    assert refusals(role, Radius(frozenset({"flametest"}), nodes_max=9), Surroundings())


@given(count=st.integers(1, 30), population=st.integers(1, 30), share=st.floats(0.01, 1), most=st.integers(0, 30))
def test_what_passes_keeps_count_and_share(count: int, population: int, share: float, most: int) -> None:
    radius = Radius(frozenset({"flametest"}), most, share)
    hit = min(count, population)
    if not refusals(pods(hit), radius, around(population)):
        assert hit <= most
        assert hit <= share * population


def test_the_survey_counts_the_pods_that_stay(client: Any) -> None:
    leaving = client.api.objects["/api/v1/namespaces/flametest/pods/api-2"]
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:01Z"
    uid = client.api.objects["/api/v1/namespaces/flametest/pods/api-0"]["metadata"]["uid"]
    found = survey(client, [Target("Pod", "flametest", "api-0", uid)])
    assert found.populations["uid-of-rs"] == 2
    assert found.controllers[uid] == "uid-of-rs"
    assert found.labels["flametest"] == {"flametest.dev/faults": "allowed"}


def hit(*numbers: int, gone: bool = False, namespace: str = "flametest") -> Hit:
    targets = tuple(Target("Pod", namespace, f"api-{number}", f"uid-{number}") for number in numbers)
    return Hit(targets, around(3), gone)


def test_three_small_faults_are_one_large_one() -> None:
    (first, second, _) = pods(3)
    assert refusals((second,), RADIUS, around(3), [hit(0)]) == (
        "with the faults before it, it hits 2 of 3 pods of one controller, more than the share of 50% that is allowed",
    )
    assert refusals((second,), RADIUS, around(4), [hit(0)]) == ()
    # The same pod is one pod, unless it is gone by then and another one is drawn.
    assert refusals((first,), RADIUS, around(3), [hit(0)]) == ()
    assert refusals((first,), RADIUS, around(3), [hit(0, gone=True)]) != ()


def test_a_share_is_that_of_the_pods_that_there_were_before_the_first_fault() -> None:
    """Two of four are half of them, though the first one's replacement is not there yet."""
    left = Surroundings(CONSENT, {"uid-1": "owner", "uid-2": "owner", "uid-3": "owner"}, {"owner": 3})
    before = Hit(pods(1), around(4))
    assert refusals((pods(2)[1],), RADIUS, left, [before]) == ()
    assert refusals(pods(3)[1:], RADIUS, left, [before]) != ()


def test_targets_and_nodes_are_counted_over_all_faults() -> None:
    services = [Hit((Target("Service", "flametest", name, name),), Surroundings(CONSENT)) for name in ("a", "b", "c")]
    one = (Target("Service", "flametest", "d", "d"),)
    assert refusals(one, RADIUS, around(3), services[:2]) == ()
    assert "it hits 4 objects, more than the 3" in refusals(one, RADIUS, around(3), services)[0]
    node = (Target("Node", "", "node-2", "uid-2"),)
    wide = Radius(frozenset({"flametest"}), nodes_max=1)
    other = Hit((Target("Node", "", "node-1", "uid-1"),), Surroundings())
    assert "2 nodes, more than the 1" in refusals(node, wide, Surroundings(), [other])[0]


def test_replicas_are_bounded() -> None:
    workload = (Target("Deployment", "flametest", "api", "uid"),)
    check("scale", workload, RADIUS, around(3), replicas=10)
    with pytest.raises(BlastRadiusError, match="it scales to 5000 replicas, more than the 10") as raised:
        check("scale", workload, RADIUS, around(3), replicas=5000)
    assert "replicas_max" in raised.value.remedy


@given(counts=st.lists(st.integers(1, 3), min_size=1, max_size=6), population=st.integers(1, 12))
def test_no_sequence_of_faults_exceeds_the_share(counts: list[int], population: int) -> None:
    """Whatever is let through, one fault after the other without recovery, stays inside the radius together."""
    radius = Radius(frozenset({"flametest"}), targets_max=100, pods_share_max=0.5)
    hits: list[Hit] = []
    every = pods(sum(counts))
    for count in counts:
        begin = sum(len(one.targets) for one in hits)
        targets = every[begin : begin + count]
        if not refusals(targets, radius, around(population), hits):
            hits.append(Hit(targets, around(population)))
    assert sum(len(one.targets) for one in hits) <= 0.5 * population
