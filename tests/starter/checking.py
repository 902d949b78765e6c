"""Whether the files that were written for a system are valid, each as those who read it would judge."""

import importlib
import inspect
import json
import tomllib
from typing import Any

from chaoslib.experiment import ensure_experiment_is_valid

from flametest.chaos import gate
from flametest.chaos.values import Values
from flametest.measure.figures import CRITERIA
from flametest.model.limits import parse_limits
from flametest.starter.plan import Plan
from flametest.starter.project import project_files

__all__ = ["check_files"]


def check_files(plan: Plan) -> None:
    """Check what tests/experiments checks of the project's own experiments, and that every other file can be read."""
    files = project_files(plan, (), "")
    written = {
        name.removeprefix("experiments/").removesuffix(".json"): json.loads(text)
        for name, text in files.items()
        if name.endswith(".json")
    }
    assert len(written) == len(plan.experiments), "each has a name of its own"
    book = parse_limits(files["experiments/limits.toml"], "limits.toml", CRITERIA)
    suites = tomllib.loads(files["experiments/suites.toml"])
    assert set(book.scenarios()) <= written.keys()
    assert suites["full"]["experiments"] == [one.name for one in plan.experiments]
    assert set(suites["core"]["experiments"]) <= written.keys()
    assert suites["core"]["experiments"]
    compile(files["loadtests/locustfile.py"], "locustfile.py", "exec")
    for name, one in written.items():
        _check_experiment(name, one)
        assert {limit.criterion for limit in book.of(name)} >= {"outage_seconds", "recovery_seconds", "availability"}


def _check_experiment(name: str, one: dict[str, Any]) -> None:
    ensure_experiment_is_valid(one)  # what `chaos validate` calls
    gate.check_experiment(one, Values())
    assert "teaches" in one["description"].lower()
    arguments = one["controls"][0]["provider"]["arguments"]
    assert arguments["scenario"] == name
    for activity in [*one["steady-state-hypothesis"]["probes"], *one["method"]]:
        provider = activity["provider"]
        if provider["type"] == "python":
            function = getattr(importlib.import_module(provider["module"]), provider["func"])
            inspect.signature(function).bind(**provider.get("arguments", {}))
    called = [step["provider"]["func"] for step in one["method"]]
    assert called[0] == "observe_baseline"
    assert called[2:] in (["await_recovery"], ["observe_fault", "heal_faults", "await_recovery"])
