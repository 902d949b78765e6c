"""Two hundred systems drawn at random: every file that is written is valid, and nothing that keeps data is doubled."""

import pytest

from flametest.starter import make_plan
from flametest.starter.paths import user_paths
from flametest.starter.plan import Plan
from flametest.starter.topology import Topology
from tests.starter.checking import check_files
from tests.starter.random_systems import draw_system
from tests.starter.systems import topology_of

SYSTEMS = 200
DOUBLING = ("inject_scaling", "inject_rolling_restart")


def plan_of(topology: Topology) -> Plan:
    return make_plan(topology, "http://shop.example", user_paths(topology))


def harm(plan: Plan, store: str) -> list[str]:
    """Return the experiments that would start a second pod of a store beside the first."""
    kinds = {one.name: one.kind for one in plan.topology.system.workloads}
    found = [(one.name, one.fault.func) for one in plan.experiments if one.workload == store and one.fault]
    if kinds[store] == "Deployment":
        return [name for name, func in found if func in (*DOUBLING, "terminate_pods")]
    return [name for name, func in found if func in DOUBLING]


@pytest.mark.parametrize("seed", [range(start, start + 50) for start in range(0, SYSTEMS, 50)], ids=str)
def test_every_file_is_valid_and_no_store_gets_a_second_pod(seed: range) -> None:
    for number in seed:
        drawn = draw_system(number)
        plan = plan_of(topology_of(*drawn.objects))
        check_files(plan)
        assert [name for store in drawn.store_workloads for name in harm(plan, store)] == [], f"system {number}"


def test_the_systems_that_are_drawn_differ_in_what_is_written_for_them() -> None:
    plans = [plan_of(topology_of(*draw_system(number).objects)) for number in range(SYSTEMS)]
    called = {one.fault.func for plan in plans for one in plan.experiments if one.fault}
    assert called == {
        "terminate_pods",
        "inject_container_crash",
        "inject_dependency_outage",
        "inject_edge",
        "inject_rolling_restart",
        "inject_scaling",
        "inject_service_removal",
    }
    reasons = {told.partition(":")[2] for plan in plans for told in plan.left_out}
    assert len(reasons) > 8
    assert any(not draw_system(number).stores for number in range(SYSTEMS))
