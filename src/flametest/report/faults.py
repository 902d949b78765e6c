"""Several faults of a scenario, each by itself: when, how proved, what users felt of it, and the recovery from it."""

from flametest.model.faults import FaultFigures
from flametest.model.result import ScenarioResult
from flametest.report.format import figure, signed_seconds
from flametest.report.tables import Table

__all__ = ["FAULT_COLUMNS", "fault_rows", "fault_tables"]

FAULT_COLUMNS = ("fault", "what", "injected at", "proved", "healed at", "felt for", "together with")
_NOT_SEEN = "not seen"


def fault_tables(scenario: ScenarioResult) -> tuple[Table, ...]:
    """Return a table of the faults, and one of their stages; empty where there was one fault."""
    if not scenario.faults:
        return ()
    return (
        Table("faults", "Each fault separately", FAULT_COLUMNS, fault_rows(scenario), _NOTE),
        _stages(scenario.faults),
    )


_NOTE = (
    "Times count from the first injection. The outage of a fault counts from its own injection to the next event after "
    "its healing; where faults overlap, it cannot be attributed to one of them."
)


def fault_rows(scenario: ScenarioResult) -> tuple[tuple[str, ...], ...]:
    """Return a row for each fault, in the order of injection; see `FAULT_COLUMNS`."""
    return tuple(
        (
            one.name,
            f"{one.fault.replace('_', ' ')} on {', '.join(f'{target.kind} {target.name}' for target in one.targets)}",
            _moment(one.injected_seconds, one.uncertainty_seconds),
            _proof(one),
            "was not healed" if one.healed_seconds is None else signed_seconds(one.healed_seconds),
            _felt(one),
            ", ".join(one.together_with) or "none",
        )
        for one in scenario.faults
    )


def _moment(seconds: float, uncertainty: float) -> str:
    return f"{signed_seconds(seconds)} ± {figure(uncertainty, 's')}" if uncertainty else signed_seconds(seconds)


def _proof(one: FaultFigures) -> str:
    word = {True: "yes", False: "no", None: "unknown"}[one.proved]
    return f"{word}: {one.evidence}"


def _felt(one: FaultFigures) -> str:
    if one.outage is None:
        return "not watched"
    if one.outage.total is None:
        return "not felt"
    total = one.outage.total
    text = figure(total.midpoint, "s", uncertainty=total.uncertainty or None)
    return text if one.outage.recovered else f"{text}, until the next turn"


def _stages(faults: tuple[FaultFigures, ...]) -> Table:
    """Return the stages of all faults, a column each, in seconds from its own injection."""
    names = {stage.name: stage.title for one in faults for stage in one.stages}
    rows = tuple((title, *(_stage(one, name) for one in faults)) for name, title in names.items())
    columns = ("stage", *(f"from {one.name}" for one in faults))
    return Table("fault-stages", "Recovery from each fault, from its own injection", columns, rows)


def _stage(one: FaultFigures, name: str) -> str:
    found = next((stage for stage in one.stages if stage.name == name), None)
    if found is None or found.seconds is None:
        return f"{_NOT_SEEN}{f' ({found.detail})' if found is not None and found.detail else ''}"
    detail = f" ({found.detail})" if found.detail else ""
    return f"{figure(found.seconds, 's')}{detail}"
