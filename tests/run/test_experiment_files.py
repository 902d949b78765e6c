"""Experiment files: what a run takes from them, and how it says that one cannot be used."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from flametest.model.verdict import Bound, Limit
from flametest.run.experiment import ExperimentError, load_experiment, read_limits, refuse_equal_names, suite_files
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


def test_the_seconds_and_pauses_of_the_method_add_up(tmp_path: Path) -> None:
    content = document()
    content["method"] = [
        {"name": "a", "provider": {"type": "python", "arguments": {"seconds": 3, "timeout_seconds": 60}}},
        {"name": "b", "pauses": {"before": 1, "after": 0.5}, "provider": {"type": "process", "arguments": "sleep 9"}},
        {"name": "c", "pauses": {"after": "${pause}"}, "provider": {"arguments": {"seconds": "${seconds}"}}},
        {"name": "d", "provider": {"arguments": {"seconds": True}, "func": ["inject_node_loss"]}},
        {"ref": "a"},
    ]
    assert load_experiment(written(tmp_path, content)).planned_seconds == 4.5
    assert load_experiment(written(tmp_path, document())).planned_seconds == 0


def test_an_action_that_takes_long_by_itself_makes_a_method_longer(tmp_path: Path) -> None:
    content = document()
    content["method"] = [
        {"name": "a", "provider": {"type": "python", "func": "inject_rolling_restart"}},
        {"name": "b", "provider": {"type": "python", "func": "inject_pod_deletion", "arguments": {"seconds": 2}}},
    ]
    assert load_experiment(written(tmp_path, content)).planned_seconds == 6


def test_only_what_asks_nothing_before_its_experiment_begins_can_wait(tmp_path: Path) -> None:
    asking, controlled = document(), document()
    asking["configuration"] = {"pods": {"type": "probe", "name": "count", "provider": {"type": "python"}}, "seconds": 3}
    controlled["controls"] = [*controlled["controls"], {"name": "other", "provider": {"type": "python"}}]
    waiting = [load_experiment(written(tmp_path, one)).can_wait for one in (document(), asking, controlled)]
    assert waiting == [True, False, False]


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


@pytest.mark.parametrize("suffix", [".yaml", ".yml"])
def test_an_experiment_in_yaml_is_read_as_one_in_json(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"one{suffix}"
    path.write_text(yaml.safe_dump(document()))

    assert load_experiment(path) == replace(
        load_experiment(written(tmp_path, document())),
        path=path,
        limits=(
            Limit("outage_seconds", Bound.AT_MOST, 3.0, f"experiments/one{suffix}"),
            Limit("availability", Bound.AT_LEAST, 0.99, f"experiments/one{suffix}"),
        ),
    )


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("a.yaml", "title: [", r"a\.yaml is no YAML"),
        ("a.yaml", "- title", "holds no YAML object"),
        ("a.yaml", "!!python/object/apply:os.system [x]", r"a\.yaml is no YAML"),
        ("a.json", "[" * 100_000, r"a\.json is no JSON"),
        ("a.toml", "title = 1", r"is not called \*\.json, \*\.yaml or \*\.yml"),
        ("a", "{}", r"is not called \*\.json"),
        ("a\n.json", "{}", "is not printable"),
    ],
)
def test_what_cannot_be_read_is_told_in_a_line(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    (tmp_path / name).write_text(text)

    with pytest.raises(ExperimentError, match=complaint) as caught:
        load_experiment(tmp_path / name)
    assert "\n" not in caught.value.message
    assert caught.value.remedy


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b"\xff\xfe{}")

    with pytest.raises(ExperimentError, match="is no UTF-8"):
        load_experiment(tmp_path / "a.json")


def test_two_experiments_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    first, second = (load_experiment(written(tmp_path / folder, document())) for folder in ("a", "b"))
    refuse_equal_names([first])

    with pytest.raises(ExperimentError, match=r"two experiments are called 'one': .*a/one\.json and .*b/one\.json"):
        refuse_equal_names([first, second])
    with pytest.raises(ExperimentError):
        refuse_equal_names([first, first])


def test_a_suite_names_experiments_in_either_format(tmp_path: Path) -> None:
    (tmp_path / "experiments").mkdir()
    for name in ("a.yaml", "b.json", "c.yml"):
        (tmp_path / "experiments" / name).touch()
    (tmp_path / "experiments" / "suites.toml").write_text('[core]\nexperiments = ["c", "b", "a"]\n')

    assert [path.name for path in suite_files(Project(tmp_path), "core")] == ["c.yml", "b.json", "a.yaml"]


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


REPOSITORY = Path(__file__).parents[2]


@pytest.mark.parametrize("path", sorted((REPOSITORY / "experiments").glob("*.json")), ids=lambda path: path.stem)
def test_every_experiment_of_the_project_is_judged_by_the_one_file_of_limits(path: Path) -> None:
    experiment = load_experiment(path)
    probed = [
        probe["provider"].get("func") for probe in json.loads(path.read_text())["steady-state-hypothesis"]["probes"]
    ]
    limits = {limit.criterion for limit in read_limits(path.with_name("limits.toml")).of(experiment.name)}

    assert experiment.limits == ()
    assert "within_limits" in probed
    assert {"outage_seconds", "recovery_seconds", "steady_seconds", "availability", "write_anomalies"} <= limits


def test_every_table_of_limits_belongs_to_an_experiment() -> None:
    folder = REPOSITORY / "experiments"

    assert set(read_limits(folder / "limits.toml").scenarios()) <= {path.stem for path in folder.glob("*.json")}


def test_without_a_file_of_limits_an_experiment_is_judged_by_its_own(tmp_path: Path) -> None:
    own = load_experiment(written(tmp_path, document())).limits

    assert read_limits(tmp_path / "limits.toml").of("one", own) == own


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
