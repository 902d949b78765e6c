"""What a search of the shipped system has found: each file is valid, may run, and has the promise as its limits."""

import json
from pathlib import Path

import pytest
from chaoslib.experiment import ensure_experiment_is_valid

from flametest.chaos.gate import check_experiment
from flametest.chaos.values import Values
from flametest.run.experiment import load_experiment, read_limits
from flametest.run.rehearsal import check_all

FOLDER = Path(__file__).parents[2] / "experiments" / "found"
FILES = sorted(FOLDER.glob("*.json"))


def test_there_are_findings_of_one_fault_and_of_two() -> None:
    methods = [json.loads(file.read_text())["method"] for file in FILES]
    sizes = {sum(step["provider"]["func"].startswith("inject_") for step in method) for method in methods}
    assert sizes == {1, 2}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_finding_may_run_and_is_told(path: Path) -> None:
    document = json.loads(path.read_text())
    ensure_experiment_is_valid(document)
    assert not check_experiment(document, Values()).unguarded
    check_all([load_experiment(path)])
    promised = {limit.criterion: limit.value for limit in read_limits(FOLDER / "limits.toml").of(path.stem, (), ())}
    assert promised == {"availability": 0.99, "outage_seconds": 3, "unhandled_errors": 0}
    assert f"`{path.name}`" in (FOLDER / "README.md").read_text()


def test_each_table_of_limits_has_its_file() -> None:
    assert set(read_limits(FOLDER / "limits.toml").scenarios()) == {path.stem for path in FILES}
