"""Searches as a user starts them, and stock ``chaos run`` of what they have found."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from flametest.model.search import SEARCH_FILE, SearchResult
from flametest.search.journal import read_search
from tests.patience import PATIENCE_SECONDS

__all__ = ["breaks_again", "command", "finished", "found_sets", "searched"]

SECONDS_MAX = 2400


def command(project: Path, *options: str) -> "subprocess.Popen[str]":
    """Start a search in a project."""
    return subprocess.Popen(
        [sys.executable, "-m", "flametest.cli", "search", *options],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finished(project: Path, options: Sequence[str]) -> int:
    """Search a project, and return the exit code."""
    process = command(project, *options)
    process.communicate(timeout=SECONDS_MAX)
    return process.returncode


def searched(project: Path, *options: str) -> tuple[int, SearchResult]:
    """Search a project, and return the exit code and the account; its folder is `out` there."""
    process = command(project, "--out", "out", *options)
    output, _ = process.communicate(timeout=SECONDS_MAX)
    assert (project / "out" / SEARCH_FILE).exists(), output
    return process.returncode, read_search(project / "out")


def found_sets(result: SearchResult) -> set[frozenset[str]]:
    """Return the sets that are claimed to break."""
    return {frozenset(dose.letter for dose in one.doses) for one in result.found if one.is_confirmed}


def breaks_again(project: Path, experiment: Path, times: int) -> list[bool]:
    """Return whether stock ``chaos run`` of an experiment breaks its promise, so many times on one system."""
    flametest = [sys.executable, "-m", "flametest.cli"]
    subprocess.run([*flametest, "up"], cwd=project, check=True, capture_output=True, timeout=PATIENCE_SECONDS)
    try:
        told = subprocess.run(
            [*flametest, "env"], cwd=project, check=True, capture_output=True, text=True, timeout=PATIENCE_SECONDS
        )
        return [_deviates(project, experiment, told.stdout) for _ in range(times)]
    finally:
        subprocess.run([*flametest, "down"], cwd=project, check=True, capture_output=True, timeout=PATIENCE_SECONDS)


def _deviates(project: Path, experiment: Path, environment: str) -> bool:
    run = f"{environment}\nexec {sys.executable} -m chaostoolkit --no-version-check run {experiment}"
    journal = project / "journal.json"
    journal.unlink(missing_ok=True)
    subprocess.run(["sh", "-c", run], cwd=project, check=False, capture_output=True, timeout=PATIENCE_SECONDS)
    return bool(json.loads(journal.read_text())["deviated"])
