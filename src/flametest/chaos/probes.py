"""The measured figures of the running experiment, for its steady-state hypothesis to judge.

    {"type": "probe", "name": "every-figure-is-within-its-limit",
     "tolerance": {"type": "regex", "target": "verdict", "pattern": "^held$"},
     "provider": {"type": "python", "module": "flametest.chaos.probes", "func": "within_limits"}}

The limits stand in limits.toml beside the experiment. The single figures are probes too, for an experiment that
brings ranges of its own.

Chaos Toolkit evaluates a tolerance in the hypothesis only, before the method and after it; so that is where they
stand. Nothing is computed here: `flametest.measure` reads the record as far as it has grown, with the functions that
also make the report. Before a fault a figure covers the time so far. After it, one that could not be measured is
an error, never a number.
"""

import logging
from typing import Any

from flametest.chaos import session
from flametest.chaos.errors import RecorderError
from flametest.chaos.limits import scenario_limits
from flametest.chaos.record import read_record
from flametest.chaos.recorder import Recorder
from flametest.measure.figures import Figure, figures
from flametest.measure.objectives import Objectives
from flametest.model.verdict import Bound, Limit

__all__ = [
    "availability",
    "max_over_mean",
    "outage_seconds",
    "p95_ms",
    "recovery_seconds",
    "steady_seconds",
    "within_limits",
    "workload_ready",
]

logger = logging.getLogger("chaostoolkit")

# What cannot be known before a fault without speaking against the system: too few requests to compare pods by.
_KNOWN_LATE = frozenset({"max_over_mean"})


def workload_ready(workload: str) -> bool:
    """Return whether a Deployment or StatefulSet has as many ready pods as it wants, none of which is going."""
    recorder = session.current()
    ready = recorder.is_ready(workload)
    if not ready:
        logger.error(recorder.readiness(workload))
    return ready


def within_limits() -> dict[str, Any]:
    """Judge every figure by its limit of limits.toml; limits that are missed are told in the log.

    Before a fault the figures are those of the time so far. A figure that needs more requests than there were is told
    and not judged; `flametest run` finds it inconclusive.

    Returns:
        For the journal and the tolerance: the ``verdict``, held or missed, with the ``figures`` and the ``limits``.

    Raises:
        RecorderError: a figure could not be measured.
        LimitsError: the limits cannot be read.
    """
    recorder = session.current()
    history, samples = read_record(recorder.folder)
    measured = figures(history, samples, recorder.scenario.workload, Objectives()).by_name
    limits = scenario_limits(recorder)
    held = [_keeps(measured[limit.criterion], limit, recorder.injected) for limit in limits]
    return {
        "verdict": "held" if all(held) else "missed",
        "figures": {limit.criterion: measured[limit.criterion].value for limit in limits},
        "limits": {limit.criterion: f"{limit.bound} {limit.value:g}" for limit in limits},
    }


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


def _keeps(figure: Figure, limit: Limit, injected: bool) -> bool:
    told = f"{limit.criterion}: {limit.bound} {limit.value:g}"
    if figure.value is not None and figure.above is None:
        held = limit.holds(figure.value)
        (logger.debug if held else logger.error)(f"{told}, found {figure.value:.4g}")
        return held
    if figure.above is not None:
        held = limit.bound is Bound.AT_MOST and limit.holds(figure.above)
        (logger.warning if held else logger.error)(f"{told}, found more than {figure.above:.4g}: {figure.note}")
        return held
    if not injected:
        is_late = limit.criterion in _KNOWN_LATE
        (logger.debug if is_late else logger.error)(f"{told}, not known: {figure.note}")
        return is_late
    raise RecorderError(
        f"{limit.criterion} could not be measured: {figure.note}; the limit is {limit.bound} {limit.value:g}",
        "see the record's history",
    )


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
