"""Other extensions' actions are gated as the faults that they are, and unknown ones do not run at all."""

from typing import Any

import pytest

from flametest.chaos.errors import UnsafeExperimentError
from flametest.chaos.guarded import guarded_fault
from flametest.chaos.radius import Limits, read_limits
from flametest.faults.node_drain import NodeDrain
from flametest.faults.nodes import NodeSelection
from flametest.faults.pod_deletion import PodDeletion
from flametest.faults.scaling import Scaling
from flametest.faults.selection import PodSelection
from flametest.faults.service_removal import ServiceRemoval


def guarded(module: str, func: str, arguments: dict[str, Any], kind: str = "action", unguarded: str = "") -> Any:
    activity = {"type": kind, "name": "act", "provider": {"type": "python", "module": module, "func": func}}
    return guarded_fault(activity, arguments, frozenset({unguarded}))


@pytest.mark.parametrize(
    ("module", "func", "arguments", "fault"),
    [
        (
            "chaosk8s.pod.actions",
            "terminate_pods",
            {"label_selector": "app=api", "ns": "n", "rand": True, "qty": 50, "mode": "percentage", "grace_period": 0},
            PodDeletion(PodSelection("n", "app=api", count=50, percent=True, listed=True), 0),
        ),
        (
            "chaosk8s.pod.actions",
            "terminate_pods",
            {"name_pattern": "^api", "all": True, "order": "oldest"},
            PodDeletion(
                PodSelection("default", "", "^api", every=True, at_random=False, oldest_first=True, listed=True)
            ),
        ),
        (
            "chaosk8s.pod.actions",
            "delete_pods",
            {"name": "api", "ns": "n"},
            PodDeletion(PodSelection("n", name_pattern="api", at_random=False, listed=True)),
        ),
        ("chaosk8s.deployment.actions", "scale_deployment", {"name": "a", "replicas": 5}, Scaling("default", "a", 5)),
        (
            "chaosk8s.statefulset.actions",
            "scale_statefulset",
            {"name": "a", "replicas": 0, "ns": "n"},
            Scaling("n", "a", 0, "StatefulSet"),
        ),
        ("chaosk8s.service.actions", "delete_service", {"name": "a", "ns": "n"}, ServiceRemoval("n", "a")),
        ("chaosk8s.node.actions", "drain_nodes", {"name": "node-1"}, NodeDrain(NodeSelection("", "node-1"), 120)),
    ],
)
def test_a_known_action_is_the_fault_that_it_is(module: str, func: str, arguments: Any, fault: Any) -> None:
    assert guarded(module, func, arguments) == fault


@pytest.mark.parametrize(
    ("module", "func"),
    [
        ("chaosk8s.deployment.actions", "delete_deployment"),
        ("chaosk8s.pod.actions", "exec_in_pods"),
        ("chaosk8s.node.actions", "delete_nodes"),
        ("chaosk8s.networking.actions", "deny_all_ingress"),
        ("somebody.elses.actions", "break_everything"),
    ],
)
def test_an_action_that_nobody_can_tell_of_beforehand_does_not_run(module: str, func: str) -> None:
    told = f"action 'act' uses {module}.{func}, and there is no way to know in advance"
    with pytest.raises(UnsafeExperimentError, match=told):
        guarded(module, func, {"name": "x"})
    assert guarded(module, func, {"name": "x"}, unguarded="act") is None


def test_a_program_and_a_request_are_such_actions_too() -> None:
    activity = {"type": "action", "name": "act", "provider": {"type": "process", "path": "kubectl"}}
    with pytest.raises(UnsafeExperimentError, match="a provider of type 'process'"):
        guarded_fault(activity, {}, frozenset())


def test_an_action_that_calls_itself_a_probe_is_guarded_all_the_same() -> None:
    with pytest.raises(UnsafeExperimentError):
        guarded("chaosk8s.pod.actions", "exec_in_pods", {}, kind="probe")
    assert guarded("chaosk8s.pod.actions", "terminate_pods", {"name_pattern": "a"}, kind="probe") is not None


def test_probes_and_flametests_own_actions_pass() -> None:
    assert guarded("chaosk8s.pod.probes", "pods_in_phase", {}, kind="probe") is None
    assert guarded("flametest.chaos.actions", "inject_scaling", {}) is None


@pytest.mark.parametrize("arguments", [{}, {"label_selector": "a=b"}, {"name": "n", "count": 2}])
def test_a_drain_that_does_not_name_its_one_node_does_not_run(arguments: dict[str, Any]) -> None:
    with pytest.raises(UnsafeExperimentError, match="does not name its node"):
        guarded("chaosk8s.node.actions", "drain_nodes", arguments)


def test_an_experiment_widens_its_blast_radius_by_numbers_only() -> None:
    assert read_limits({"scenario": "x"}) == Limits()
    wide = read_limits({"targets_max": 9, "pods_share_max": 1, "nodes_max": 1, "unguarded": ["a"]})
    assert wide == Limits(9, 1, 1, frozenset({"a"}))
    for wrong in ({"targets_max": "9"}, {"pods_share_max": 0}, {"pods_share_max": 2}, {"nodes_max": -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            read_limits(wrong)
    with pytest.raises(ValueError, match="unguarded is 'a': expected a list"):
        read_limits({"unguarded": "a"})
