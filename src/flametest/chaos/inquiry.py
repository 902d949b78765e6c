"""What the limits of a running experiment ask, looked at again and again while its record grows."""

import time
from collections.abc import Callable, Sequence

from flametest.chaos.errors import RecorderError
from flametest.chaos.limits import scenario_limits
from flametest.chaos.record import GrowingRecord
from flametest.chaos.recorder import Recorder
from flametest.measure.figures import Figures, figures
from flametest.measure.objectives import Objectives
from flametest.measure.questions import (
    Question,
    Seen,
    Watch,
    baseline_questions,
    being_missed,
    missed_already,
    planned_hold_seconds,
    questions_after,
)
from flametest.model.events import LoadStarted
from flametest.model.history import History
from flametest.model.verdict import Limit

__all__ = ["Inquiry"]

_LOOK_SECONDS = 0.5
_COST_SHARE = 0.1  # of the time may be spent on looking, so that a long record does not disturb what is measured
_OPEN_NS = 500_000_000  # younger requests are left out: the slow ones among them have no outcome yet


class Inquiry:
    """The questions of the experiment that ``recorder`` records; its limits stand when this is made.

    Under a load health and steady state are always judged. Alone, a steady state is when the limits, or the
    experiment's own hypothesis, ask for it, by the prober's own requests; and the hypothesis has judged the health.

    Raises:
        FlametestError: the limits, or the record, cannot be read.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._record = GrowingRecord(recorder.folder)
        self._objectives = Objectives()
        self._limits = _limits(recorder)
        started = self._record.read()[0].of(LoadStarted)
        named = {limit.criterion for limit in self._limits}
        self.is_loaded = bool(started)
        """Whether there is a load, so that the health before the fault is judged."""
        self.is_steady_judged = bool(started) or recorder.scenario.judges_steady_state or "steady_seconds" in named
        """Whether the time to steady state is asked for."""

    def planned_hold_seconds(self) -> float:
        """Return how long a recovered system is to be watched if nothing fails; 0 where nothing is asked."""
        _, measured = self._look()
        return planned_hold_seconds(measured, self._limits, self._objectives, is_steady_judged=self.is_steady_judged)

    def late_seconds(self) -> float:
        """Return by how much longer it may be watched to see that it is late, instead of never steady."""
        return next((limit.value for limit in self._limits if limit.criterion == "steady_seconds"), 0.0)

    def of_baseline(self, bound_seconds: float) -> tuple[Question, ...]:
        """Return what is known of the baseline so far."""
        return baseline_questions(*self._look(), self._objectives, bound_seconds)

    def missed_already(self, left_seconds: float) -> tuple[str, ...]:
        """Return the limits that are missed whatever comes within the next ``left_seconds``."""
        return missed_already(self._look()[1], self._limits, left_seconds)

    def being_missed(self, recent_seconds: float) -> tuple[str, ...]:
        """Return the limits that would be missed if all went on as in the last ``recent_seconds``."""
        return being_missed(self._look()[1], self._limits, recent_seconds)

    def since_recovery(self, watch: Watch) -> tuple[Question, ...]:
        """Return what is known of the system since its recovery."""
        history, measured = self._look()
        seen = Seen(history, measured, watch, self._objectives)
        return questions_after(seen, self._limits, is_steady_judged=self.is_steady_judged)

    def until_decided(
        self,
        ask: Callable[[float], Sequence[Question]],
        begun: float,
        bound_seconds: float,
        wait: Callable[[float], bool | None],
    ) -> tuple[Sequence[Question], float] | None:
        """Ask until no question is open, or the time is over; return the last answers, and how long it took in all.

        Args:
            ask: gives the answers, from how long it has taken.
            begun: when it began (`time.monotonic`), which may be a while ago.
            bound_seconds: how long it may take since then.
            wait: waits for so many seconds, or less should it be of no use any more, and returns whether it is.

        Returns:
            None when ``wait`` says that it is of no use any more.
        """
        while True:
            looked = time.monotonic()
            found = ask(looked - begun)
            seconds = time.monotonic() - begun
            left = bound_seconds - seconds
            if left <= 0 or not any(one.is_open(seconds) for one in found):
                return found, seconds
            cost = time.monotonic() - looked
            if wait(min(left, max(_LOOK_SECONDS, cost / _COST_SHARE))):
                return None

    def _look(self) -> tuple[History, Figures]:
        history, samples = self._record.read()
        whole = samples.sent_between(0, time.monotonic_ns() - _OPEN_NS)
        return history, figures(history, whole, self._recorder.scenario.workload, self._objectives)


def _limits(recorder: Recorder) -> tuple[Limit, ...]:
    if not recorder.scenario.experiment and recorder.settings.limits_file is None:
        return ()
    try:
        return scenario_limits(recorder)
    except RecorderError:  # without a file of limits none is set
        return ()
