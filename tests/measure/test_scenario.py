"""A scenario judged: limits decide, doubts make it inconclusive, and the sentence says it in plain words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from flametest.measure.samples import Samples
from flametest.measure.scenario import ScenarioSpec, measure_scenario, summarise
from flametest.model.events import (
    EdgeCounted,
    Event,
    ExperimentStopped,
    FaultInjected,
    FaultProved,
    LoadEnded,
    LoadWorkerEnded,
    Phase,
    PhaseStarted,
    PodObserved,
    ProberEnded,
    RuleCount,
    ScenarioEnded,
    Stamp,
    WatchInterrupted,
)
from flametest.model.history import History, decode, encode
from flametest.model.result import ScenarioResult
from flametest.model.samples import Lane
from flametest.model.verdict import Bound, Limit, Verdict

if TYPE_CHECKING:
    from tests.measure.conftest import Laboratory

SECOND_NS = 1_000_000_000
LIMITS = (
    Limit("outage_seconds", Bound.AT_MOST, 3.0),
    Limit("recovery_seconds", Bound.AT_MOST, 5.0),
    Limit("availability", Bound.AT_LEAST, 0.95),
    Limit("p95_ms", Bound.AT_MOST, 250.0),
    Limit("max_over_mean", Bound.AT_MOST, 1.25),
)


def specified(*limits: Limit) -> ScenarioSpec:
    return ScenarioSpec("pod-delete-api", "A pod is deleted", "Teaches.", "api", limits or LIMITS)


def judged(history: History, samples: Samples, *limits: Limit) -> ScenarioResult:
    return measure_scenario(history, samples, specified(*limits))


def changed(history: History, kind: type[Event], **changes: object) -> History:
    """Return the history with the events of one kind changed."""
    return History(replace(event, **changes) if isinstance(event, kind) else event for event in history)  # type: ignore[arg-type]


def without(history: History, kind: type[Event]) -> History:
    return History(event for event in history if not isinstance(event, kind))


def worker_ended(number: int = 0, requests: int = 10, offset_ns: int = 0, uncertainty_ns: int = 0) -> LoadWorkerEnded:
    stamp = Stamp(90 * SECOND_NS, 1_000_090.0)
    return LoadWorkerEnded(stamp, "pod-delete-api", f"locust-worker-{number}", requests, offset_ns, uncertainty_ns)


def failing_elsewhere(lab: Laboratory) -> Samples:
    """Return requests of which users' fail on a path of their own, that the prober does not ask for."""
    whole, failed = lab.samples(), lab.samples(lambda at: 30.1 <= at < 45 and at % 0.1 < 0.05)
    rows = [whole.row(number) for number in range(len(whole))]
    others = (failed.row(number) for number in range(len(failed)))
    rows = [one for one in rows if one.lane is not Lane.LOAD]
    return Samples.of([*rows, *(one._replace(name="GET /orders") for one in others if one.lane is Lane.LOAD)])


def test_a_system_that_fails_on_another_path_is_not_said_to_be_unfelt(lab: Laboratory) -> None:
    result = judged(lab.deletion(), failing_elsewhere(lab), LIMITS[1])
    assert result.availability is not None
    failed = f"{result.availability.bad / result.availability.valid * 100:.2f} % of users' requests failed"
    assert f" was not felt on the probed path, but {failed}; its replacement" in result.sentence
    unjudged = judged(lab.deletion(), lab.samples(), LIMITS[1])
    assert summarise([unjudged, result]) == (
        Verdict.PASSED,
        f"all 2 scenarios kept their limits; none was felt on the probed path, but {failed} (pod-delete-api)",
    )


def test_a_recovery_within_its_limits_passes_and_says_so(lab: Laboratory) -> None:
    result = judged(lab.deletion(), lab.samples())
    assert result.verdict is Verdict.PASSED, [check for check in result.checks if check.verdict is not Verdict.PASSED]
    assert result.sentence == (
        "deleting 1 of 3 api pods was not felt by users; its replacement was ready after 1.90 s (± 0.01 s; limit 5 s)"
    )
    assert result.outage is not None
    assert result.outage.total is None
    assert result.findings == ()


def test_a_missed_limit_fails_and_its_reason_names_both_figures(lab: Laboratory) -> None:
    result = judged(lab.deletion(), lab.samples(lambda at: 30.1 <= at < 34.2))
    outage = result.criterion("outage_seconds")
    assert result.verdict is Verdict.FAILED
    assert outage is not None
    assert outage.reason == "4.1 s is over the limit of 3 s"
    assert "was felt by users for 4.10 s (± 0.05 s; limit 3 s)" in result.sentence
    assert result.findings[0].title == "User-visible outage: 4.1 s is over the limit of 3 s"


