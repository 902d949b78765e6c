"""Watches what users suffer while faults last, and heals at once when a limit of ``--abort-when`` is passed.

A thread of its own, since the main thread, in which Chaos Toolkit runs, may wait for anything meanwhile. It heals by
itself; the main thread learns of it at its next look, and the experiment ends.
"""

import logging
import threading
import time

from flametest.chaos.injections import ExperimentFaults
from flametest.chaos.record import GrowingSamples
from flametest.chaos.recorder import Recorder
from flametest.measure.harm import Harm, harm_passed
from flametest.measure.objectives import Objectives
from flametest.measure.samples import SamplesError
from flametest.model.events import HarmLimitPassed, Stamp
from flametest.model.harm import HarmLimit

__all__ = ["HarmWatch"]

LOOK_SECONDS = 0.2
STOP_SECONDS_MAX = 5.0

logger = logging.getLogger("chaostoolkit")


class HarmWatch:
    """Watches for one experiment, from `start` to `stop`; does nothing where no limit is set."""

    def __init__(self, limits: tuple[HarmLimit, ...], recorder: Recorder, faults: ExperimentFaults) -> None:
        self._limits = limits
        self._recorder = recorder
        self._faults = faults
        self._samples = GrowingSamples(recorder.folder)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="harm watch", daemon=True)

    def start(self) -> None:
        """Begin to watch, if there is a limit."""
        if self._limits:
            self._thread.start()

    def stop(self) -> None:
        """End; may be repeated. A healing that has begun goes on."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_SECONDS_MAX)

    def _run(self) -> None:
        while not self._stopping.wait(LOOK_SECONDS):
            since_ns = self._faults.lasting_since_ns
            if since_ns is None:
                continue
            now_ns = time.monotonic_ns()
            try:
                samples = self._samples.read()
            except (SamplesError, OSError, UnicodeDecodeError):
                continue  # the report tells of a record that is broken
            harm = harm_passed(samples, self._limits, Objectives(), since_ns=since_ns, now_ns=now_ns)
            # The last fault may have been healed since the look at it.
            if harm is not None and self._faults.lasting_since_ns is not None:
                self._heal(harm)
                return

    def _heal(self, harm: Harm) -> None:
        limit = harm.limit
        event = HarmLimitPassed(
            Stamp(time.monotonic_ns(), time.time()),
            self._recorder.scenario.name,
            limit.figure,
            harm.value,
            limit.value,
            harm.window_seconds,
            harm.requests,
        )
        logger.error(f"{event.words}: all faults are healed now")
        self._recorder.interrupt(event)
        self._faults.stop(event.words)
