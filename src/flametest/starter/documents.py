"""An experiment as Chaos Toolkit reads it: from a dataclass to a JSON object. Pure.

Every experiment has the same four parts: the recorder, a steady state that is judged before and after, a method of
baseline, fault and recovery, and no rollbacks, since the recorder heals in every case.
Format: https://chaostoolkit.org/reference/api/experiment/
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Call", "Experiment", "document"]

ACTIONS = "flametest.chaos.actions"
PROBES = "flametest.chaos.probes"
CONTROLS = "flametest.chaos.controls"
BASELINE_SECONDS = 3  # at least, and until the system is known to be healthy
FAULT_SECONDS = 8
HOLD_SECONDS = 3  # at least, and until the questions of the limits are decided
RECOVERY_SECONDS_MAX = 120  # images are there already; a busy cluster may still take long to schedule
ENTRY_SECONDS_MAX = 5
# Where users enter is not known: a name that never resolves (RFC 2606), so that nobody else is asked in its place.
UNKNOWN_URL = "http://name-the-entry-by-FLAMETEST_URL.invalid"

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A Python function that an activity calls."""

    name: str
    func: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    module: str = ACTIONS

    def activity(self, kind: str = "action") -> Object:
        """Return the activity; ``kind`` is action or probe."""
        provider: Object = {"type": "python", "module": self.module, "func": self.func}
        if self.arguments:
            provider["arguments"] = dict(self.arguments)
        return {"type": kind, "name": self.name, "provider": provider}


@dataclass(frozen=True, slots=True)
class Experiment:
    """One experiment.

    Attributes:
        name: names its file and its scenario.
        title, description: what it claims, and what it teaches.
        tags: for people.
        namespace, url: defaults where the environment names none; the URL is empty where it is not known.
        workload: the one that the fault hits, whose recovery is measured.
        ready: the workloads that have to be whole before and after, that one among them.
        path: what prober and load ask the entry for.
        fault: what injects; None for a control.
        lasts: whether the fault lasts until it is healed.
        pods_share_max: the share of a controller's pods that may be hit; None for the usual half.
        limits: what it promises, by criterion.
    """

    name: str
    title: str
    description: str
    tags: tuple[str, ...]
    namespace: str
    url: str
    workload: str
    ready: tuple[str, ...]
    path: str
    fault: Call | None
    lasts: bool
    limits: Mapping[str, float]
    pods_share_max: float | None = None


def document(experiment: Experiment) -> Object:
    """Return an experiment as Chaos Toolkit reads it."""
    return {
        "title": experiment.title,
        "description": experiment.description,
        "tags": list(experiment.tags),
        "configuration": {
            "entry_url": {"type": "env", "key": "FLAMETEST_URL", "default": experiment.url or UNKNOWN_URL},
            "namespace": {"type": "env", "key": "FLAMETEST_NAMESPACE", "default": experiment.namespace},
        },
        "controls": [_recorder(experiment)],
        "steady-state-hypothesis": {
            "title": "Users are served by a healthy system",
            "probes": [*map(_whole, experiment.ready), _answers(experiment.path), _within_limits()],
        },
        "method": [step.activity() for step in _method(experiment)],
        "rollbacks": [],
    }


def _recorder(experiment: Experiment) -> Object:
    arguments: Object = {"scenario": experiment.name, "workload": experiment.workload}
    if experiment.path != "/":
        arguments["path"] = experiment.path
    if experiment.pods_share_max is not None:
        arguments["pods_share_max"] = experiment.pods_share_max
    return {"name": "recorder", "provider": {"type": "python", "module": CONTROLS, "arguments": arguments}}


def _whole(workload: str) -> Object:
    call = Call(f"every-{workload}-pod-is-ready", "workload_ready", {"workload": workload}, PROBES)
    return call.activity("probe") | {"tolerance": True}


def _answers(path: str) -> Object:
    provider = {"type": "http", "url": f"${{entry_url}}{path}", "timeout": ENTRY_SECONDS_MAX}
    return {"type": "probe", "name": "the-entry-answers", "tolerance": 200, "provider": provider}


def _within_limits() -> Object:
    call = Call("every-figure-is-within-its-limit", "within_limits", module=PROBES)
    return call.activity("probe") | {"tolerance": {"type": "regex", "target": "verdict", "pattern": "^held$"}}


def _method(experiment: Experiment) -> list[Call]:
    last = [
        Call("let-the-fault-last", "observe_fault", {"seconds": FAULT_SECONDS}),
        Call("heal-the-fault", "heal_faults"),
    ]
    return [
        Call("observe-the-baseline", "observe_baseline", {"seconds": BASELINE_SECONDS}),
        experiment.fault or Call("inject-nothing", "begin_control"),
        *(last if experiment.lasts else []),
        Call(
            "wait-for-recovery",
            "await_recovery",
            {"timeout_seconds": RECOVERY_SECONDS_MAX, "hold_seconds": HOLD_SECONDS},
        ),
    ]
