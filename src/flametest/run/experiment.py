"""Experiment files, as far as a run has to understand them; Chaos Toolkit itself runs them.

Limits stand in experiments/limits.toml, which the probe `within_limits` of an experiment reads too: what stock
``chaos run`` judges and what ``flametest run`` judges is one figure with one limit, written down once. An experiment
that brings ranges in its own hypothesis instead, such as one from elsewhere, is judged by these.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flametest.measure.scenario import LIMITABLE
from flametest.model.errors import FlametestError
from flametest.model.limits import LimitBook, bound_of, parse_limits
from flametest.model.verdict import Bound, Limit
from flametest.run.project import Project

__all__ = ["Experiment", "ExperimentError", "load_experiment", "read_limits", "recorder_arguments", "suite_files"]

PROBES_MODULE = "flametest.chaos.probes"
RECORDER_MODULE = "flametest.chaos.controls"


class ExperimentError(FlametestError):
    """An experiment or suite file that cannot be used."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """What a run takes from an experiment file.

    Attributes:
        name: the file's stem; names the scenario.
        path: the file.
        title: its title.
        description: its description.
        workload: the workload under fault, from the recorder's arguments.
        entry_path: what the load asks the entry for, likewise; ``/`` stands for the mixture of the load test.
        limits: one for each measured figure that the hypothesis gives a range.
    """

    name: str
    path: Path
    title: str
    description: str
    workload: str
    entry_path: str
    limits: tuple[Limit, ...]


def load_experiment(path: Path) -> Experiment:
    """Read an experiment file.

    Raises:
        ExperimentError: it cannot be read, is no JSON object, or lacks what a measured run needs.
    """
    document = _read(path)
    arguments = recorder_arguments(path, document)
    workload = arguments.get("workload")
    if not isinstance(workload, str) or not workload:
        raise ExperimentError(
            f"{path.name}: the recorder control names no workload",
            'add "workload" to the arguments of the control',
        )
    return Experiment(
        name=path.stem,
        path=path,
        title=_text(path, document, "title"),
        description=_text(path, document, "description"),
        workload=workload,
        entry_path=str(arguments.get("path") or "/"),
        limits=tuple(_limits(path, document)),
    )


def suite_files(project: Project, suite: str) -> list[Path]:
    """Return the experiment files of a suite, in their order.

    Raises:
        ExperimentError: the suite is not in experiments/suites.toml, or names a file that does not exist.
    """
    try:
        suites = tomllib.loads(project.suites_file.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ExperimentError(f"{project.suites_file.name} cannot be read: {error}", "mend the file") from error
    entry = suites.get(suite)
    if not isinstance(entry, dict) or not entry.get("experiments"):
        raise ExperimentError(f"no suite is called {suite!r}", f"use one of: {', '.join(sorted(suites))}")
    files = [project.experiments / f"{name}.json" for name in entry["experiments"]]
    for file in files:
        if not file.is_file():
            raise ExperimentError(f"suite {suite!r} names {file.name}, which does not exist", "mend suites.toml")
    return files


def read_limits(path: Path) -> LimitBook:
    """Read a file of limits; one that does not exist limits nothing.

    Raises:
        LimitsError: it cannot be understood.
        ExperimentError: it cannot be read.
    """
    try:
        text = path.read_text()
    except FileNotFoundError:
        text = ""
    except OSError as error:
        raise ExperimentError(f"{path} cannot be read: {error.strerror}", "make it readable") from error
    return parse_limits(text, path.name, LIMITABLE)


def _read(path: Path) -> Mapping[str, Any]:
    try:
        document = json.loads(path.read_text())
    except OSError as error:
        raise ExperimentError(
            f"experiment {path} cannot be read: {error.strerror}", "name a file of experiments/"
        ) from error
    except ValueError as error:
        raise ExperimentError(f"experiment {path} is no JSON: {error}", "mend the file at that place") from error
    if not isinstance(document, dict):
        raise ExperimentError(f"experiment {path} holds no JSON object", "see experiments/ for examples")
    return document


def _text(path: Path, document: Mapping[str, Any], key: str) -> str:
    value = document.get(key)
    if not isinstance(value, str) or not value:
        raise ExperimentError(f"{path.name} has no {key}", f'add a "{key}" to the experiment')
    return value


def recorder_arguments(path: Path, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the arguments of an experiment's recorder control.

    Raises:
        ExperimentError: it has none.
    """
    for control in _objects(document.get("controls")):
        provider = control.get("provider")
        if isinstance(provider, dict) and provider.get("module") == RECORDER_MODULE:
            arguments = provider.get("arguments", {})
            return arguments if isinstance(arguments, dict) else {}
    raise ExperimentError(
        f"{path.name} has no recorder control, so it cannot be measured",
        f"add a control with the module {RECORDER_MODULE}; see experiments/pod-delete-api.json",
    )


def _limits(path: Path, document: Mapping[str, Any]) -> Iterable[Limit]:
    hypothesis = document.get("steady-state-hypothesis")
    probes = hypothesis.get("probes") if isinstance(hypothesis, dict) else None
    for probe in _objects(probes):
        provider, tolerance = probe.get("provider"), probe.get("tolerance")
        if not isinstance(provider, dict) or provider.get("module") != PROBES_MODULE:
            continue
        if isinstance(tolerance, dict) and tolerance.get("type") == "range":
            yield _limit(path, str(provider.get("func")), tolerance.get("range"))


def _limit(path: Path, criterion: str, bounds: Any) -> Limit:
    numbers = isinstance(bounds, list) and all(type(bound) in (int, float) for bound in bounds)
    if not numbers or len(bounds) != 2:
        raise ExperimentError(f"{path.name}: the range of {criterion} is not two numbers", "write [low, high]")
    low, high = bounds
    bound = bound_of(criterion)
    return Limit(criterion, bound, float(low if bound is Bound.AT_LEAST else high), f"experiments/{path.name}")


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
