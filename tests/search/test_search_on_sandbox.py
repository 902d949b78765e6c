"""Systems of a primary and its standbys are searched on a real sandbox: what is planted is found, and nothing else."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from flametest.model.search import SEARCH_FILE, SearchResult
from flametest.run.exitcodes import ExitCode
from flametest.search.journal import read_search
from tests.addresses import own_address
from tests.pytest_plugin.ending import left_behind, wait_until
from tests.search.standbys import write_project

pytestmark = [pytest.mark.sandbox, pytest.mark.exhaustive]

SECONDS_MAX = 2400
REPLAYS = 3
ASKED = ("--promise", "availability=0.95", "--faults", "remove-service-*", "--faults", "pod-delete-front")


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a state folder of its own."""
    monkeypatch.setenv("FLAMETEST_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("FLAMETEST_NODE_PORT_ADDRESS", own_address("search"))
    monkeypatch.delenv("KUBECONFIG", raising=False)


def command(project: Path, *options: str) -> "subprocess.Popen[str]":
    """Start a search in a project; its folder is `out` there."""
    return subprocess.Popen(
        [sys.executable, "-m", "flametest.cli", "search", "--seed", "1", "--budget", "30m", *options],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def searched(project: Path, *options: str) -> tuple[int, SearchResult]:
    """Search a project, and return the exit code and the account."""
    process = command(project, *ASKED, "--out", "out", *options)
    output, _ = process.communicate(timeout=SECONDS_MAX)
    assert (project / "out" / SEARCH_FILE).exists(), output
    return process.returncode, read_search(project / "out")


def found_sets(result: SearchResult) -> set[frozenset[str]]:
    return {frozenset(dose.letter for dose in one.doses) for one in result.found if one.is_confirmed}


@pytest.mark.parametrize(
    ("backends", "planted"),
    [(1, {"remove-service-primary"}), (2, {"remove-service-primary", "remove-service-standby"})],
)
def test_what_takes_every_backend_away_is_found_as_an_experiment_that_breaks_the_promise_again(
    tmp_path: Path, backends: int, planted: set[str]
) -> None:
    project = tmp_path / "project"
    write_project(project, backends)

    code, result = searched(project)

    assert code == ExitCode.LIMIT_MISSED
    assert found_sets(result) == {frozenset(planted)}
    [found] = result.found
    assert found.is_minimal
    assert all(one.holds >= 3 and one.breaks == 0 for one in found.without)
    assert "Why each part is needed" in (project / "out" / "report.html").read_text() or backends == 1
    assert left_behind(tmp_path / "state") == []
    assert replayed(project, project / "experiments" / f"{found.name}.json") == [True] * REPLAYS


def test_a_system_with_a_backend_to_spare_is_not_accused(tmp_path: Path) -> None:
    project = tmp_path / "project"
    write_project(project, 3)

    code, result = searched(project)

    assert not result.found
    assert code == ExitCode.PASSED, result
    assert {frozenset(one.letters) for one in result.held} >= {
        frozenset({"remove-service-primary", "remove-service-standby"}),
        frozenset({"remove-service-reserve"}),
    }
    assert not (project / "experiments").exists()


def test_a_search_that_was_killed_leaves_nothing_and_goes_on_without_repeating_what_was_decided(tmp_path: Path) -> None:
    project = tmp_path / "project"
    write_project(project, 2)
    process = command(project, *ASKED, "--out", "out")
    folder = project / "out"
    wait_until("some trials", lambda: trials_of(folder) >= 4, process)
    wait_until("a fault", lambda: any((tmp_path / "state").glob("undo/*.json")), process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=120)
    wait_until("the sandbox's end", lambda: left_behind(tmp_path / "state") == [])
    before = read_search(folder)

    code = finished(project, ["--resume", "out"])

    after = read_search(folder)
    assert code == ExitCode.LIMIT_MISSED
    assert after.trials[: len(before.trials)] == before.trials
    held = {one.key for one in before.trials if one.outcome == "holds" and one.doses}
    again = [one.key for one in after.trials[len(before.trials) :]]
    assert all(again.count(key) <= 2 for key in held)  # for what is claimed, each has to hold three times in all
    assert found_sets(after) == {frozenset({"remove-service-primary", "remove-service-standby"})}


def test_two_trials_at_a_time_find_the_same(tmp_path: Path) -> None:
    project = tmp_path / "project"
    write_project(project, 2)

    code, result = searched(project, "--parallel", "2")

    assert code == ExitCode.LIMIT_MISSED
    assert found_sets(result) == {frozenset({"remove-service-primary", "remove-service-standby"})}
    assert left_behind(tmp_path / "state") == []


def trials_of(folder: Path) -> int:
    try:
        return len(json.loads((folder / SEARCH_FILE).read_text())["trials"])
    except FileNotFoundError:
        return 0


def finished(project: Path, options: Sequence[str]) -> int:
    process = command(project, *options)
    process.communicate(timeout=SECONDS_MAX)
    return process.returncode


def replayed(project: Path, experiment: Path) -> list[bool]:
    """Return whether stock ``chaos run`` of an experiment breaks its promise, a few times on one system."""
    flametest = [sys.executable, "-m", "flametest.cli"]
    subprocess.run([*flametest, "up"], cwd=project, check=True, capture_output=True, timeout=300)
    try:
        told = subprocess.run([*flametest, "env"], cwd=project, check=True, capture_output=True, text=True, timeout=60)
        return [_deviates(project, experiment, told.stdout) for _ in range(REPLAYS)]
    finally:
        subprocess.run([*flametest, "down"], cwd=project, check=True, capture_output=True, timeout=300)


def _deviates(project: Path, experiment: Path, environment: str) -> bool:
    run = f"{environment}\nexec {sys.executable} -m chaostoolkit --no-version-check run {experiment}"
    journal = project / "journal.json"
    journal.unlink(missing_ok=True)
    subprocess.run(["sh", "-c", run], cwd=project, check=False, capture_output=True, timeout=300)
    return bool(json.loads(journal.read_text())["deviated"])
