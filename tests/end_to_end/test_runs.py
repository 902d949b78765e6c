"""Whole runs on the deployed system: verdicts, exit codes, files, and figures that an independent watch agrees with."""

import csv
import gzip
import json
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from flametest.model.events import FaultHealed, FaultInjected
from flametest.run.folder import RunFolder
from tests.chaos.conftest import short_experiment
from tests.end_to_end.conftest import FLAMETEST, ROOT, System
from tests.patience import OUTLASTING_SECONDS, PATIENCE_SECONDS

pytestmark = pytest.mark.sandbox

NAMESPACE = "/api/v1/namespaces/flametest"
API_PODS = f"{NAMESPACE}/pods?labelSelector=app%3Dapi"
RECOVERY_AGREEMENT_SECONDS = 0.1


@dataclass
class IndependentWatch:
    """Stamps, by nothing of Flametest's, when an api pod was told to go and when three were ready again."""

    deleted_s: float | None = None
    back_s: float | None = None
    ready: set[str] = field(default_factory=set)

    def see(self, event: dict[str, Any]) -> None:
        """Take one watch event."""
        now, pod = time.monotonic(), event["object"]
        uid = pod["metadata"]["uid"]
        conditions = {one["type"]: one["status"] for one in pod.get("status", {}).get("conditions", [])}
        going = event["type"] == "DELETED" or "deletionTimestamp" in pod["metadata"]
        was_ready = uid in self.ready  # what was going before the run is no concern of it
        if going or conditions.get("Ready") != "True":
            self.ready.discard(uid)
        else:
            self.ready.add(uid)
        if going and was_ready and self.deleted_s is None:
            self.deleted_s = now
        if self.deleted_s is not None and self.back_s is None and len(self.ready) == 3:
            self.back_s = now

    @property
    def recovery_seconds(self) -> float:
        """Return what was seen."""
        assert self.deleted_s is not None
        assert self.back_s is not None
        return self.back_s - self.deleted_s


@contextmanager
def watching(api: Callable[..., Any]) -> Iterator[IndependentWatch]:
    """Watch the api pods in a thread."""
    watch = IndependentWatch()
    stream = api(f"{API_PODS}&watch=1&timeoutSeconds=120")

    def follow() -> None:
        for line in stream:
            watch.see(json.loads(line))
            if watch.back_s is not None:
                return

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield watch
        thread.join(10)
    finally:
        stream.close()


