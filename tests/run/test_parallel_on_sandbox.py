"""Whole runs whose scenarios run at the same time: one folder, equal draws, and nothing left however they end."""

import csv
import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flametest.faults.undo import UndoJournal
from tests.addresses import own_address
from tests.patience import OUTLASTING_SECONDS, PATIENCE_SECONDS
from tests.pytest_plugin.conftest import WEB
from tests.pytest_plugin.ending import wait_until

pytestmark = pytest.mark.sandbox

FLAMETEST = [sys.executable, "-m", "flametest.cli"]
LOAD = """\
from locust import FastHttpUser, constant_throughput, task

class Visitor(FastHttpUser):
    wait_time = constant_throughput(5)

    @task
    def visit(self):
        self.client.get("/")
"""
# How well users are served on a busy machine is not what is tested here.
LIMITS = "[default]\nrecovery_seconds = 120\noutage_seconds = 120\n"


def experiment(name: str, fault: dict[str, Any], fault_seconds: float) -> dict[str, Any]:
    """Return an experiment that breaks the web server; a fault that lasts is healed after so many seconds."""

    def action(func: str, **arguments: object) -> dict[str, Any]:
        provider = {"type": "python", "module": "flametest.chaos.actions", "func": func, "arguments": arguments}
        return {"type": "action", "name": func.replace("_", "-"), "provider": provider}

    lasting = [action("observe_fault", seconds=fault_seconds), action("heal_faults")] if fault_seconds else []
    recorder = {
        "type": "python",
        "module": "flametest.chaos.controls",
        "arguments": {"scenario": name, "workload": "web"},
    }
    return {
        "title": name,
        "description": "A short one.",
        "controls": [{"name": "recorder", "provider": {"type": "python"} | recorder}],
        "method": [
            action("observe_baseline", seconds=1),
            {"type": "action", "name": "break-it", "provider": {"type": "python"} | fault},
            *lasting,
            action("await_recovery", timeout_seconds=60, hold_seconds=1),
        ],
        "rollbacks": [],
    }


DELETION = {
    "module": "chaosk8s.pod.actions",
    "func": "terminate_pods",
    "arguments": {"label_selector": "app=web", "qty": 1, "rand": True, "ns": "web"},
}
REMOVAL = {"module": "flametest.chaos.actions", "func": "inject_service_removal", "arguments": {"service": "web"}}


