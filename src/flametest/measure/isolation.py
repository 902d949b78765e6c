"""Isolation: whether pods that are to admit their clients only kept out one that is none.

Each attempt of the intruder has one of three outcomes: connected, failed, unknown. The figure is the number of those
that connected; an unknown one cannot be counted as kept out, so without any that connected it leaves the figure open.
"""

from collections.abc import Sequence

from flametest.measure.figures import Figure
from flametest.model.events import ConnectionTried, FaultInjected
from flametest.model.history import History
from flametest.model.verdict import Bound, Criterion, Limit, judge

__all__ = ["ISOLATION_CRITERION", "ISOLATION_LIMIT", "isolation_criterion", "isolation_figure"]

ISOLATION_CRITERION = ("connections_admitted", "Connections that isolation let through", "count")
"""Name, title and unit."""

ISOLATION_LIMIT = Limit("connections_admitted", Bound.AT_MOST, 0.0, "the promise of a NetworkPolicy")
"""Gates every scenario with an intruder, unless another limit is set."""

_INTRUSION = "intrusion"


def isolation_criterion(history: History, limits: Sequence[Limit]) -> Criterion | None:
    """Judge what an intruder got through; None of a scenario without one."""
    if not any(event.fault == _INTRUSION for event in history.of(FaultInjected)):
        return None
    name, title, unit = ISOLATION_CRITERION
    limit = next((one for one in limits if one.criterion == name), ISOLATION_LIMIT)
    figure = isolation_figure(history.of(ConnectionTried))
    reason = figure.note
    if figure.value is None:
        reason = f"not measured: {figure.note}; {limit.value:g} were allowed"
    return Criterion(name, title, unit, figure.value, None, limit, judge(figure.value, limit), reason)


def isolation_figure(tried: Sequence[ConnectionTried]) -> Figure:
    """Return the number of attempts that connected, with what was tried in words; no number where that is open."""
    made = _places(tried, "connected")
    unknown = _places(tried, "unknown")
    if made:
        return Figure(float(len(made)), note=f"{tried[0].source} connected to {', '.join(made)}")
    if unknown:
        return Figure(None, note=f"{tried[0].source} could not be asked to connect to {', '.join(unknown)}")
    if not tried:
        return Figure(None, note="no connection was tried")
    return Figure(0.0, note=f"{tried[0].source} could not connect to {', '.join(_places(tried, 'failed'))}")


def _places(tried: Sequence[ConnectionTried], outcome: str) -> list[str]:
    return [f"{one.destination}:{one.port}" for one in tried if one.outcome == outcome]
