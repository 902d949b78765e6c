"""Experiment files, as far as a run has to understand them; Chaos Toolkit itself runs them.

Limits stand in experiments/limits.toml, which the probe `within_limits` of an experiment reads too: what stock
``chaos run`` judges and what ``flametest run`` judges is one figure with one limit, written down once. An experiment
that brings ranges in its own hypothesis instead, such as one from elsewhere, is judged by these.
"""

import json
import math
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from flametest.chaos.radius import read_limits as read_radius
from flametest.measure.scenario import LIMITABLE
from flametest.model.errors import FlametestError
from flametest.model.limits import LimitBook, bound_of, parse_limits
from flametest.model.verdict import Bound, Limit
from flametest.run.project import Project

__all__ = [
    "SUFFIXES",
    "Experiment",
    "ExperimentError",
    "experiment_file",
    "load_experiment",
    "named_file",
    "read_document",
    "read_limits",
    "recorder_arguments",
    "refuse_equal_names",
    "suite_files",
]

SUFFIXES = (".json", ".yaml", ".yml")
"""What Chaos Toolkit takes for an experiment file, and by which it decides how to read one."""


PROBES_MODULE = "flametest.chaos.probes"
RECORDER_MODULE = "flametest.chaos.controls"


class ExperimentError(FlametestError):
    """An experiment or suite file that cannot be used."""