@pytest.mark.measured
def test_a_deleted_api_pod_passes_and_the_figures_agree_with_an_independent_watch(
    system: System, api: Callable[..., Any], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with watching(api) as watch:
        done = system.flametest("run", "--experiment", "experiments/pod-delete-api.json", "--out", str(out))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASSED: " in done.stdout
    result = json.loads((out / "result.json").read_text())
    jsonschema.validate(result, json.loads((ROOT / "docs" / "result.schema.json").read_text()))
    (scenario,) = result["scenarios"]
    criteria = {one["name"]: one for one in scenario["criteria"]}
    assert criteria["recovery_seconds"]["value"] < 5
    assert abs(criteria["recovery_seconds"]["value"] - watch.recovery_seconds) <= RECOVERY_AGREEMENT_SECONDS
    assert [stage["name"] for stage in scenario["stages"]][:4] == ["detected", "rescheduled", "started", "ready"]
    assert all(
        stage["seconds"] is not None for stage in scenario["stages"] if stage["name"] in {"rescheduled", "ready"}
    )
    assert_orders_were_kept(scenario, criteria)
    assert_folder_is_whole(out)
    assert_journal_holds_the_figures(out / "scenarios" / "pod-delete-api" / "journal.json", criteria)


def assert_orders_were_kept(scenario: dict[str, Any], criteria: dict[str, Any]) -> None:
    writes = scenario["durability"]
    assert writes["acknowledged"] > 100
    assert writes["repeated"] > 5
    assert (criteria["write_anomalies"]["value"], criteria["write_anomalies"]["limit"]["value"]) == (0, 0)
    assert f"0 of {writes['acknowledged']} acknowledged orders were lost" in scenario["sentence"]


def assert_folder_is_whole(out: Path) -> None:
    page = (out / "report.html").read_text()
    assert len(page.encode()) <= 300_000
    assert "PASSED" in page
    cases = ElementTree.parse(out / "junit.xml").findall(".//testcase")
    assert cases
    assert "pod-delete-api" in (out / "summary.md").read_text()
    assert len((out / "history.jsonl").read_text().splitlines()) > 20
    with gzip.open(out / "samples.csv.gz", "rt", newline="") as rows:
        lanes = {row["lane"] for row in csv.DictReader(rows)}
    assert lanes == {"prober-fresh", "prober-keepalive", "load"}
    assert len(list((out / "logs").iterdir())) >= 7


def assert_journal_holds_the_figures(journal: Path, criteria: dict[str, Any]) -> None:
    after = json.loads(journal.read_text())["steady_states"]["after"]
    (judged,) = (run["output"] for run in after["probes"] if run["activity"]["provider"].get("func") == "within_limits")
    assert judged["verdict"] == "held"
    assert judged["figures"]["recovery_seconds"] == pytest.approx(criteria["recovery_seconds"]["value"], abs=0.001)
    assert judged["figures"]["outage_seconds"] is not None


def test_a_limit_that_is_missed_is_named_and_ends_with_1(system: System, tmp_path: Path) -> None:
    out, file = tmp_path / "run", tmp_path / "pod-delete-nginx.json"
    file.write_text(json.dumps(short_experiment("pod-delete-nginx", seconds=2, timeout_seconds=30)))
    done = system.flametest(
        *("run", "--experiment", str(file), "--out", str(out)),
        *("--limit", "recovery_seconds=0.001"),
        # How well users are served on a busy machine is not what is tested here.
        *("--limit", "outage_seconds=60", "--limit", "availability=0", "--limit", "p95_ms=60000"),
        *("--limit", "steady_seconds=600", "--limit", "unhandled_errors=1000000"),
    )

    result = json.loads((out / "result.json").read_text())
    # On a busy machine the measurement may miss its own targets. Then nothing counts, but what was found stays.
    code = 1 if result["self_test"]["verdict"] == "passed" else 3
    assert done.returncode == code, done.stdout + done.stderr
    assert f"{'FAILED' if code == 1 else 'INCONCLUSIVE'}: " in done.stdout
    (scenario,) = result["scenarios"]
    assert scenario["verdict"] == "failed"
    missed = [one for one in scenario["criteria"] if one["verdict"] == "failed"]
    assert [one["name"] for one in missed] == ["recovery_seconds"]
    assert "0.001" in missed[0]["reason"]
    before = {name: (out / name).read_bytes() for name in ("report.html", "junit.xml", "summary.md")}
    assert system.flametest("report", str(out)).returncode == code
    assert {name: (out / name).read_bytes() for name in before} == before


@pytest.mark.measured
def test_a_run_in_which_users_suffer_too_much_is_healed_within_two_seconds_and_says_that_it_was_stopped(
    system: System, tmp_path: Path
) -> None:
    out, file = tmp_path / "run", tmp_path / "remove-service-nginx.json"
    document = json.loads((ROOT / "experiments" / "remove-service-nginx.json").read_text())
    lasting = document["method"][2]["provider"]
    assert lasting["func"] == "observe_fault"
    lasting["arguments"] = {"seconds": OUTLASTING_SECONDS}  # nobody waits for the end of it
    file.write_text(json.dumps(document))
    # Who asks over a new connection has an outage from the first moment; kept connections last for minutes.
    done = system.flametest("run", "--experiment", str(file), "--out", str(out), "--abort-when", "outage_seconds=3")

    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAILED: stopped by --abort-when outage_seconds=3: outage was " in " ".join(done.stdout.split())
    (scenario,) = json.loads((out / "result.json").read_text())["scenarios"]
    assert scenario["verdict"] == "failed"
    assert scenario["sentence"].startswith("stopped by --abort-when outage_seconds=3: outage was ")
    history = RunFolder.open(out).history()
    (fault,), (healed,) = history.of(FaultInjected), history.of(FaultHealed)
    # The outage began with the fault, so the limit was passed three seconds later.
    seconds = (healed.at.monotonic_ns - fault.at.monotonic_ns) / 1e9 - 3
    print(f"healed {seconds:.3f} s after the limit was passed")
    assert seconds <= 2
    assert system.flametest("undo").returncode == 0
    assert system.get("/shop/api/events")


def test_a_system_that_is_not_healthy_is_not_broken_further(
    system: System, api: Callable[..., Any], tmp_path: Path
) -> None:
    with api_pod_that_cannot_be_replaced(api):
        pods_before = uids(api)
        done = system.flametest(
            "run", "--experiment", "experiments/pod-delete-api.json", "--out", str(tmp_path / "run")
        )
        pods_after = uids(api)

    assert done.returncode == 3, done.stdout + done.stderr
    assert "INCONCLUSIVE: " in done.stdout
    assert pods_after == pods_before
    assert "FaultInjected" not in (tmp_path / "run" / "history.jsonl").read_text()


@contextmanager
def api_pod_that_cannot_be_replaced(api: Callable[..., Any]) -> Iterator[None]:
    """Delete an api pod while no node takes new ones; let them again in the end."""
    nodes = [node["metadata"]["name"] for node in json.load(api("/api/v1/nodes"))["items"]]
    patch = "application/merge-patch+json"
    for node in nodes:
        api(f"/api/v1/nodes/{node}", "PATCH", {"spec": {"unschedulable": True}}, patch).close()
    try:
        api(f"{NAMESPACE}/pods/{json.load(api(API_PODS))['items'][0]['metadata']['name']}", "DELETE").close()
        with api(f"{API_PODS}&watch=1&timeoutSeconds=30") as events:
            for line in events:
                if json.loads(line)["type"] == "DELETED":
                    break
        yield
    finally:
        for node in nodes:
            api(f"/api/v1/nodes/{node}", "PATCH", {"spec": {"unschedulable": None}}, patch).close()


def uids(api: Callable[..., Any]) -> set[str]:
    """Return the uids of the api pods."""
    return {pod["metadata"]["uid"] for pod in json.load(api(API_PODS))["items"]}


def test_ctrl_c_ends_everything_that_was_started_and_exits_with_130(system: System, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run = subprocess.Popen(
        [*FLAMETEST, "run", "--experiment", "experiments/pod-delete-api.json", "--out", str(out)],
        env=system.environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    samples = out / "scenarios" / "pod-delete-api" / "samples-prober.csv"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (samples.exists() and samples.stat().st_size > 1000):
        assert time.monotonic() < deadline, "the prober did not start"
        assert run.poll() is None, run.communicate()[0]
    children = descendants(run.pid)
    run.send_signal(signal.SIGINT)
    output, _ = run.communicate(timeout=PATIENCE_SECONDS)

    assert run.returncode == 130, output
    assert len(children) >= 3
    assert [pid for pid in children if alive(pid)] == []
    assert (out / "history.jsonl").read_text().splitlines()[-1].count("interrupted")
    assert system.flametest("status").returncode == 0


def descendants(pid: int) -> list[int]:
    """Return the pids of a process' children and of theirs."""
    found: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            found += [int(stat.parent.name), *descendants(int(stat.parent.name))]
    return found


def alive(pid: int) -> bool:
    """Return whether a process of that pid runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
