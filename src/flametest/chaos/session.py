"""The one recorder of this process, where controls, actions and probes of the running experiment meet.

Chaos Toolkit runs one experiment a process and hands its controls, actions and probes no common state. The recorder
control begins the session and ends it.
"""

from flametest.chaos.errors import NoRecorderError
from flametest.chaos.recorder import Recorder

__all__ = ["begin", "current", "end"]

_current: Recorder | None = None


def begin(recorder: Recorder) -> None:
    """Make ``recorder`` the current one; it need not have started yet."""
    global _current  # noqa: PLW0603 (see the module's head)
    _current = recorder


def current() -> Recorder:
    """Return the recorder of the running experiment.

    Raises:
        NoRecorderError: there is none.
    """
    if _current is None:
        raise NoRecorderError(
            "no recorder runs, so nothing is measured",
            "add the control flametest.chaos.controls to the experiment's controls",
        )
    return _current


def end(status: str, deviated: bool) -> None:
    """Stop the current recorder, if there is one; see `Recorder.stop`."""
    global _current  # noqa: PLW0603 (see the module's head)
    if _current is not None:
        try:
            _current.stop(status, deviated)
        finally:
            _current = None
