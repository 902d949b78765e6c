"""The measured figures of the running experiment, for its steady-state hypothesis to judge.

    {"type": "probe", "name": "users-felt-no-long-outage", "tolerance": {"type": "range", "range": [0, 3]},
     "provider": {"type": "python", "module": "flametest.chaos.probes", "func": "outage_seconds"}}

Chaos Toolkit evaluates a tolerance in the hypothesis only, before the method and after it; so that is where they
stand. Nothing is computed here: `flametest.measure` reads the record as far as it has grown, with the functions that
also make the report. Before a fault a figure covers the time so far. After it, one that could not be measured is
an error, never a number.
"""

from flametest.chaos import session
from flametest.chaos.errors import RecorderError
from flametest.chaos.record import read_record
from flametest.chaos.recorder import Recorder
from flametest.measure.figures import Figure, figures
from flametest.measure.objectives import Objectives

__all__ = [
    "availability",
    "max_over_mean",
    "outage_seconds",
    "p95_ms",
    "recovery_seconds",
    "steady_seconds",
    "workload_ready",
]


def workload_ready(workload: str) -> bool:
    """Return whether a Deployment or StatefulSet has as many ready pods as it wants, none of which is going."""
    return session.current().is_ready(workload)


def outage_seconds() -> float:
    """Return how long users felt an outage, in seconds: the middle of its bracket; 0 without a bad sample."""
    return _figure("outage_seconds")


def recovery_seconds() -> float:
    """Return the seconds from the injection until the ready count was back; 0 before a fault."""
    return _figure("recovery_seconds")


def steady_seconds() -> float:
    """Return the seconds from the injection until service was steady again; 0 before a fault."""
    return _figure("steady_seconds")


def availability() -> float:
    """Return the share of requests that were answered well, between 0 and 1; after a fault, of those since then."""
    return _figure("availability")


def p95_ms() -> float:
    """Return the 95th percentile of latency in milliseconds, from the intended start."""
    return _figure("p95_ms")


def max_over_mean() -> float:
    """Return the busiest pod's rate of requests over the mean: 1 when all serve alike.

    Before a fault, too few requests to compare pods by count as even: nothing speaks against it yet.
    """
    if not session.current().injected:
        return _figure("max_over_mean", unknown=1.0)
    return _figure("max_over_mean")


def _figure(name: str, unknown: float | None = None) -> float:
    figure = _measure(session.current(), name)
    value = unknown if figure.value is None else figure.value
    if value is None:
        above = "" if figure.above is None else f", it is over {figure.above:.3g}"
        raise RecorderError(f"{name} could not be measured{above}: {figure.note}", "see the record's history")
    return value


def _measure(recorder: Recorder, name: str) -> Figure:
    """Return one figure of the record as far as it has grown."""
    history, samples = read_record(recorder.folder)
    return figures(history, samples, recorder.scenario.workload, Objectives()).by_name[name]
