"""Systems of a primary and its standbys are searched on a real sandbox: what is planted is found, and nothing else."""

import json
import os
import signal
from itertools import combinations
from pathlib import Path

import pytest

from flametest.model.search import SEARCH_FILE
from flametest.run.exitcodes import ExitCode
from flametest.search.journal import read_search
from tests.addresses import own_address
from tests.patience import PATIENCE_SECONDS
from tests.pytest_plugin.ending import left_behind, wait_until
from tests.search.searching import breaks_again, command, finished, found_sets, searched
from tests.search.standbys import write_project

pytestmark = [pytest.mark.sandbox, pytest.mark.exhaustive]

REPLAYS = 3
SESSION = ("--seed", "1", "--budget", "30m")
ASKED = (*SESSION, "--promise", "availability=0.95", "--faults", "remove-service-*", "--faults", "pod-delete-front")


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give each test a state folder of its own."""
    monkeypatch.setenv("FLAMETEST_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("FLAMETEST_NODE_PORT_ADDRESS", own_address("search"))
    monkeypatch.delenv("KUBECONFIG", raising=False)


@pytest.mark.parametrize(
    ("backends", "planted"),
    [(1, {"remove-service-primary"}), (2, {"remove-service-primary", "remove-service-standby"})],
)
def test_what_takes_every_backend_away_is_found_as_an_experiment_that_breaks_the_promise_again(
    tmp_path: Path, backends: int, planted: set[str]
) -> None:
    project = tmp_path / "project"
    write_project(project, backends)

    code, result = searched(project, *ASKED)

    assert code == ExitCode.LIMIT_MISSED
    assert found_sets(result) == {frozenset(planted)}
    [found] = result.found
    assert found.is_minimal
    assert all(one.holds >= 3 and one.breaks == 0 for one in found.without)
    assert "Why each part is needed" in (project / "out" / "report.html").read_text()
    assert left_behind(tmp_path / "state") == []
    assert breaks_again(project, project / "experiments" / f"{found.name}.json", REPLAYS) == [True] * REPLAYS


def test_a_system_with_a_backend_to_spare_is_not_accused(tmp_path: Path) -> None:
    project = tmp_path / "project"
    write_project(project, 3)

    code, result = searched(project, *ASKED)

    assert not result.found
    assert code == ExitCode.PASSED, result
    held = [set(one.letters) for one in result.held]
    for pair in combinations(["remove-service-primary", "remove-service-standby", "remove-service-reserve"], 2):
        assert any(set(pair) <= one for one in held)
    assert not (project / "experiments").exists()


def test_a_search_that_was_killed_leaves_nothing_and_goes_on_without_repeating_what_was_decided(tmp_path: Path) -> None:
    project = tmp_path / "project"
    write_project(project, 2)
    process = command(project, *ASKED, "--out", "out")
    folder = project / "out"
    wait_until("some trials", lambda: trials_of(folder) >= 4, process)
    wait_until("a fault", lambda: any((tmp_path / "state").glob("undo/*.json")), process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE_SECONDS)
    wait_until("the sandbox's end", lambda: left_behind(tmp_path / "state") == [])
    before = read_search(folder)

    code = finished(project, [*SESSION, "--resume", "out"])

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

    code, result = searched(project, *ASKED, "--parallel", "2")

    assert code == ExitCode.LIMIT_MISSED
    assert found_sets(result) == {frozenset({"remove-service-primary", "remove-service-standby"})}
    assert left_behind(tmp_path / "state") == []


def trials_of(folder: Path) -> int:
    try:
        return len(json.loads((folder / SEARCH_FILE).read_text())["trials"])
    except FileNotFoundError:
        return 0
