"""Faults that act inside of containers: what they do there, and that nothing of them is left."""

import re
import signal
from collections.abc import Iterator

import pytest

from flametest.faults.connection import ready_pods
from flametest.kube.resources import Object
from tests.faults import driver
from tests.faults.system import System, wait_until
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.sandbox

# What proves each of them, and what tells that it was healed.
PROOFS = {
    "frozen-process": (
        "1 of 1 process of container redis of pod redis-0 stands still",
        "(process|processes) of container redis of pod redis-0 (runs|run) again",
    ),
    "memory-hog": ("a container of logic-[0-9a-z-]+ was OOMKilled and started again", ""),
    "cpu-hog": (
        "2 busy processes run in container logic of pod logic-[0-9a-z-]+",
        "2 processes in container logic of pod logic-[0-9a-z-]+ were ended",
    ),
    "full-volume": (
        r"[0-4]?\d{0,6} bytes are free on volume data of pod postgres-0",
        "process(es in container postgres of pod postgres-0 were| in container postgres of pod postgres-0 was) ended",
    ),
    "frozen-workers": (
        r"(\d+) of \1 processes of container postgres of pod postgres-0 stand still, its first one keeps running",
        "processes of container postgres of pod postgres-0 run again",
    ),
}


def is_logic(pod: Object) -> bool:
    """Return whether a pod is one of logic."""
    return str(pod["metadata"]["labels"]["app"]) == "logic"


@pytest.fixture(autouse=True)
def watched(system: System) -> Iterator[None]:
    """Have what is left inside of containers counted as a difference."""
    logic = [str(pod["metadata"]["name"]) for pod in ready_pods(system.client, "flametest") if is_logic(pod)]
    system.watched = ("redis-0", "postgres-0", *logic)
    yield
    system.watched = ()


# One fault of them is tried each time; the others are in the exhaustive session.
FAULTS = ["frozen-process", *(pytest.param(name, marks=pytest.mark.exhaustive) for name in [*PROOFS][1:])]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_inside_is_proved_and_taken_back(system: System, fault: str) -> None:
    before = system.whole()
    done = system.driven(fault, "proved", "end")
    assert done.returncode == 0, done.stdout + done.stderr
    proof, healing = PROOFS[fault]
    assert re.search(f"^proved: .*{proof}", done.stdout, re.MULTILINE), done.stdout
    assert not healing or re.search(f"^healed: .*{healing}", done.stdout, re.MULTILINE), done.stdout
    assert system.whole() == before
    assert (system.left(), system.guardians()) == (0, [])


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(
    "step", ["injected", *(pytest.param(step, marks=pytest.mark.exhaustive) for step in ("armed", "half", "proved"))]
)
def test_nothing_is_left_inside_when_the_process_is_killed(system: System, fault: str, step: str) -> None:
    before = system.whole()
    done = system.driven(fault, step, "SIGKILL")
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    wait_until(lambda: not system.left() and not system.guardians(), PATIENCE_SECONDS)
    if driver.FAULTS[fault].lasts:
        assert system.whole() == before
    else:  # it has nothing to heal: what was begun inside ends with its container
        wait_until(lambda: system.whole() == before, PATIENCE_SECONDS)


@pytest.mark.exhaustive
@pytest.mark.parametrize("step", ["armed", "half", "injected", "proved"])
def test_a_new_version_is_rolled_back_when_the_process_is_killed(system: System, step: str) -> None:
    system.watched = ()  # the pods are others afterwards
    before = system.whole()
    done = system.driven("new-version", step, "SIGKILL")
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    wait_until(lambda: not system.left() and not system.guardians(), PATIENCE_SECONDS)
    assert system.whole() == before
