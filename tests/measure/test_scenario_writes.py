"""Lost writes fail a scenario by default; writes that nobody read back leave it in doubt; no ledger changes nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from flametest.measure.durability import WRITES_LIMIT, WriteRecord
from flametest.measure.scenario import ScenarioSpec, measure_scenario, summarise
from flametest.model.events import LedgerOmitted, LedgerStarted, Stamp
from flametest.model.history import History
from flametest.model.result import ScenarioResult
from flametest.model.verdict import Bound, Limit, Verdict
from flametest.model.writes import Attempt, Audit, ReadScope, StoredWrite, WriteOutcome

if TYPE_CHECKING:
    from tests.measure.conftest import Laboratory

SECOND_NS = 1_000_000_000
RECOVERY = Limit("recovery_seconds", Bound.AT_MOST, 5.0)
KEYS = tuple(f"ledger-{number}" for number in range(20))
ATTEMPTS = tuple(
    Attempt(key, 1, "{}", 0, 0, SECOND_NS, WriteOutcome.ACKNOWLEDGED, 201, str(number), "")
    for number, key in enumerate(KEYS, start=1)
)


def audit(kept: int) -> Audit:
    """Return an audit that found the first orders."""
    orders = tuple(StoredWrite(str(number), key) for number, key in enumerate(KEYS[:kept], start=1))
    return Audit(orders, kept, ReadScope.LIST, (), (), (), (), "")


def judged(lab: Laboratory, record: WriteRecord, *limits: Limit, history: History | None = None) -> ScenarioResult:
    """Return a sound deletion with a ledger."""
    started = LedgerStarted(Stamp(SECOND_NS, 1_000_001.0), "pod-delete-api", "ledger-", "orders", 10.0)
    spec = ScenarioSpec("pod-delete-api", "A pod is deleted", "Teaches.", "api", (RECOVERY, *limits))
    whole = lab.deletion().append(started) if history is None else history
    return measure_scenario(whole, lab.samples(), spec, record)


def test_orders_that_are_all_there_pass_and_the_sentence_says_so(lab: Laboratory) -> None:
    result = judged(lab, WriteRecord(ATTEMPTS, audit(20)))
    assert result.verdict is Verdict.PASSED
    assert result.sentence.endswith("; 0 of 20 acknowledged orders were lost")
    criterion = result.criterion("write_anomalies")
    assert criterion is not None
    assert (criterion.value, criterion.limit) == (0.0, WRITES_LIMIT)


def test_a_lost_order_fails_without_a_limit_being_written_down(lab: Laboratory) -> None:
    result = judged(lab, WriteRecord(ATTEMPTS, audit(18)))
    assert result.verdict is Verdict.FAILED
    assert result.sentence.endswith("; 2 of 20 acknowledged orders were lost (recovery point 29.00 s before the fault)")
    assert [one.title for one in result.findings] == [
        "Writes lost or duplicated: 2 of 20 acknowledged orders were lost (recovery point 29.00 s before the fault)"
    ]


def test_another_limit_may_be_set(lab: Laboratory) -> None:
    result = judged(lab, WriteRecord(ATTEMPTS, audit(18)), Limit("write_anomalies", Bound.AT_MOST, 2.0))
    assert result.verdict is Verdict.PASSED
    criterion = result.criterion("write_anomalies")
    assert criterion is not None
    assert (
        criterion.reason
        == "2 of 20 acknowledged orders were lost (recovery point 29.00 s before the fault); 2 were allowed"
    )


def test_orders_that_nobody_read_back_leave_a_doubt(lab: Laboratory) -> None:
    result = judged(lab, WriteRecord(ATTEMPTS, None))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "writes lost or duplicated: not measured: nothing was read back" in result.sentence


def test_an_order_is_never_lost_where_none_was_acknowledged(lab: Laboratory) -> None:
    unknown = tuple(replace_outcome(one) for one in ATTEMPTS)
    result = judged(lab, WriteRecord(unknown, audit(3)))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "no write was acknowledged, so none could be lost" in result.sentence


def replace_outcome(attempt: Attempt) -> Attempt:
    """Return an attempt whose answer never came."""
    return attempt._replace(outcome=WriteOutcome.UNKNOWN, status=0, id="", error="timeout")


def test_without_a_shop_the_verdict_is_as_before_and_the_reason_is_told(lab: Laboratory) -> None:
    omitted = LedgerOmitted(Stamp(SECOND_NS, 1_000_001.0), "pod-delete-api", "the project has no ledger", False)
    result = judged(lab, WriteRecord(), history=lab.deletion().append(omitted))
    assert result.verdict is Verdict.PASSED
    assert result.durability is None
    assert result.durability_note == "the project has no ledger"
    assert result.criterion("write_anomalies") is None


def test_orders_lost_without_any_fault_are_told_too(lab: Laboratory) -> None:
    started = LedgerStarted(Stamp(SECOND_NS, 1_000_001.0), "pod-delete-api", "ledger-", "orders", 10.0)
    history = History([*lab.before(), started, *lab.ending("completed")])
    result = judged(lab, WriteRecord(ATTEMPTS, audit(19)), history=history)
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.sentence == ("nothing was injected, so nothing was tested; 1 of 20 acknowledged orders was lost")


def test_the_headline_of_a_run_counts_all_its_orders(lab: Laboratory) -> None:
    result = judged(lab, WriteRecord(ATTEMPTS, audit(20)))
    verdict, headline = summarise([result, result])
    assert verdict is Verdict.PASSED
    assert headline.endswith("; 0 of 40 acknowledged orders were lost")


def test_a_doubt_about_writes_does_not_hide_a_hypothesis_that_failed(lab: Laboratory) -> None:
    started = LedgerStarted(Stamp(SECOND_NS, 1_000_001.0), "pod-delete-api", "ledger-", "orders", 10.0)
    deviated = History(
        replace(event, status="deviated", deviated=True) if type(event).__name__ == "ScenarioEnded" else event  # type: ignore[call-arg]
        for event in lab.deletion()
    )
    assert judged(lab, WriteRecord(ATTEMPTS), history=deviated.append(started)).verdict is Verdict.FAILED
