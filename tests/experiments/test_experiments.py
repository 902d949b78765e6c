"""Every experiment of the project is valid for Chaos Toolkit, says what it teaches, sets limits, and is bounded."""

import importlib
import inspect
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from chaoslib.experiment import ensure_experiment_is_valid

from flametest.chaos.gate import check_experiment
from flametest.chaos.values import Values
from flametest.measure.scenario import LIMITABLE
from flametest.model.limits import parse_limits
from flametest.run.experiment import load_experiment
from flametest.run.rehearsal import check_all

FOLDER = Path(__file__).parents[2] / "experiments"
FILES = sorted(FOLDER.glob("*.json"))
SECONDS_MAX = 10  # of the waits at least of a scenario whose system recovers at once


def load(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_text())
    return document


def activities(document: dict[str, Any]) -> list[dict[str, Any]]:
    return [*document["steady-state-hypothesis"]["probes"], *document["method"], *document["rollbacks"]]


def test_there_are_experiments() -> None:
    assert {"pod-delete-api", "pod-delete-nginx"} <= {path.stem for path in FILES}


@pytest.fixture(params=FILES, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def test_chaos_toolkit_finds_it_valid(path: Path) -> None:
    ensure_experiment_is_valid(load(path))


def test_it_says_what_it_is_and_what_it_teaches(path: Path) -> None:
    document = load(path)
    assert document["title"]
    assert "teaches" in document["description"].lower()
    assert document["tags"]


def test_its_recorder_is_named_after_the_file_and_knows_the_workload(path: Path) -> None:
    (control,) = load(path)["controls"]
    assert control["provider"]["module"] == "flametest.chaos.controls"
    assert control["provider"]["arguments"]["scenario"] == path.stem
    assert control["provider"]["arguments"]["workload"]


def test_it_limits_what_users_feel_and_how_long_recovery_takes(path: Path) -> None:
    probes = load(path)["steady-state-hypothesis"]["probes"]
    assert "within_limits" in [probe["provider"].get("func") for probe in probes]
    book = parse_limits((FOLDER / "limits.toml").read_text(), "limits.toml", LIMITABLE)
    limits = {limit.criterion for limit in book.of(path.stem)}
    assert {"outage_seconds", "recovery_seconds", "availability"} <= limits


def test_what_lasts_is_healed_in_the_method_after_users_had_time_to_feel_it(path: Path) -> None:
    called = [one["provider"]["func"] for one in load(path)["method"]]
    moments = {"terminate_pods", "inject_container_crash", "inject_memory_hog", "inject_rolling_restart"}
    injects = [one for one in called if one.startswith("inject_")]
    if len(injects) > 1:
        arguments = [one["provider"].get("arguments", {}) for one in load(path)["method"]]
        healed = [name for one in arguments for name in one.get("names", [])]
        assert sorted(healed) == sorted(one["name"] for one in injected_by_name(path))
        assert all(called[called.index(one) + 1] == "observe_fault" for one in injects)
        assert called[-2:] == ["heal_faults", "await_recovery"]
    elif injects and not moments.intersection(called):
        assert called[2:] == ["observe_fault", "heal_faults", "await_recovery"]


def injected_by_name(path: Path) -> list[dict[str, Any]]:
    """Return the arguments of what is injected."""
    providers = [one["provider"] for one in load(path)["method"]]
    return [one["arguments"] for one in providers if one["func"].startswith("inject_")]


def test_every_experiment_is_in_one_large_suite_and_the_default_one_is_short() -> None:
    suites = tomllib.loads((FOLDER / "suites.toml").read_text())
    suites_of_all = ("full", "edges", "resources", "overlap")
    large = [name for suite in suites_of_all for name in suites[suite]["experiments"]]
    assert sorted(large) == sorted(path.stem for path in FILES)
    assert len(suites["core"]["experiments"]) == 5
    assert set(suites["core"]["experiments"]) <= set(suites["full"]["experiments"])


def test_what_it_calls_exists_and_takes_these_arguments(path: Path) -> None:
    for activity in activities(load(path)):
        provider = activity["provider"]
        if provider["type"] == "python":
            function = getattr(importlib.import_module(provider["module"]), provider["func"])
            inspect.signature(function).bind(**provider.get("arguments", {}))


def test_everything_in_it_may_run_and_its_faults_are_selective(path: Path) -> None:
    assert not check_experiment(load(path), Values()).unguarded


def test_a_run_takes_it(path: Path) -> None:
    check_all([load_experiment(path)])


def test_it_names_no_cluster_or_address_of_its_own(path: Path) -> None:
    configuration = load(path)["configuration"]
    assert configuration["entry_url"]["key"] == "FLAMETEST_URL"
    assert configuration["namespace"]["key"] == "FLAMETEST_NAMESPACE"


def test_its_waits_leave_time_for_a_baseline_and_for_a_relapse_but_are_bounded(path: Path) -> None:
    arguments = {one["provider"]["func"]: one["provider"].get("arguments", {}) for one in load(path)["method"]}
    baseline, recovery = arguments["observe_baseline"]["seconds"], arguments["await_recovery"]
    assert baseline >= 3  # the least: both last until their questions are decided
    assert recovery["hold_seconds"] >= 3
    assert recovery["timeout_seconds"] > recovery["hold_seconds"]
    assert baseline + recovery["hold_seconds"] <= SECONDS_MAX
