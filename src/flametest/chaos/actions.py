"""Actions of an experiment's method that only wait, while the load runs and everything is recorded.

{"type": "action", "name": "observe-the-baseline",
 "provider": {"type": "python", "module": "flametest.chaos.actions", "func": "observe_baseline",
              "arguments": {"seconds": 8}}}
"""

import time

from flametest.chaos import session
from flametest.chaos.errors import RecorderError
from flametest.model.events import Phase

__all__ = ["await_recovery", "observe_baseline"]


def observe_baseline(seconds: float) -> None:
    """Let load and prober run undisturbed for ``seconds``: what the fault is compared with.

    Raises:
        RecorderError: the prober died, or the record cannot be written.
    """
    recorder = session.current()
    recorder.begin_phase(Phase.BASELINE)
    recorder.wait(seconds)


def await_recovery(timeout_seconds: float, hold_seconds: float) -> dict[str, float | bool]:
    """Wait until the workload has all its pods ready again and has kept them for ``hold_seconds``.

    The load runs on during the hold, so that a relapse shows. Not recovering is no error of this action: the
    hypothesis judges it. All of it takes ``timeout_seconds`` at most.

    Returns:
        For the journal: whether it recovered and ``held``, and the ``waited_seconds``.

    Raises:
        RecorderError: no fault was injected, the prober died, or the record cannot be written.
    """
    recorder = session.current()
    if not recorder.injected:
        raise RecorderError("no fault was injected, so there is nothing to recover from", "mend the action before it")
    begin = time.monotonic()
    held = False
    while recorder.wait_recovered(_left(begin, timeout_seconds)):
        recorder.begin_phase(Phase.RECOVERY)
        left = _left(begin, timeout_seconds)
        relapsed = recorder.wait_relapsed(min(hold_seconds, left))
        held = not relapsed and left >= hold_seconds
        if not relapsed:
            break
    return {"held": held, "waited_seconds": round(time.monotonic() - begin, 3)}


def _left(begin: float, timeout_seconds: float) -> float:
    return max(0.0, begin + timeout_seconds - time.monotonic())
