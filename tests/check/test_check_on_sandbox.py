"""Two trees on two sandboxes: a check of a minute breaks both in turns, says that it was too short, leaves nothing."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flametest.faults.undo import UndoJournal
from tests.patience import OUTLASTING_SECONDS, PATIENCE_SECONDS
from tests.pytest_plugin.ending import wait_until
from tests.run.test_parallel_on_sandbox import DELETION, FLAMETEST, REMOVAL, Project, web_project

pytestmark = [pytest.mark.sandbox, pytest.mark.exhaustive]


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    found = web_project(tmp_path / "new")
    shutil.copytree(found.path / "manifests", tmp_path / "base" / "manifests")
    yield found
    found.assert_nothing_is_left()


def command(project: Project, experiment: str) -> list[str]:
    experiment_file = str(project.path / "experiments" / f"{experiment}.json")
    named = ("--experiment", experiment_file, "--out", str(project.path / "out"), "--users", "4", "--minutes", "1")
    return [*FLAMETEST, "check", "--base", str(project.path.parent / "base"), *named]


def test_a_short_check_breaks_both_trees_in_turns_and_says_that_it_was_too_short(project: Project) -> None:
    project.add("delete-a-pod", DELETION)
    done = subprocess.run(
        command(project, "delete-a-pod"),
        env=project.environment,
        cwd=project.path,
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 3, done.stdout + done.stderr
    assert "of the 6 groups of four blocks that are needed" in done.stdout
    result: dict[str, Any] = json.loads((project.path / "out" / "check.json").read_text())
    first = [block["side"] for block in result["blocks"][:4]]
    assert first in (["base", "new", "new", "base"], ["new", "base", "base", "new"])
    assert all(block["requests"] > 0 for block in result["blocks"])
    assert (project.path / "out" / "summary.md").read_text().startswith("## ⚠️ Cannot be told: delete-a-pod")


@pytest.mark.parametrize("way", ["SIGINT", "SIGKILL"])
def test_however_a_check_ends_the_fault_is_healed_and_both_sandboxes_end(project: Project, way: str) -> None:
    project.add("remove-the-service", REMOVAL, fault_seconds=OUTLASTING_SECONDS)
    journal = UndoJournal(project.path / "state")
    with subprocess.Popen(
        command(project, "remove-the-service"),
        env=project.environment,
        cwd=project.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as check:
        wait_until("a fault", lambda: bool(journal.records()[0]), check)
        os.kill(check.pid, signal.Signals[way])
        output, _ = check.communicate(timeout=PATIENCE_SECONDS)
    assert check.returncode == {"SIGINT": 130, "SIGKILL": -signal.SIGKILL}[way], output
