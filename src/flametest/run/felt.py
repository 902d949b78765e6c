"""What users felt of a fault, for a test to wait for and to judge: the figures of the report, by the same functions.

While the fault lasts a test waits by `Felt`; when the scenario has ended, and its record has been measured, the figures
can be read. One that could not be measured is never a number: reading it raises `InconclusiveError`, and so does every
figure of a record that cannot be trusted.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from flametest.model.errors import FlametestError
from flametest.model.faults import FaultFigures
from flametest.model.measures import Durability
from flametest.model.result import Result, ScenarioResult
from flametest.model.verdict import Criterion, Verdict

__all__ = ["Felt", "FeltError", "InconclusiveError", "Lasting", "NotRecoveredError", "Writes", "doubts_of"]


class FeltError(FlametestError):
    """A figure that was asked for when there is none, such as before the end of the scenario."""


class InconclusiveError(FlametestError):
    """A record that proves nothing: the fault, the load or the measurement was not what it was meant to be."""


class NotRecoveredError(AssertionError):
    """The system had not recovered in time: a weakness of the system, as a missed limit is."""


class Lasting(Protocol):
    """A scenario that goes on, with its fault injected."""

    def wait(self, seconds: float) -> None:
        """Let time pass while everything is recorded."""

    def wait_recovered(self, seconds: float, hold_seconds: float | None) -> None:
        """Wait for recovery and watch it hold; raises NotRecoveredError."""

    def heal(self, names: Collection[str] | None = None) -> None:
        """Heal the faults of these names now, or for None every one of the scenario; raises HealError."""


@dataclass(frozen=True, slots=True)
class Writes:
    """What became of the writes of the ledger: counts, each as in `flametest.model.measures.Durability`.

    ``laws`` has what broke each of the system's own laws, by its name.
    """

    acknowledged: int
    refused: int
    failed: int
    unknown: int
    kept: int
    lost: int
    phantom: int
    duplicated: int
    stale: int
    laws: Mapping[str, int]

    @classmethod
    def of(cls, kept: Durability) -> "Writes":
        """Return the counts of what was judged."""
        return cls(
            acknowledged=kept.acknowledged,
            refused=kept.refused,
            failed=kept.failed,
            unknown=kept.unknown,
            kept=kept.kept,
            lost=kept.lost.count,
            phantom=kept.phantom.count,
            duplicated=kept.duplicated.count,
            stale=kept.stale.count,
            laws={law.name: law.offences.count for law in kept.laws},
        )


class Felt:
    """What users felt of the faults of one scenario.

    Durations are in seconds from the injection, by the monotonic clock; see docs/measurement.md for each figure.
    """

    def __init__(self, lasting: Lasting, folder: Path) -> None:
        self._lasting: Lasting | None = lasting
        self._result: Result | None = None
        self._why_unmeasured = ""
        self.folder = folder
        """The folder of the record, with ``report.html``."""

    def wait(self, seconds: float) -> None:
        """Let the fault last for ``seconds``.

        Raises:
            FlametestError: the scenario has ended, or it cannot be recorded any more.
        """
        self._going().wait(seconds)

    def wait_recovered(self, seconds: float, *, hold_seconds: float = 1.0) -> None:
        """Return once every workload that was hit is ready, and users have been served well for ``hold_seconds``.

        Args:
            seconds: how long it may take in all.
            hold_seconds: how long all pods have to stay ready, and 99 % of the prober's requests to be good.

        Raises:
            NotRecoveredError: it took longer; an AssertionError, which says what was missing.
            FlametestError: the scenario has ended, or it cannot be recorded any more.
        """
        self._going().wait_recovered(seconds, hold_seconds)

    def wait_steady(self, seconds: float) -> None:
        """Wait for recovery as `wait_recovered` does, and long enough after it to tell `steady_seconds`.

        How long that is depends on the rate of requests: 19 s of good service at 50 a second, 47 s without a load.

        Raises:
            NotRecoveredError: it took longer than ``seconds``, this watch not counted.
            FlametestError: the scenario has ended, or it cannot be recorded any more.
        """
        self._going().wait_recovered(seconds, None)

    def heal(self, *names: str) -> None:
        """Heal faults now, and go on recording; the end of the block heals what was not healed before.

        Args:
            names: what the test calls them; all faults without one.

        Raises:
            HealError: one could not be healed.
            FlametestError: no fault has such a name.
        """
        self._going().heal(names or None)

    @property
    def result(self) -> ScenarioResult:
        """Everything that the report says of the scenario, its checks and findings included; also when inconclusive.

        Raises:
            FeltError: the scenario has not ended, or was not measured.
        """
        if self._result is not None:
            return self._result.scenarios[0]
        if self._lasting is not None:
            raise FeltError(
                "the scenario has not ended, so there is no figure yet", "read figures below the outermost with block"
            )
        raise FeltError(f"the scenario was not measured: {self._why_unmeasured}")

    def of(self, name: str) -> FaultFigures:
        """Return what one of several faults was, and what users felt while it lasted.

        Args:
            name: what the test calls it.

        Raises:
            FeltError: there is none of that name, or there was one fault only, whose figures are those of the scenario.
            InconclusiveError: the record proves nothing.
        """
        faults = self._believed().faults
        for one in faults:
            if one.name == name:
                return one
        raise FeltError(
            f"the report has no figures of a fault called {name!r} by itself",
            f"use one of: {', '.join(one.name for one in faults)}" if faults else "read those of the scenario",
        )

    @property
    def outage_seconds(self) -> float:
        """How long users got no good answer; 0 where no request of the prober failed."""
        return self._figure("outage_seconds")

    @property
    def recovery_seconds(self) -> float:
        """When as many pods were ready again as before; 0 where their number never fell."""
        return self._figure("recovery_seconds")

    @property
    def steady_seconds(self) -> float:
        """When service was good again for good; needs `wait_steady`."""
        return self._figure("steady_seconds")

    @property
    def availability(self) -> float:
        """The share of requests since the injection that were answered well, between 0 and 1."""
        return self._figure("availability")

    @property
    def unhandled_errors(self) -> int:
        """How many requests since the injection were answered with status 500."""
        return round(self._figure("unhandled_errors"))

    @property
    def p95_ms(self) -> float:
        """The 95th percentile of latency since the injection in milliseconds, over requests that were answered well."""
        return self._figure("p95_ms")

    @property
    def max_over_mean(self) -> float:
        """How unevenly pods are loaded once the system is whole: the busiest one over the mean."""
        return self._figure("max_over_mean")

    @property
    def writes(self) -> Writes:
        """What became of the ledger's writes.

        Raises:
            FeltError: no ledger was kept.
            InconclusiveError: they could not be judged.
        """
        kept = self._believed().durability
        if kept is None:
            note = self.result.durability_note or "no ledger was kept"
            raise FeltError(f"there are no writes to judge: {note}", "leave felt.writes out; see docs/writes.md")
        if kept.problem and not kept.anomalies:
            raise self._inconclusive(f"the writes cannot be judged: {kept.problem}")
        return Writes.of(kept)

    def measured(self, result: Result) -> None:
        """Take the result of the scenario, which has ended."""
        self._lasting, self._result = None, result

    def unmeasured(self, reason: str) -> None:
        """Take note that the scenario has ended without a result, and why."""
        self._lasting, self._why_unmeasured = None, reason

    def check(self, missed: Callable[[str], Exception]) -> None:
        """Return if the report says that the scenario has passed; a test may not be greener than its report.

        Args:
            missed: makes the error of a scenario that failed, from its sentence.

        Raises:
            InconclusiveError: the record proves nothing.
            Exception: the scenario failed.
        """
        if self._result is None:
            return
        if self.result.verdict is Verdict.FAILED:
            raise missed(f"{self.result.sentence} (report: {self.folder / 'report.html'})")
        self._believed()
        if self._result.verdict is Verdict.INCONCLUSIVE:
            raise self._inconclusive("; ".join(doubts_of(self._result)) or self.result.sentence)

    def _going(self) -> Lasting:
        if self._lasting is None:
            raise FeltError("the scenario has ended, so nothing can be waited for", "wait inside of the with block")
        return self._lasting

    def _figure(self, name: str) -> float:
        found = self._believed().criterion(name)
        if found is None or found.value is None or found.above is not None:
            raise self._inconclusive(_unknown(name, found))
        return found.value

    def _believed(self) -> ScenarioResult:
        """Return the result if its record can be trusted.

        Raises:
            InconclusiveError: it cannot.
        """
        result = self.result
        assert self._result is not None
        doubts = doubts_of(self._result)
        if doubts:
            raise self._inconclusive("; ".join(doubts))
        return result

    def _inconclusive(self, why: str) -> InconclusiveError:
        return InconclusiveError(f"inconclusive: {why}", f"see {self.folder / 'report.html'}")


def doubts_of(result: Result) -> tuple[str, ...]:
    """Return the checks of a run and its scenarios that do not hold, each with what was found."""
    checks = [*result.checks, *(check for scenario in result.scenarios for check in scenario.checks)]
    doubted = (one for one in checks if one.verdict is Verdict.INCONCLUSIVE)
    return tuple(f"{one.title[:1].lower()}{one.title[1:]}: {one.detail}" for one in doubted)


def _unknown(name: str, found: Criterion | None) -> str:
    if found is None:
        return f"{name} is no figure of this scenario"
    if found.above is None:
        return f"{name}: {found.reason}"
    return (
        f"{name} is over {found.above:.3g}, and had not ended when the record did ({found.reason}): "
        "watch longer by felt.wait_recovered or felt.wait_steady"
    )
