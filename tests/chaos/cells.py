"""Every place in which Chaos Toolkit runs code, times every way in which it can act: a matrix of experiments.

Each cell would touch a victim if it ran: a file, an address that only counts, or a pod of a namespace that has given
no consent. The same cells without the recorder do touch it, which shows that they are no straw men.
"""

import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["ACTING", "CONTROL_PLACES", "Cell", "Victim", "base", "cells", "recorder"]

Object = dict[str, Any]

ACTING = """
from pathlib import Path


def act(path, value=None):
    Path(path).touch()
    return True
"""
_LEVELS = ("experiment", "hypothesis", "method", "rollback", "activity")
_HOOKS = (
    *("configure_control", "validate_control", "cleanup_control"),
    *(f"{when}_{level}_control" for when in ("before", "after") for level in _LEVELS),
)


@dataclass(frozen=True)
class Victim:
    """What must not be touched: a file, and an address whose server counts what is not a GET."""

    file: Path
    url: str

    def control_module(self) -> str:
        """Return a module that touches the file in every hook that a control has, those of the loader left out."""
        head = "from pathlib import Path\n\n\ndef _touch(*_, **__):\n"
        return head + f"    Path({str(self.file)!r}).touch()\n\n\n" + "\n".join(f"{hook} = _touch" for hook in _HOOKS)


@dataclass(frozen=True)
class Cell:
    """One experiment: where it would act, by what, and what ``chaos run`` is given beside it."""

    place: str
    provider: str
    document: Object
    options: tuple[str, ...] = ()
    settings: Object = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return a name that a file can have."""
        return f"{self.place}-{self.provider}"


def recorder(**more: Any) -> Object:
    """Return the recorder control."""
    arguments = {"scenario": "cell", "workload": "api", **more}
    return {
        "name": "recorder",
        "provider": {"type": "python", "module": "flametest.chaos.controls", "arguments": arguments},
    }


def base(url: str) -> Object:
    """Return an experiment that looks at the entry and does nothing else."""
    look = {"type": "probe", "name": "look", "provider": {"type": "http", "url": f"{url}/"}}
    return {
        "title": "A cell",
        "description": "What it would do is in its name.",
        "configuration": {"harmless": "text"},
        "controls": [],
        "steady-state-hypothesis": {"title": "It answers", "probes": [look | {"name": "entry", "tolerance": 200}]},
        "method": [look],
        "rollbacks": [],
    }


def providers(victim: Victim) -> dict[str, Object]:
    """Return a provider of each type that acts."""
    return {
        "process": {"type": "process", "path": "touch", "arguments": {str(victim.file): ""}},
        "http-post": {"type": "http", "url": f"{victim.url}/victim", "method": "POST", "arguments": {"a": "b"}},
        "http-delete": {"type": "http", "url": f"{victim.url}/victim", "method": "delete", "arguments": {"a": "b"}},
        "extension": {
            "type": "python",
            "module": "chaosk8s.pod.actions",
            "func": "terminate_pods",
            "arguments": {"ns": "prod", "name_pattern": "api", "qty": 1},
        },
        "module": {"type": "python", "module": "acting", "func": "act", "arguments": {"path": str(victim.file)}},
    }


def _method(kind: str, **more: Any) -> Callable[[Object, Object], None]:
    return lambda document, provider: document["method"].append(_activity(kind, provider) | more)


def _rollbacks(kind: str) -> Callable[[Object, Object], None]:
    return lambda document, provider: document["rollbacks"].append(_activity(kind, provider))


def _referred(document: Object, provider: Object) -> None:
    document["method"] += [_activity("action", provider), {"ref": "act"}]
    document["rollbacks"].append({"ref": "act"})


def _hypothesis(document: Object, provider: Object) -> None:
    document["steady-state-hypothesis"]["probes"].append(_activity("probe", provider) | {"tolerance": True})


def _tolerance(document: Object, provider: Object) -> None:
    document["steady-state-hypothesis"]["probes"][0]["tolerance"] = _activity("probe", provider)


def _filled_tolerance(document: Object, provider: Object) -> None:
    document["steady-state-hypothesis"]["probes"][0]["tolerance"] = "${bound}"
    document["secrets"] = {"some": {"bound": _activity("probe", provider)}}


def _configuration(document: Object, provider: Object) -> None:
    document["configuration"]["dynamic"] = _activity("probe", provider)


def _loaded_configuration(document: Object, provider: Object) -> None:
    text = json.dumps(_activity("probe", provider))
    entry = {"type": "env", "key": "NOT_SET_ANYWHERE", "env_var_type": "json", "default": text}
    document["configuration"]["dynamic"] = entry


def _activity(kind: str, provider: Object) -> Object:
    return {"type": kind, "name": "act", "provider": deepcopy(provider)}


ACTIVITY_PLACES: dict[str, Callable[[Object, Object], None]] = {
    "method-action": _method("action"),
    "method-probe": _method("probe"),
    "method-background": _method("action", background=True),
    "method-ref": _referred,
    "rollbacks-action": _rollbacks("action"),
    "rollbacks-probe": _rollbacks("probe"),
    "hypothesis": _hypothesis,
    "tolerance": _tolerance,
    "tolerance-filled": _filled_tolerance,
    "configuration": _configuration,
    "configuration-loaded": _loaded_configuration,
}
CONTROL: Object = {"name": "mine", "provider": {"type": "python", "module": "acting_control"}}
CONTROL_PLACES: dict[str, Callable[[Object], None]] = {
    "control-first": lambda document: document["controls"].insert(0, CONTROL),
    "control-last": lambda document: document["controls"].append(CONTROL),
    "control-of-hypothesis": lambda document: document["steady-state-hypothesis"].update(controls=[CONTROL]),
    "control-of-activity": lambda document: document["method"][0].update(controls=[CONTROL]),
    "control-shadowing": lambda document: document["method"][0].update(controls=[CONTROL | {"name": "recorder"}]),
}


def cells(victim: Victim, entry: str, *, measured: bool) -> Iterator[Cell]:
    """Yield every cell.

    Args:
        victim: what they would touch.
        entry: address of the system's entry.
        measured: whether the experiments have the recorder control.
    """
    empty = base(entry)
    empty["controls"] = [recorder()] if measured else []
    for kind, provider in providers(victim).items():
        for place, put in ACTIVITY_PLACES.items():
            document = deepcopy(empty)
            put(document, provider)
            yield Cell(place, kind, document, ("--rollback-strategy", "always"))
        variables = json.dumps({"configuration": {"harmless": _activity("probe", provider)}})
        yield Cell("var-file", kind, deepcopy(empty), ("--var-file", "vars.json"), files={"vars.json": variables})
    for place, add in CONTROL_PLACES.items():
        document = deepcopy(empty)
        add(document)
        yield Cell(place, "control", document)
    named = {"mine": {"provider": CONTROL["provider"]}}
    yield Cell("settings", "control", deepcopy(empty), settings={"controls": named})
    file = {"controls.json": json.dumps(named)}
    yield Cell("control-file", "control", deepcopy(empty), ("--control-file", "controls.json"), files=file)
