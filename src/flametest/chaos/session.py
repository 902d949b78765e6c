"""The one recorder of this process, where controls, actions and probes of the running experiment meet.

Chaos Toolkit runs one experiment a process and hands its controls, actions and probes no common state. The recorder
control begins the session and ends it.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from flametest.chaos.errors import NoRecorderError
from flametest.chaos.harmwatch import HarmWatch
from flametest.chaos.injections import ExperimentFaults, Faults
from flametest.chaos.recorder import Recorder
from flametest.faults.healing import Healing

__all__ = ["arm", "armed", "begin", "current", "end", "faults", "is_armed", "previewing"]

REMEDY = "add the control flametest.chaos.controls to the experiment's controls"

_current: Recorder | None = None
_faults: ExperimentFaults | None = None
_preview: Faults | None = None
_watch: HarmWatch | None = None


def begin(recorder: Recorder) -> None:
    """Make ``recorder`` the current one; it need not have started yet."""
    global _current, _faults, _watch
    _current, _faults, _watch = recorder, None, None


def arm(injecting: ExperimentFaults, watch: HarmWatch) -> None:
    """Let actions inject from now on, and watch what users suffer."""
    global _faults, _watch
    _faults, _watch = injecting, watch
    watch.start()


def current() -> Recorder:
    """Return the recorder of the running experiment.

    Raises:
        NoRecorderError: there is none.
    """
    if _current is None:
        raise NoRecorderError("no recorder runs, so nothing is measured", REMEDY)
    return _current


def is_armed() -> bool:
    """Return whether an experiment runs, and its faults would be healed."""
    return _faults is not None


def armed() -> ExperimentFaults:
    """Return what guards the running experiment, and heals it.

    Raises:
        NoRecorderError: there is none.
    """
    if _faults is None:
        raise NoRecorderError("no recorder runs, so no fault could be healed", REMEDY)
    return _faults


def faults() -> Faults:
    """Return what an action injects by: the running experiment's, or that of a preview.

    Raises:
        NoRecorderError: there is none.
    """
    return armed() if _preview is None else _preview


@contextmanager
def previewing(faults: Faults) -> Iterator[None]:
    """Let actions only show what they would do, while the block runs."""
    global _preview  # noqa: PLW0603 (see the module's head)
    _preview = faults
    try:
        yield
    finally:
        _preview = None


def end(status: str, deviated: bool) -> tuple[Healing, ...]:
    """Heal, then stop the current recorder, if there is one; see `Recorder.stop`. Return what became of the faults."""
    global _current, _faults, _watch
    try:
        if _watch is not None:
            _watch.stop()
        return _faults.heal() if _faults is not None else ()
    finally:
        recorder, _current, _faults, _watch = _current, None, None, None
        if recorder is not None:
            recorder.stop(status, deviated)
