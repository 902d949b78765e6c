"""Limits of containers: kept to where the kernel lets the sandbox set them, and warned of where it does not."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flametest.sandbox import controlgroups
from flametest.sandbox.launch import Sandbox
from tests.patience import PATIENCE_SECONDS
from tests.sandbox.conftest import Api

pytestmark = pytest.mark.sandbox

PODS = "/api/v1/namespaces/default/pods"
GREEDY = "text=$(head -c 200000000 /dev/zero | tr '\\0' x)"
BUSY = "while :; do :; done"


def pod(name: str, script: str, limits: dict[str, str]) -> dict[str, Any]:
    container = {"name": "main", "image": "test/hello:1", "command": ["sh", "-c", script]}
    return {"metadata": {"name": name}, "spec": {"containers": [container | {"resources": {"limits": limits}}]}}


def groups_of(sandbox: Sandbox, controller: str) -> list[Path]:
    """Return the control groups of the sandbox's containers."""
    made = controlgroups.find(sandbox.state_folder)
    assert made is not None
    folder = made.folders[controller == "cpu"] if len(made.folders) > 1 else made.folders[0]
    return [path for path in folder.iterdir() if path.is_dir()]


def until(condition: Callable[[], Any]) -> Any:
    """Return what the condition returns as soon as it is true."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not come true within 60 s"
        time.sleep(0.02)
    return found


@pytest.fixture
def limited(sandbox: Sandbox) -> Sandbox:
    if controlgroups.find(sandbox.state_folder) is None:
        pytest.skip("no control groups can be made here")
    return sandbox


def test_a_limit_is_enforced_or_warned_of(sandbox: Sandbox) -> None:
    enforced = controlgroups.find(sandbox.state_folder) is not None
    warnings = Api(sandbox).warnings(f"{PODS}?dryRun=All", pod("limited", "sleep 60", {"memory": "64Mi", "cpu": "1"}))
    assert bool(warnings) is not enforced


def test_a_container_over_its_memory_is_killed_and_started_again(limited: Sandbox) -> None:
    api = Api(limited)
    api(PODS, pod("greedy", GREEDY, {"memory": "32Mi"}))

    def ended() -> Any:
        (status,) = api(f"{PODS}/greedy")["status"].get("containerStatuses") or [{}]
        return status.get("restartCount") and status["lastState"].get("terminated")

    terminated = until(ended)
    assert (terminated["reason"], terminated["exitCode"]) == ("OOMKilled", 137)


def test_commands_that_are_executed_inside_count_as_well(limited: Sandbox) -> None:
    api = Api(limited)
    body = pod("quiet", "sleep 600", {"memory": "32Mi"})
    probe = {"exec": {"command": ["sh", "-c", GREEDY]}, "periodSeconds": 1, "timeoutSeconds": 5}
    body["spec"]["containers"][0]["readinessProbe"] = probe
    api(PODS, body)
    (group,) = until(lambda: groups_of(limited, "memory"))
    files = [file for name in ("memory.oom_control", "memory.events") if (file := group / name).exists()]
    until(lambda: "oom_kill 0" not in files[0].read_text())
    assert api(f"{PODS}/quiet")["status"]["containerStatuses"][0]["restartCount"] == 0


def test_a_busy_container_is_held_back_and_its_group_goes_with_it(limited: Sandbox) -> None:
    api = Api(limited)
    api(PODS, pod("busy", BUSY, {"cpu": "100m"}))
    (group,) = until(lambda: groups_of(limited, "cpu"))

    def throttled() -> int:
        return int((group / "cpu.stat").read_text().split("nr_throttled")[1].split()[0])

    until(lambda: throttled() >= 3)
    api(f"{PODS}/busy?gracePeriodSeconds=0", method="DELETE")
    until(lambda: not groups_of(limited, "cpu") and not groups_of(limited, "memory"))