def test_a_figure_just_over_its_limit_is_not_rounded_onto_it(lab: Laboratory) -> None:
    recovery = judged(lab.deletion(), lab.samples(), Limit("recovery_seconds", Bound.AT_MOST, 1.88)).criterion(
        "recovery_seconds"
    )
    assert recovery is not None
    assert recovery.reason == "1.90 s is over the limit of 1.88 s"


def test_a_criterion_without_a_limit_informs_only(lab: Laboratory) -> None:
    result = judged(lab.deletion(), lab.samples(lambda at: 30.1 <= at < 34.2), LIMITS[1])
    outage = result.criterion("outage_seconds")
    assert result.verdict is Verdict.PASSED
    assert outage is not None
    assert outage.reason == "4.1 s; no limit was set"


def test_an_outage_without_an_end_never_passes(lab: Laboratory) -> None:
    samples = lab.samples(lambda at: at > 89)
    limits = (LIMITS[0],)
    assert judged(lab.deletion(), samples, *limits).verdict is Verdict.INCONCLUSIVE
    assert judged(lab.deletion(), lab.samples(lambda at: at > 80), *limits).verdict is Verdict.FAILED


@pytest.mark.parametrize(
    ("bad_until", "limit", "verdict"),
    [
        (30.0, 0.02, Verdict.INCONCLUSIVE),  # none was seen, and one of 20 ms may have been missed
        (30.12, 0.02, Verdict.INCONCLUSIVE),  # one bad request: anything from nothing to two intervals
        (32.0, 0.02, Verdict.FAILED),  # the whole bracket lies beyond
        (30.0, 0.05, Verdict.PASSED),
        (30.0, 0.0, Verdict.PASSED),  # that nothing be found can be told
        (30.12, 0.0, Verdict.FAILED),
    ],
)
def test_an_outage_limit_finer_than_the_probers_interval_is_judged_only_beyond_doubt(
    lab: Laboratory, bad_until: float, limit: float, verdict: Verdict
) -> None:
    samples = lab.samples(lambda at: 30.09 <= at < bad_until)
    result = judged(lab.deletion(), samples, Limit("outage_seconds", Bound.AT_MOST, limit))
    outage = result.criterion("outage_seconds")
    assert outage is not None
    assert (outage.verdict, result.verdict) == (verdict, verdict)
    if verdict is Verdict.INCONCLUSIVE:
        assert outage.reason.endswith("whether the limit of 0.02 s holds cannot be determined by a request every 50 ms")
        assert outage.reason in result.sentence


def test_pods_that_never_come_back_fail_the_recovery(lab: Laboratory) -> None:
    history = History(event for event in lab.deletion() if not (isinstance(event, PodObserved) and event.uid == "d"))
    recovery = judged(history, lab.samples()).criterion("recovery_seconds")
    assert recovery is not None
    assert recovery.verdict is Verdict.FAILED
    assert recovery.reason.startswith("more than 60.1 s (it was not back when the watch ended")


DOUBTS: dict[str, tuple[str, Callable[[History], History]]] = {
    "the proof is missing": ("fault_proven", lambda history: without(history, FaultProved)),
    "the proof failed": ("fault_proven", lambda history: changed(history, FaultProved, proved=False)),
    "the record has no end": ("experiment_completed", lambda history: without(history, ScenarioEnded)),
    "it was interrupted": (
        "experiment_completed",
        lambda history: changed(history, ScenarioEnded, status="interrupted"),
    ),
    "the load died": ("load_achieved", lambda history: changed(history, LoadEnded, reason="locust ended with 1")),
    "a worker's requests are missing": ("load_workers", lambda history: history.append(worker_ended(requests=10**6))),
    "a worker's clock is vague": (
        "load_workers",
        lambda history: history.append(worker_ended(uncertainty_ns=6 * 10**7)),
    ),
    "the prober lagged": (
        "prober_punctual",
        lambda history: changed(history, ProberEnded, send_lag_max_ns=3 * 10**8),
    ),
    "the prober dropped": ("prober_punctual", lambda history: changed(history, ProberEnded, dropped=30)),
    "the prober was killed": ("prober_punctual", lambda history: without(history, ProberEnded)),
    "the clock was set": (
        "clock_steady",
        lambda history: changed(history, ScenarioEnded, at=Stamp(90_100_000_000, 1_000_095.0)),
    ),
    "the watch broke": (
        "watches_whole",
        lambda history: history.append(
            WatchInterrupted(Stamp(31 * SECOND_NS, 1_000_031.0), "pod-delete-api", "pods", "410 Gone")
        ),
    ),
    "no pod was watched": ("watches_whole", lambda history: without(history, PodObserved)),
}


