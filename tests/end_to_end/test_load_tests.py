"""Runs with load tests of other people's: a pace of their own, a shape that ends, a load that collapses."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.conftest import short_experiment
from tests.end_to_end.conftest import System

pytestmark = pytest.mark.sandbox

USERS = """
import os, time
from locust import FastHttpUser, HttpUser, LoadTestShape, between, task

class Browser(FastHttpUser):
    wait_time = between(0.05, 0.15)
    @task
    def look(self):
        with self.client.get("/", catch_response=True) as answer:
            if "message" not in answer.json():
                answer.failure("no message")

class Reader(HttpUser):
    wait_time = between(0.1, 0.2)
    @task
    def read(self):
        self.client.get("/hits", name="hits")
"""
GENEROUS = (
    *("outage_seconds=60", "recovery_seconds=60", "steady_seconds=600", "availability=0", "p95_ms=60000"),
    *("unhandled_errors=1000000", "max_over_mean=100"),
)
ENDING = """
class Short(LoadTestShape):
    def tick(self):
        return (6, 6) if self.get_run_time() < 5 else None
"""
# Twenty times slower from the injection on, which the recorder notes beside the samples.
COLLAPSING = """
HISTORY = os.path.join(os.path.dirname(os.environ["FLAMETEST_LOAD_SAMPLES"]), "history.jsonl")

def wait_time(user):
    with open(HISTORY) as lines:
        return 2.0 if "FaultInjected" in lines.read() else 0.1

Browser.wait_time = Reader.wait_time = wait_time
"""


def run_with(
    system: System, folder: Path, load_test: str, *limits: str
) -> tuple[int, dict[str, Any], dict[str, dict[str, Any]]]:
    """Run a short control under a load test, and return the exit code, the scenario and its checks by name.

    Limits that are not given are such that any system keeps them.
    """
    file, experiment, out = folder / "theirs.py", folder / "control.json", folder / "run"
    file.write_text(load_test)
    experiment.write_text(json.dumps(short_experiment("control", seconds=6, timeout_seconds=60)))
    done = system.flametest(
        *("run", "--experiment", str(experiment), "--out", str(out), "--no-ledger"),
        *("--load-test", str(file), "--users", "6"),
        # How well users are served on a busy machine is not what is tested here.
        *(f"--limit={limit}" for limit in (*GENEROUS, *limits)),
    )
    assert (out / "report.html").exists(), done.stdout + done.stderr
    (scenario,) = json.loads((out / "result.json").read_text())["scenarios"]
    return done.returncode, scenario, {one["name"]: one for one in scenario["checks"]}


def test_a_load_test_with_a_pace_of_its_own_is_judged_by_what_it_reached(system: System, tmp_path: Path) -> None:
    _, scenario, checks = run_with(system, tmp_path, USERS)
    load = checks["load_achieved"]
    assert load["verdict"] == "passed", load["detail"]
    assert "requests a second that were reached in the baseline" in load["detail"]
    assert checks["generator_sound"]["detail"] == "nothing went wrong in it that was noted"
    assert scenario["availability"]["valid"] > 50


def test_a_shape_that_ends_before_the_experiment_is_told_with_a_report(system: System, tmp_path: Path) -> None:
    code, scenario, checks = run_with(system, tmp_path, USERS + ENDING)
    assert (code, scenario["verdict"]) == (3, "inconclusive")
    assert checks["load_achieved"]["verdict"] == "inconclusive"
    assert "the load ended " in checks["load_achieved"]["detail"]
    assert "its shape ended" in checks["load_achieved"]["detail"]


def test_a_load_that_collapses_makes_a_real_run_inconclusive(system: System, tmp_path: Path) -> None:
    # A load that still comes may be that of a system which is steady late: it is watched for as long as its limit.
    code, scenario, checks = run_with(system, tmp_path, USERS + COLLAPSING, "steady_seconds=20")
    assert (code, scenario["verdict"]) == (3, "inconclusive")
    assert checks["load_achieved"]["verdict"] == "inconclusive", checks["load_achieved"]["detail"]