@dataclass(frozen=True)
class Project:
    """A folder with a web server of two pods, load, limits and short experiments; and its own state."""

    path: Path
    environment: dict[str, str]

    def add(self, name: str, fault: dict[str, Any], fault_seconds: float = 0.0) -> None:
        """Add an experiment."""
        text = json.dumps(experiment(name, fault, fault_seconds))
        (self.path / "experiments" / f"{name}.json").write_text(text)

    def command(self, *arguments: str) -> list[str]:
        """Return the command line of a run of all experiments."""
        files = sorted((self.path / "experiments").glob("*.json"))
        named = [word for file in files for word in ("--experiment", str(file))]
        return [*FLAMETEST, "run", "--out", str(self.path / "out"), *named, "--users", "4", "--no-ledger", *arguments]

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Carry out a run of all experiments."""
        return subprocess.run(
            self.command(*arguments),
            env=self.environment,
            cwd=self.path,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )

    def sandboxes(self) -> list[str]:
        """Return the names of the sandboxes that live."""
        return [one.parent.name for one in (self.path / "state" / "sandboxes").glob("*/sandbox.json")]

    def assert_nothing_is_left(self, *, sandboxes: tuple[str, ...] = ()) -> None:
        """Make sure that no fault waits to be healed, and no other sandbox lives."""
        wait_until("the undo records' end", lambda: not UndoJournal(self.path / "state").records()[0])
        wait_until("the end of the sandboxes", lambda: sorted(self.sandboxes()) == sorted(sandboxes))


def web_project(path: Path) -> Project:
    """Return a project of a web server of two pods in a new folder."""
    for name in ("manifests", "experiments", "loadtests"):
        (path / name).mkdir(parents=True)
    placed = WEB.replace("metadata: {name: web}", "metadata: {name: web, namespace: web}")
    (path / "manifests" / "web.yaml").write_text(placed)
    (path / "loadtests" / "locustfile.py").write_text(LOAD)
    (path / "experiments" / "limits.toml").write_text(LIMITS)
    environment = {key: value for key, value in os.environ.items() if key != "KUBECONFIG"}
    own = {"FLAMETEST_HOME": str(path / "state"), "FLAMETEST_NODE_PORT_ADDRESS": own_address(str(path))}
    return Project(path, environment | own)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    found = web_project(tmp_path / "project")
    yield found
    subprocess.run([*FLAMETEST, "down"], env=found.environment, cwd=found.path, check=True, timeout=PATIENCE_SECONDS)


def test_two_scenarios_at_the_same_time_make_one_folder_and_one_report(project: Project) -> None:
    project.add("delete-a-pod", DELETION)
    project.add("remove-the-service", REMOVAL, fault_seconds=1)
    done = project.run("--parallel", "2", "--seed", "7")
    told = done.stdout + done.stderr
    out = project.path / "out"

    assert done.returncode in (0, 3), told  # whether a busy machine kept the prober's schedule is not decided here
    result = json.loads((out / "result.json").read_text())
    if result["parallel"] == 1:
        assert "the scenarios ran one after the other, though 2 at the same time were requested" in told
    else:
        assert_side_by_side(out, result)
    assert [one["name"] for one in result["scenarios"]] == ["delete-a-pod", "remove-the-service"]
    assert [one["fault"] != "" for one in result["scenarios"]] == [True, True]
    with gzip.open(out / "samples.csv.gz", "rt", newline="") as rows:
        assert {row["scenario"] for row in csv.DictReader(rows)} == {"delete-a-pod", "remove-the-service"}
    project.assert_nothing_is_left()


def assert_side_by_side(out: Path, result: dict[str, Any]) -> None:
    events = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    spans = {}
    for name in ("delete-a-pod", "remove-the-service"):
        moments = [one["at"]["monotonic_ns"] for one in events if one["scenario"] == name]
        spans[name] = (min(moments), max(moments))
    (one, two) = spans.values()
    assert max(one[0], two[0]) < min(one[1], two[1]), "they overlap"
    assert any("2 scenarios ran at the same time" in note for note in result["notes"])
    assert "2 scenarios ran at the same time" in (out / "report.html").read_text()
    assert "2 scenarios at a time" in (out / "summary.md").read_text()
    assert list((out / "logs").glob("*.log"))
    assert list((out / "logs" / "sandbox-2").glob("*.log"))


@pytest.mark.exhaustive
@pytest.mark.parametrize(("way", "code"), [("SIGINT", 130), ("SIGTERM", 130), ("SIGKILL", -signal.SIGKILL)])
def test_however_a_run_ends_each_sandbox_is_healed_and_the_further_ones_end(
    project: Project, way: str, code: int
) -> None:
    for name in ("one", "two"):
        project.add(name, REMOVAL, fault_seconds=OUTLASTING_SECONDS)
    journal = UndoJournal(project.path / "state")
    command = project.command("--parallel", "2")
    with subprocess.Popen(
        command, env=project.environment, cwd=project.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run:
        wait_until("two faults", lambda: len(journal.records()[0]) == 2, run)
        run.send_signal(signal.Signals[way])
        output, _ = run.communicate(timeout=PATIENCE_SECONDS)
    assert run.returncode == code, output
    # A run that is killed leaves the user's own sandbox, as one without --parallel does.
    project.assert_nothing_is_left(sandboxes=("default",) if way == "SIGKILL" else ())
