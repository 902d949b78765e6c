"""Experiment files: what a run takes from them, and how it says that one cannot be used."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.model.verdict import Bound, Limit
from flametest.run.experiment import (
    Experiment,
    ExperimentError,
    load_experiment,
    override_limits,
    parse_limit,
    suite_files,
)
from flametest.run.project import Project


def document() -> dict[str, Any]:
    probes = "flametest.chaos.probes"
    return {
        "title": "One pod is deleted",
        "description": "Shows that the others take over.",
        "controls": [
            {
                "name": "recorder",
                "provider": {
                    "type": "python",
                    "module": "flametest.chaos.controls",
                    "arguments": {"scenario": "one", "workload": "api"},
                },
            }
        ],
        "steady-state-hypothesis": {
            "title": "users feel nothing",
            "probes": [
                {"name": "a", "tolerance": 200, "provider": {"type": "http", "url": "http://127.0.0.1"}},
                {
                    "name": "b",
                    "tolerance": {"type": "range", "range": [0, 3]},
                    "provider": {"type": "python", "module": probes, "func": "outage_seconds"},
                },
                {
                    "name": "c",
                    "tolerance": {"type": "range", "range": [0.99, 1]},
                    "provider": {"type": "python", "module": probes, "func": "availability"},
                },
            ],
        },
        "method": [],
    }


def written(folder: Path, content: dict[str, Any]) -> Path:
    path = folder / "one.json"
    path.write_text(json.dumps(content))
    return path


def test_limits_are_the_ranges_of_the_hypothesis(tmp_path: Path) -> None:
    experiment = load_experiment(written(tmp_path, document()))

    assert experiment.name == "one"
    assert experiment.workload == "api"
    assert experiment.limits == (
        Limit("outage_seconds", Bound.AT_MOST, 3.0, "experiments/one.json"),
        Limit("availability", Bound.AT_LEAST, 0.99, "experiments/one.json"),
    )


def test_a_file_that_does_not_parse_is_named_with_the_place(tmp_path: Path) -> None:
    path = tmp_path / "broken.json"
    path.write_text('{"title": ')

    with pytest.raises(ExperimentError, match=r"broken\.json is no JSON.*line 1 column 11"):
        load_experiment(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match=r"none\.json cannot be read: No such file"):
        load_experiment(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda d: d.pop("title"), "has no title"),
        (lambda d: d.pop("controls"), "has no recorder control"),
        (lambda d: d["controls"][0]["provider"]["arguments"].pop("workload"), "names no workload"),
        (lambda d: d["steady-state-hypothesis"]["probes"][1]["tolerance"].update(range=[3]), "not two numbers"),
    ],
)
def test_what_a_measured_run_needs_is_asked_for(tmp_path: Path, change: Any, complaint: str) -> None:
    content = document()
    change(content)

    with pytest.raises(ExperimentError, match=complaint) as caught:
        load_experiment(written(tmp_path, content))
    assert caught.value.remedy


@given(st.from_regex(r"[a-z_]+", fullmatch=True), st.floats(allow_nan=False, allow_infinity=False))
def test_a_limit_of_the_command_line_is_read_back(criterion: str, value: float) -> None:
    assert parse_limit(f"{criterion}={value!r}") == ("", criterion, value)
    assert parse_limit(f"pod-delete-api:{criterion}={value!r}") == ("pod-delete-api", criterion, value)


@pytest.mark.parametrize("text", ["", "outage_seconds", "=3", "outage_seconds=", "outage_seconds=nan", ":x=1", "x=y"])
def test_a_limit_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ExperimentError, match="is not understood"):
        parse_limit(text)


def experiment(*limits: Limit) -> Experiment:
    return Experiment("one", Path("one.json"), "t", "d", "api", limits)


def test_an_override_takes_the_place_of_the_experiments_limit() -> None:
    base = experiment(Limit("outage_seconds", Bound.AT_MOST, 3.0, "experiments/one.json"))

    (limit,) = override_limits(base, [("", "outage_seconds", 0.1)])

    assert limit == Limit("outage_seconds", Bound.AT_MOST, 0.1, "--limit outage_seconds=0.1")


def test_an_override_for_another_scenario_changes_nothing() -> None:
    base = experiment(Limit("outage_seconds", Bound.AT_MOST, 3.0, "experiments/one.json"))

    assert override_limits(base, [("two", "outage_seconds", 0.1)]) == base.limits


def test_an_override_without_a_limit_to_replace_is_refused() -> None:
    with pytest.raises(ExperimentError, match="no limit called 'p95_ms'"):
        override_limits(experiment(), [("one", "p95_ms", 1.0)])


def test_a_suite_is_a_list_of_files_in_order(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    for name in ("b", "a"):
        (tmp_path / "experiments" / f"{name}.json").touch()
    (tmp_path / "experiments" / "suites.toml").write_text('[core]\nexperiments = ["b", "a"]\n')

    assert [path.name for path in suite_files(Project(tmp_path), "core")] == ["b.json", "a.json"]
    with pytest.raises(ExperimentError, match="no suite is called 'none'"):
        suite_files(Project(tmp_path), "none")


def test_a_suite_that_names_a_missing_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "suites.toml").write_text('[core]\nexperiments = ["a"]\n')

    with pytest.raises(ExperimentError, match=r"names a\.json, which does not exist"):
        suite_files(Project(tmp_path), "core")