@pytest.mark.parametrize("doubt", DOUBTS)
def test_a_doubt_makes_it_inconclusive(lab: Laboratory, doubt: str) -> None:
    name, spoil = DOUBTS[doubt]
    result = judged(spoil(lab.deletion()), lab.samples(), LIMITS[0])
    assert result.verdict is Verdict.INCONCLUSIVE
    doubts = [check.name for check in result.checks if check.verdict is not Verdict.PASSED]
    assert doubts[0] == name
    assert set(doubts) - {name} <= {"hypothesis_held"}  # which nobody was asked for when there is no end
    assert "in doubt" in result.sentence


@pytest.mark.parametrize(
    ("dropped", "late", "verdict"), [(0, 0, "passed"), (1, 1, "inconclusive"), (1, 0, "inconclusive")]
)
def test_of_fewer_than_a_thousand_samples_none_may_be_dropped_and_it_is_said_whether_the_prober_ran(
    lab: Laboratory, dropped: int, late: int, verdict: str
) -> None:
    history = changed(lab.deletion(), ProberEnded, sent=640, dropped=dropped, late=late)
    checks = {check.name: check for check in judged(history, lab.samples(), LIMITS[0]).checks}
    assert checks["prober_punctual"].verdict == verdict
    detail = checks["prober_punctual"].detail
    assert f"{dropped} of {640 + dropped} dropped" in detail
    assert (f"{late} of them while it did not run" in detail) is bool(late)
    assert ("0.1% are believed" in detail) is (verdict == "inconclusive")


@pytest.mark.parametrize(
    ("offset_ns", "uncertainty_ns", "clocks"),
    [
        (0, 0, "they read this machine's clock"),
        (-5 * SECOND_NS, 1_370_000, "their clocks are up to 5.000 s from this machine's, known to ± 1.37 ms"),
    ],
)
def test_what_came_of_each_load_worker_is_told(
    lab: Laboratory, offset_ns: int, uncertainty_ns: int, clocks: str
) -> None:
    history = lab.deletion().append(worker_ended(0, 12)).append(worker_ended(1, 10, offset_ns, uncertainty_ns))
    checks = {check.name: check for check in judged(history, lab.samples(), LIMITS[0]).checks}
    assert checks["load_workers"].verdict is Verdict.PASSED
    assert checks["load_workers"].detail == f"requests of locust-worker-0 12, locust-worker-1 10; {clocks}"


def test_load_of_one_process_has_no_workers_to_check(lab: Laboratory) -> None:
    assert "load_workers" not in [check.name for check in judged(lab.deletion(), lab.samples(), LIMITS[0]).checks]


