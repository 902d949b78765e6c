"""The side of a running scenario that a test waits by: until the fault has lasted, users are served, service is steady.

It is what `flametest.run.felt.Felt` is given while the scenario goes on.
"""

import time
from collections.abc import Collection, Sequence
from pathlib import Path

from flametest.chaos.holding import HoldPlan, hold, plan
from flametest.chaos.injections import ExperimentFaults
from flametest.chaos.record import read_record
from flametest.chaos.recorder import Recorder
from flametest.faults.errors import HealError
from flametest.faults.healing import Healing
from flametest.measure.objectives import Objectives
from flametest.model.events import Phase
from flametest.model.samples import Lane
from flametest.run.felt import NotRecoveredError

__all__ = ["LiveFault", "refuse_unhealed"]


class LiveFault:
    """Waits and heals for a test, by the recorder and the faults of its scenario.

    Args:
        recorder: records the scenario.
        injecting: has injected its faults.
        settle_seconds: how long the system is watched after a lasting fault was healed; None for as long as it takes
            to tell that it is steady again.
    """

    def __init__(self, recorder: Recorder, injecting: ExperimentFaults, settle_seconds: float | None) -> None:
        self._recorder = recorder
        self._injecting = injecting
        self._settle_seconds = settle_seconds
        self._has_healed = False

    def wait(self, seconds: float) -> None:
        """Let time pass while everything is recorded."""
        self._recorder.wait(seconds)

    def heal(self, names: Collection[str] | None = None) -> None:
        """Heal the faults of these names now, or for None every one."""
        healings = self._injecting.heal(names)
        refuse_unhealed(healings)
        self._has_healed = self._has_healed or bool(healings)

    def settle(self) -> None:
        """Watch the system after the healing of lasting faults, so that it can be told whether it is steady again."""
        if self._has_healed:
            self._recorder.begin_phase(Phase.RECOVERY)
            if self._settle_seconds is None:
                planned = plan(self._recorder, 0.0)
                hold(self._recorder, planned, planned.bound_seconds, through_relapses=True)
            else:
                self._recorder.wait(self._settle_seconds)

    def wait_recovered(self, seconds: float, hold_seconds: float | None) -> None:
        """Wait until the workload is ready and users are served well, and for as long as the hold; None: until steady.

        Raises:
            NotRecoveredError: it took longer.
        """
        recorder, end = self._recorder, time.monotonic() + seconds
        if hold_seconds is None:
            planned = plan(recorder, 0.0)
            end += planned.bound_seconds
        else:
            planned = HoldPlan(None, hold_seconds, hold_seconds, hold_seconds)
        trouble = ""
        while recorder.wait_recovered(max(0.0, end - time.monotonic())):
            recorder.begin_phase(Phase.RECOVERY)
            begun_ns = time.monotonic_ns()
            held = hold(recorder, planned, max(0.0, end - time.monotonic()))
            trouble = "it was ready, and lost a pod again" if held.relapsed else _unserved(recorder.folder, begun_ns)
            if not trouble and held.whole:
                return
            if time.monotonic() >= end:
                break
        name = recorder.scenario.workload
        raise NotRecoveredError(f"{name} had not recovered after {seconds:g} s: {trouble or recorder.readiness(name)}")


def refuse_unhealed(healings: Sequence[Healing]) -> None:
    """Return if all was healed.

    Raises:
        HealError: something was not.
    """
    failed = [one for one in healings if not one.healed]
    if failed:
        raise HealError(f"{failed[0].title!r} could not be healed: {failed[0].evidence}", failed[0].remedy)


def _unserved(folder: Path, since_ns: int) -> str:
    """Return what kept users from being served well since then; empty when they were."""
    _, samples = read_record(folder)
    asked = samples.lane(Lane.FRESH)
    asked = asked.where(asked.sent_ns >= since_ns)
    bad = int(asked.bad.sum())
    served = len(asked) > 0 and bad <= (1 - Objectives().slo) * len(asked)
    return "" if served else f"{bad} of the prober's last {len(asked)} requests failed"
