"""The limits of the running experiment, read from the one file that `flametest run` judges by as well."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flametest.chaos.errors import RecorderError
from flametest.chaos.recorder import Recorder
from flametest.measure.figures import CRITERIA
from flametest.measure.scenario import LIMITABLE
from flametest.model.limits import LIMITS_FILE, parse_limits, parse_override
from flametest.model.verdict import Limit

__all__ = ["judges_steady_state", "scenario_limits"]

_PROBES_MODULE, _STEADY = "flametest.chaos.probes", "steady_seconds"


def scenario_limits(recorder: Recorder) -> tuple[Limit, ...]:
    """Return the limits of the experiment that ``recorder`` records, for the figures that can be measured live.

    Writes are read back, and isolation is judged, when the experiment is over: their limits are for the report alone.

    Raises:
        RecorderError: there is no file of limits.
        LimitsError: it, or FLAMETEST_LIMITS, cannot be understood.
    """
    path = recorder.settings.limits_file or Path(recorder.scenario.experiment).with_name(LIMITS_FILE)
    try:
        text = path.read_text()
    except OSError as error:
        raise RecorderError(
            f"the limits {path} cannot be read: {error.strerror}", "keep limits.toml next to the experiment"
        ) from error
    book = parse_limits(text, path.name, LIMITABLE)
    overrides = [parse_override(one) for one in recorder.settings.limits]
    return tuple(one for one in book.of(recorder.scenario.name, (), overrides) if one.criterion in CRITERIA)


def judges_steady_state(experiment: Mapping[str, Any]) -> bool:
    """Return whether the hypothesis of an experiment asks for the time to steady state itself."""
    hypothesis = experiment.get("steady-state-hypothesis") or {}
    providers = [probe.get("provider") or {} for probe in hypothesis.get("probes") or ()]
    return any((one.get("module"), one.get("func")) == (_PROBES_MODULE, _STEADY) for one in providers)