_ACTION_SECONDS: Mapping[str, float] = MappingProxyType(
    {
        "inject_edge": 6.0,
        "inject_fault_proxy": 6.0,
        "inject_intrusion": 7.0,
        "inject_new_version": 4.0,
        "inject_node_drain": 4.0,
        "inject_node_loss": 6.0,
        "inject_rolling_restart": 4.0,
    }
)
"""How long actions take that take long by themselves, as measured on the sandbox."""


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
        namespaces: in which it may hit something besides that of the system, from the recorder's arguments.
        planned_seconds: about how long its method lasts, by the seconds and pauses in it and by what its actions take.
        can_wait: whether Chaos Toolkit, started before the experiment may begin, asks nothing of the system until then:
            there is no dynamic configuration and no control but the recorder.
    """

    name: str
    path: Path
    title: str
    description: str
    workload: str
    entry_path: str
    limits: tuple[Limit, ...]
    namespaces: frozenset[str] = frozenset()
    planned_seconds: float = 0.0
    can_wait: bool = True


def load_experiment(path: Path) -> Experiment:
    """Read an experiment file.

    Raises:
        ExperimentError: it cannot be read, holds no object, or lacks what a measured run needs.
    """
    if not path.stem.isprintable():
        raise ExperimentError(f"the name of the experiment {str(path)!r} is not printable", "rename the file")
    document = read_document(path)
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
        namespaces=_namespaces(path, arguments),
        planned_seconds=_planned_seconds(document),
        can_wait=_can_wait(document),
    )


def _namespaces(path: Path, arguments: Mapping[str, Any]) -> frozenset[str]:
    try:
        return read_radius(arguments).namespaces
    except ValueError as error:
        raise ExperimentError(
            f"{path.name}: the recorder control: {error}", "fix the arguments of the recorder control"
        ) from error


def _planned_seconds(document: Mapping[str, Any]) -> float:
    """Return the sum of the numbers given as seconds, and of what actions take; what a variable holds is left out."""
    given: list[Any] = []
    for step in _objects(document.get("method")):
        provider, pauses = step.get("provider"), step.get("pauses")
        arguments = provider.get("arguments") if isinstance(provider, dict) else None
        given.append(arguments.get("seconds") if isinstance(arguments, dict) else None)
        given.append(_ACTION_SECONDS.get(str(provider.get("func"))) if isinstance(provider, dict) else None)
        given += pauses.values() if isinstance(pauses, dict) else ()
    return math.fsum(one for one in given if type(one) in (int, float) and 0 < one < math.inf)


def _can_wait(document: Mapping[str, Any]) -> bool:
    configuration = document.get("configuration")
    entries = configuration.values() if isinstance(configuration, dict) else ()
    asks = any(isinstance(entry, dict) and entry.get("type") == "probe" for entry in entries)
    return not asks and len(_objects(document.get("controls"))) == 1


def suite_files(project: Project, suite: str) -> list[Path]:
    """Return the experiment files of a suite, in their order.

    Raises:
        ExperimentError: the suite is not in experiments/suites.toml, or names a file that does not exist.
    """
    try:
        suites = tomllib.loads(project.suites_file.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ExperimentError(f"{project.suites_file.name} cannot be read: {error}", "fix the file") from error
    entry = suites.get(suite)
    if not isinstance(entry, dict) or not entry.get("experiments"):
        raise ExperimentError(f"no suite is called {suite!r}", f"use one of: {', '.join(sorted(suites))}")
    names = [str(name) for name in entry["experiments"]]
    files = [(name, experiment_file(project.experiments, name)) for name in names]
    for name, file in files:
        if file is None:
            raise ExperimentError(f"suite {suite!r} names {name}.json, which does not exist", "fix suites.toml")
    return [file for _, file in files if file is not None]


def experiment_file(folder: Path, name: str) -> Path | None:
    """Return the experiment called ``name`` in a folder, in whichever format it is written; None when there is none."""
    return next((file for suffix in SUFFIXES if (file := folder / f"{name}{suffix}").is_file()), None)


def named_file(project: Project, given: Path) -> Path:
    """Return the file that a user names: its path, or the name of an experiment of the project without an ending.

    Raises:
        ExperimentError: it is neither.
    """
    if given.is_file() or given.suffix in SUFFIXES or given.name != str(given):
        return given
    found = experiment_file(project.experiments, given.name)
    if found is None:
        names = sorted({one.stem for one in project.experiments.glob("*") if one.suffix in SUFFIXES})
        raise ExperimentError(
            f"no experiment is called {given.name!r}",
            f"name a file, or one of: {', '.join(names)}" if names else "name a file",
        )
    return found


def refuse_equal_names(experiments: Sequence[Experiment]) -> None:
    """Refuse experiments of one name: results, limits and folders of a run are told apart by it.

    Raises:
        ExperimentError: two files have one name; the message tells both.
    """
    first: dict[str, Path] = {}
    for one in experiments:
        if one.name in first:
            raise ExperimentError(
                f"two experiments are called {one.name!r}: {first[one.name]} and {one.path}",
                "name each once, and rename one of two different files; --trials repeats an experiment",
            )
        first[one.name] = one.path


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


def read_document(path: Path) -> Mapping[str, Any]:
    """Return what stands in an experiment file, read as Chaos Toolkit reads it.

    Raises:
        ExperimentError: it cannot be read, or holds no object.
    """
    if path.suffix not in SUFFIXES:
        raise ExperimentError(
            f"experiment {path} is not called *.json, *.yaml or *.yml, so Chaos Toolkit does not read it", "rename it"
        )
    kind = "JSON" if path.suffix == ".json" else "YAML"
    try:
        document = _parsed(path, kind)
    except UnicodeDecodeError as error:
        raise ExperimentError(f"experiment {path} is no UTF-8: {error}", "save it as UTF-8") from error
    except OSError as error:
        raise ExperimentError(
            f"experiment {path} cannot be read: {error.strerror}", "name a file of experiments/"
        ) from error
    except (ValueError, RecursionError) as error:
        raise ExperimentError(
            f"experiment {path} is no {kind}: {' '.join(str(error).split())}", "fix the file at that place"
        ) from error
    if not isinstance(document, dict):
        raise ExperimentError(f"experiment {path} holds no {kind} object", "see experiments/ for examples")
    return document


def _parsed(path: Path, kind: str) -> Any:
    text = path.read_text(encoding="utf-8")
    if kind == "JSON":
        return json.loads(text)
    import yaml  # noqa: PLC0415 (only who reads YAML needs it)

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from error


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
