"""The sizes that a Deployment gives to its ReplicaSets: bounds that hold in every state, and that it always arrives."""

from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from flametest.sandbox.controllers.percentages import fence_posts, scaled_value
from flametest.sandbox.controllers.rollout import (
    Fleet,
    max_surge,
    max_unavailable,
    replicas_annotations,
    rolling_sizes,
    scaled_sizes,
    size_of,
    wanted_replicas,
)
from flametest.sandbox.objects import Object
from tests.controllers.workloads import deployment

amounts = st.one_of(st.integers(0, 6), st.integers(0, 100).map(lambda number: f"{number}%"))
wanted_counts = st.integers(0, 12)


def rolling(replicas: int, surge: int | str, unavailable: int | str) -> Object:
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}
    return deployment(replicas=replicas, strategy=strategy)


deployments = st.builds(rolling, wanted_counts, amounts, amounts)


def a_set(name: str, size: int, available: int = 0, annotations: dict[str, str] | None = None) -> Object:
    metadata: dict[str, Any] = {"name": name, "creationTimestamp": f"2026-01-01T00:00:{len(name):02}Z"}
    metadata["annotations"] = annotations or {}
    return {"metadata": metadata, "spec": {"replicas": size}, "status": {"availableReplicas": available}}


@given(st.integers(0, 100), st.integers(0, 50))
def test_a_percentage_lies_between_its_two_roundings(percent: int, total: int) -> None:
    low = scaled_value(f"{percent}%", total, round_up=False)
    high = scaled_value(f"{percent}%", total, round_up=True)
    assert low * 100 <= percent * total <= high * 100
    assert high - low <= 1


def test_text_that_is_no_percentage_is_refused() -> None:
    with pytest.raises(ValueError, match="not a percentage"):
        scaled_value("many", 3, round_up=True)


@given(amounts, amounts, wanted_counts)
def test_a_rolling_update_always_has_room_to_begin(surge: int | str, unavailable: int | str, wanted: int) -> None:
    assert sum(fence_posts(surge, unavailable, wanted)) > 0


def test_defaults_of_three_replicas_are_one_more_and_none_less() -> None:
    assert fence_posts("25%", "25%", 3) == (1, 0)


@given(deployments, st.integers(0, 12), st.lists(st.integers(0, 6), max_size=3), st.data())
def test_no_step_of_a_rolling_update_breaks_its_bounds(
    owner: Object, new: int, old: list[int], data: st.DataObject
) -> None:
    wanted = wanted_replicas(owner)
    sets = [a_set("x" * (index + 1), size, data.draw(st.integers(0, size))) for index, size in enumerate(old)]
    newest = a_set("new", new, data.draw(st.integers(0, new)))
    fleet = Fleet(owner, newest, tuple(sets))
    sizes = rolling_sizes(fleet)
    before = {each["metadata"]["name"]: size_of(each) for each in fleet.all}
    after = before | sizes
    assert all(size >= 0 for size in after.values())
    total = sum(before.values())
    assert sum(after.values()) <= max(total, wanted + max_surge(owner))
    healthy_left = sum(min(each["status"]["availableReplicas"], after[each["metadata"]["name"]]) for each in fleet.all)
    healthy = sum(each["status"]["availableReplicas"] for each in fleet.all)
    if new <= wanted:
        # Taking replicas away never costs more availability than is allowed.
        assert healthy_left >= min(healthy, wanted - max_unavailable(owner))


@given(wanted_counts, amounts, amounts, st.integers(0, 12))
def test_a_rolling_update_arrives_when_pods_become_available(
    wanted: int, surge: int | str, unavailable: int | str, old: int
) -> None:
    owner = rolling(wanted, surge, unavailable)
    sizes = {"new": 0, "old": old}
    for _ in range(200):
        fleet = Fleet(owner, a_set("new", sizes["new"], sizes["new"]), (a_set("old", sizes["old"], sizes["old"]),))
        step = rolling_sizes(fleet)
        if not step:
            break
        sizes |= step
    assert sizes == {"new": wanted, "old": 0}


# Kubernetes rounds each set's share, takes the rest from the largest set, and stops at 0 there: so does this. Four sets
# of 2 that are scaled from 8 to 2 become 0, 1, 1 and 1.
@example(before=8, wanted=2, held=[2, 2, 2, 2], surge=0)
@given(st.integers(1, 12), st.integers(0, 12), st.lists(st.integers(1, 6), min_size=2, max_size=4), amounts)
def test_scaling_amid_a_rollout_keeps_the_total_in_bounds_but_for_what_is_rounded(
    before: int, wanted: int, held: list[int], surge: int | str
) -> None:
    was = rolling(before, surge, 1)
    assume(sum(held) <= before + max_surge(was))
    annotations = replicas_annotations(was)
    owner = rolling(wanted, surge, 1)
    sets = [a_set("x" * (index + 1), size, 0, annotations) for index, size in enumerate(held)]
    fleet = Fleet(owner, sets[0], tuple(sets[1:]))
    sizes = scaled_sizes(fleet)
    allowed = wanted + max_surge(owner) if wanted else 0
    assert all(size >= 0 for size in sizes.values())
    rounded_up_max = (len(held) - 1) // 2
    assert sum(sizes.values()) <= allowed + (rounded_up_max if wanted else 0)


def test_scaling_amid_a_rollout_is_in_proportion() -> None:
    # The example of the documentation: 10 replicas, surge 3, unavailable 2, 8 old and 5 new, scaled to 15.
    annotations = replicas_annotations(rolling(10, 3, 2))
    fleet = Fleet(rolling(15, 3, 2), a_set("newer", 5, 0, annotations), (a_set("old", 8, 8, annotations),))
    assert scaled_sizes(fleet) == {"old": 11, "newer": 7}


def test_a_single_active_set_takes_the_whole_size() -> None:
    fleet = Fleet(rolling(7, 1, 1), a_set("new", 3, 3), (a_set("old", 0),))
    assert scaled_sizes(fleet) == {"new": 7}