def test_a_load_under_95_percent_is_inconclusive(lab: Laboratory) -> None:
    samples = lab.samples()
    thin = samples.where((samples.lane_code != 2) | (samples.sent_ns // 25_000_000 % 10 != 0))
    result = judged(lab.deletion(), thin, LIMITS[0])
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "90.0% of 40 requests a second" in result.sentence


def test_a_system_that_was_failing_before_the_fault_is_inconclusive(lab: Laboratory) -> None:
    result = judged(lab.deletion(), lab.samples(lambda at: 5 <= at < 8), LIMITS[0])
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "requests were good before the fault" in result.sentence


def test_missing_samples_are_inconclusive(lab: Laboratory) -> None:
    assert judged(lab.deletion(), Samples.of([])).verdict is Verdict.INCONCLUSIVE


def test_an_empty_record_is_inconclusive() -> None:
    result = judged(History(), Samples.of([]))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.series is None


@pytest.mark.parametrize(
    "reason",
    [
        "the system was not healthy before the fault: probe 'ready': 2 of 3 pods of api are ready",
        "the experiment's method is empty",
        "the undo record cannot be written: No space left on device",
        "the undo record cannot be written: No space left on device; nothing was injected",
    ],
)
def test_why_nothing_was_injected_is_the_first_thing_that_is_said(lab: Laboratory, reason: str) -> None:
    stopped = ExperimentStopped(Stamp(40 * SECOND_NS, 1_000_040.0), "pod-delete-api", reason)
    result = judged(History([*lab.before(), stopped, *lab.ending("failed")]), lab.samples(lambda at: at > 3))
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.sentence == f"{reason.removesuffix('; nothing was injected')}; nothing was injected"
    assert all(one.value is None for one in result.criteria)


def test_the_system_is_not_blamed_where_nobody_knows_why_nothing_was_injected(lab: Laboratory) -> None:
    result = judged(History([*lab.before(), *lab.ending("failed")]), lab.samples())
    assert result.sentence == "nothing was injected, so nothing was tested"


def test_an_experiment_that_stopped_after_its_fault_says_why(lab: Laboratory) -> None:
    stopped = ExperimentStopped(Stamp(40 * SECOND_NS, 1_000_040.0), "pod-delete-api", "action 'two' failed: no route")
    events = [
        replace(event, status="interrupted") if isinstance(event, ScenarioEnded) else event for event in lab.deletion()
    ]
    result = judged(History([*events, stopped]), lab.samples())
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "Chaos Toolkit says interrupted; expected completed: action 'two' failed: no route" in result.sentence


def test_a_method_that_injects_nothing_tests_nothing(lab: Laboratory) -> None:
    begun = PhaseStarted(Stamp(30 * SECOND_NS, 1_000_030.0), "pod-delete-api", Phase.FAULT)
    history = without(lab.deletion(), FaultInjected).append(begun)
    result = judged(history, lab.samples())
    assert result.verdict is Verdict.INCONCLUSIVE
    assert result.sentence == "nothing was injected, so nothing was tested"


def test_a_hypothesis_that_fails_by_another_probe_fails_the_scenario(lab: Laboratory) -> None:
    history = changed(lab.deletion(), ScenarioEnded, status="deviated", deviated=True)
    result = judged(history, lab.samples())
    assert result.verdict is Verdict.FAILED
    assert result.sentence.endswith("; the hypothesis did not hold after the fault, by a probe that no limit covers")
    looser = Limit("outage_seconds", Bound.AT_MOST, 9.0, source="--limit outage_seconds=9")
    assert judged(history, lab.samples(), looser).verdict is Verdict.PASSED


def test_a_hypothesis_that_fails_by_another_probe_is_told_with_what_the_probe_found(lab: Laboratory) -> None:
    reason = "the hypothesis did not hold after the fault: probe 'orders' found 3; expected 5"
    stopped = ExperimentStopped(Stamp(95 * SECOND_NS, 1_000_095.0), "pod-delete-api", reason)
    history = changed(lab.deletion(), ScenarioEnded, status="deviated", deviated=True)
    result = judged(history.append(stopped), lab.samples())
    assert result.verdict is Verdict.FAILED
    assert result.sentence.endswith(f"; {reason}")


def test_a_hypothesis_that_fails_by_a_criterion_names_it_with_figure_and_limit(lab: Laboratory) -> None:
    history = changed(lab.deletion(), ScenarioEnded, status="deviated", deviated=True)
    result = judged(history, lab.samples(lambda at: 30 <= at < 34))
    (held,) = [one for one in result.checks if one.name == "hypothesis_held"]
    outage = result.criterion("outage_seconds")
    assert outage is not None
    assert held.verdict is Verdict.FAILED
    assert held.detail == f"it did not hold; user-visible outage: {outage.reason}"
    assert "did not hold" not in result.sentence  # it tells the outage and its limit already


def test_a_figure_that_is_missing_tells_its_limit(lab: Laboratory) -> None:
    result = judged(lab.deletion(), Samples.of([]))
    missing = {one.name: one.reason for one in result.criteria if one.verdict is Verdict.INCONCLUSIVE}
    assert missing["outage_seconds"] == "not measured: the prober recorded no request; the limit is 3 s"
    assert missing["availability"] == "not measured: no request was recorded; the limit is 95 %"


def test_a_watch_that_broke_is_told_with_its_moment(lab: Laboratory) -> None:
    broken = WatchInterrupted(Stamp(31 * SECOND_NS, 1_000_031.0), "pod-delete-api", "pods", "410 Gone")
    result = judged(lab.deletion().append(broken), lab.samples())
    assert result.verdict is Verdict.INCONCLUSIVE
    told = (
        "in doubt (the watches saw everything: the watch of pods broke 1.0 s after the injection, during the recovery"
    )
    assert result.sentence.startswith(told)


def test_a_clock_that_was_set_is_told_with_what_is_believed(lab: Laboratory) -> None:
    ended = lab.deletion().of(ScenarioEnded)[-1]
    stepped = replace(ended, at=replace(ended.at, wall_s=ended.at.wall_s + 7))
    result = judged(without(lab.deletion(), ScenarioEnded).append(stepped), lab.samples())
    assert "differ by 7000 ms at most; up to 100 ms are believed" in result.sentence


def test_marks_are_numbered_in_the_order_of_time(lab: Laboratory) -> None:
    marks = judged(lab.deletion(), lab.samples(lambda at: 30.1 <= at < 32.5)).marks
    assert [mark.number for mark in marks] == list(range(1, len(marks) + 1))
    assert [mark.seconds for mark in marks] == sorted(mark.seconds for mark in marks)
    assert {mark.label for mark in marks} == {
        "injected",
        "first failure",
        "endpoint out",
        "replacement ready",
        "first success",
        "steady",
    }


def test_the_charts_hold_every_request_of_the_load(lab: Laboratory) -> None:
    result = judged(lab.deletion(), lab.samples(lambda at: 30.1 <= at < 34.2))
    chart = result.series
    assert chart is not None
    lengths = {len(column) for column in (chart.offered, chart.good, chart.bad, chart.p50_ms, chart.p95_ms)}
    assert lengths == {len(chart.p99_ms)}
    # The record ends within the last bin, whose rate is that of the time it covers.
    assert sum(chart.good[:-1] + chart.bad[:-1]) * chart.bin_seconds == pytest.approx((90 - chart.bin_seconds) * 40)
    assert chart.good[-1] + chart.bad[-1] == pytest.approx(40, rel=0.2)
    assert sum(chart.bad) * chart.bin_seconds == pytest.approx(4.1 * 40, abs=2)
    assert [(round(step.seconds, 2), step.value) for step in chart.ready_pods[1:]] == [(0.02, 2), (1.9, 3)]
    assert [(round(step.seconds, 2), step.value) for step in chart.ready_endpoints[1:]] == [(0.03, 2), (1.95, 3)]
    lives = {life.name: [span.state for span in life.spans] for life in chart.pods}
    assert lives["api-a"] == ["ready", "terminating"]
    assert lives["api-d"] == ["pending", "running", "ready"]
    assert all(
        first.end_seconds == second.start_seconds
        for life in chart.pods
        for first, second in zip(life.spans, life.spans[1:], strict=False)
    )


def test_an_unknown_or_doubled_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="limit 'downtime' of pod-delete-api: expected one of outage_seconds"):
        specified(Limit("downtime", Bound.AT_MOST, 1.0))
    with pytest.raises(ValueError, match="expected one, found 2"):
        specified(LIMITS[0], LIMITS[0])


def test_a_run_is_as_bad_as_its_worst_scenario(lab: Laboratory) -> None:
    good = judged(lab.deletion(), lab.samples())
    bad = judged(lab.deletion(), lab.samples(lambda at: 30.1 <= at < 34.2))
    doubtful = judged(lab.deletion(), Samples.of([]))
    assert summarise([good]) == (Verdict.PASSED, good.sentence)
    assert summarise([good, good]) == (Verdict.PASSED, "all 2 scenarios kept their limits; none was felt by users")
    verdict, headline = summarise([good, doubtful, bad])
    assert verdict is Verdict.FAILED
    assert headline == f"1 of 3 scenarios missed a limit; pod-delete-api: {bad.sentence}"
    assert summarise([good, doubtful])[0] is Verdict.INCONCLUSIVE
    assert summarise([]) == (Verdict.INCONCLUSIVE, "no scenario was run")


def test_what_a_disturbed_edge_did_is_told_by_rule_and_read_back_as_it_was_written(lab: Laboratory) -> None:
    rules = (RuleCount("delay by 60 ms (GET, /a)", 400, 40, 40), RuleCount("reset", 400, 360, 12))
    events = [*lab.deletion(), EdgeCounted(Stamp(40 * SECOND_NS, 1_000_040.0), "s", "frontend → logic", rules, 1)]
    assert decode(encode(events[-1])) == events[-1]
    found = judged(History(events), lab.samples()).edges
    assert [(one.edge, one.rule, one.passed, one.matched, one.hit) for one in found] == [
        ("frontend → logic", "delay by 60 ms (GET, /a)", 400, 40, 40),
        ("frontend → logic", "reset", 400, 360, 12),
    ]
