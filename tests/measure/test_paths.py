"""Failed and slow requests by their causes: what was recorded of them, and what the log lines of their ids tell."""

import dataclasses
import json
import time

import numpy as np
import pytest

from flametest.measure.paths import CAUSES_MAX, failure_paths
from flametest.measure.samples import Samples
from flametest.model.events import ChangeKind, FaultHealed, FaultInjected, LogsFollowed, ServiceAddress
from flametest.model.history import History
from flametest.model.paths import FailurePaths, KeptLogs, LogLine, Trouble
from flametest.model.samples import Lane, Outcome, Sample
from flametest.model.writes import Attempt, WriteOutcome
from tests.measure.conftest import SCENARIO, Laboratory, stamp

MS = 1_000_000
SECOND = 1000 * MS
FOLLOWED = LogsFollowed(stamp(89), SCENARIO, 5, 100, 9, 0, "", (ServiceAddress("redis", "10.96.0.9"),), "")
T0 = 30 * SECOND


def request(number: int, at_s: float, status: int = 503, took_ms: float = 20, error: str = "status") -> Sample:
    outcome = Outcome.OK if status == 200 else Outcome.FAILED if status else Outcome.UNKNOWN
    sent = round(at_s * SECOND)
    done = sent + round(took_ms * MS)
    ended = "" if status == 200 else error
    return Sample(Lane.LOAD, "GET /hits", sent, sent, done, outcome, status, "", ended, f"{number:032x}")


def log(number: int, pod: str, at_s: float, **fields: object) -> LogLine:
    text = json.dumps({"request_id": f"{number:032x}", **fields})
    return LogLine(f"{number:032x}", pod, "main", round(at_s * SECOND), text)


def history(lab: Laboratory, *further: object) -> History:
    """Return a record with a pod of nginx and pods of api, and a deployment of redis."""
    entry = dataclasses.replace(lab.pod(1, "n", name="nginx-1"), owner_uid="rs-nginx", app="nginx")
    redis = dataclasses.replace(lab.workload(1, 1, 1), name="redis", uid="deployment-redis")
    return History([*lab.deletion(), entry, redis, FOLLOWED, *further])  # type: ignore[list-item]


def judged(lab: Laboratory, samples: list[Sample], lines: list[LogLine], *further: object) -> FailurePaths:
    kept = KeptLogs(frozenset(one.trace_id for one in samples), tuple(lines))
    found = failure_paths(history(lab, *further), Samples.of(samples), (), kept, slow_ms=500, t0_ns=T0)
    assert found is not None
    return found


def test_a_failure_opens_the_lines_of_its_pods_in_the_order_of_time(lab: Laboratory) -> None:
    lines = [
        log(1, "nginx-1", 31.019, status=503, request_time=0.019, upstream="10.0.0.1:80"),
        log(1, "api-a", 31.015, level="warning", message="dependency away: redis: refused"),
        log(1, "api-a", 31.016, level="info", status=503, duration_ms=14),
    ]
    found = judged(lab, [request(1, 31.0)], lines)
    (cause,) = found.causes
    assert (found.failed, found.slow, found.note) == (1, 0, "")
    assert (cause.request, cause.sender, cause.outcome) == ("GET /hits", "load", "status 503")
    assert cause.first_failed == "redis"
    assert [hop.pod for hop in cause.path.hops] == ["nginx-1", "api-a"]
    assert [line.is_failure for line in cause.path.hops[1].lines] == [True, True]
    assert cause.path.hops[1].start_ms == pytest.approx(2, abs=0.01)
    assert cause.path.sent_seconds == pytest.approx(1.0)


def test_requests_that_failed_first_in_different_hops_are_different_causes(lab: Laboratory) -> None:
    samples = [request(number, 31 + number / 10) for number in range(6)]
    lines = []
    for number in range(6):
        at = 31 + number / 10 + 0.01
        if number % 2:
            lines += [log(number, "api-a", at, level="error", message="boom", status=500)]
        lines += [log(number, "nginx-1", at + 0.005, status=503, upstream="10.96.0.9:6379")]
    found = judged(lab, samples, lines)
    assert [(one.first_failed, one.requests, one.examined, one.alike) for one in found.causes] == [
        ("redis", 6, 6, 3),
        ("api", 6, 6, 3),
    ]


def test_a_slow_request_is_a_cause_of_its_own_behind_failed_ones(lab: Laboratory) -> None:
    samples = [request(1, 31, status=200, took_ms=900), request(2, 32)]
    lines = [
        log(1, "nginx-1", 31.9, status=200, request_time=0.899),
        log(1, "api-a", 31.895, status=200, duration_ms=890),
        log(2, "api-a", 32.01, level="error", status=503),
    ]
    found = judged(lab, samples, lines)
    assert [(one.trouble, one.first_failed) for one in found.causes] == [
        (Trouble.FAILED, "api"),
        (Trouble.SLOW, "api"),
    ]
    assert (found.failed, found.slow) == (1, 1)


def test_a_request_without_a_line_and_an_answer_failed_at_the_entry(lab: Laboratory) -> None:
    samples = [request(1, 31), request(2, 32, status=0, error="reset")]
    lines = [log(1, "nginx-1", 31.01, status=503, request_time=0.01)]
    unanswered = judged(lab, samples, lines).causes[1]
    assert unanswered.trouble is Trouble.UNKNOWN
    assert unanswered.first_failed == "nginx"
    assert unanswered.path.hops == ()


def test_a_fault_that_lasted_meanwhile_is_named_with_its_band(lab: Laboratory) -> None:
    (injected,) = lab.deletion().of(FaultInjected)
    healed = FaultHealed(stamp(40), SCENARIO, injected.fault, "healed", injected.injection)
    found = judged(lab, [request(1, 31), request(2, 45)], [], healed)
    (cause,) = found.causes
    assert cause.requests == 2
    (span,) = cause.path.faults
    assert (span.name, round(span.end_ms)) == (injected.fault, 9000)


def test_an_application_that_logs_no_ids_is_told_what_would_give_it_paths(lab: Laboratory) -> None:
    found = judged(lab, [request(1, 31)], [])
    assert found.note.startswith("No log line of 5 containers carries the id of one of these requests.")
    assert found.causes[0].path.why == "no log lines were kept"


def test_what_could_not_be_read_is_said(lab: Laboratory) -> None:
    told = dataclasses.replace(FOLLOWED, at=stamp(89.5), problem="Their logs may not be read.")
    assert judged(lab, [request(1, 31)], [], told).note == "Their logs may not be read."


def test_writes_without_an_acknowledgement_are_failures_and_refused_ones_are_none(lab: Laboratory) -> None:
    attempts = [
        Attempt("k1", 1, "{}", T0, T0, T0 + MS, WriteOutcome.REFUSED, 409, "", "sold_out", "a" * 32),
        Attempt("k2", 1, "{}", T0, T0, T0 + MS, WriteOutcome.UNKNOWN, 503, "", "status", "b" * 32),
        Attempt("k3", 1, "{}", T0, T0, 0, WriteOutcome.UNKNOWN, 0, "", "", "c" * 32),
    ]
    found = failure_paths(history(lab), Samples.of([]), attempts, KeptLogs(), slow_ms=500, t0_ns=T0)
    assert found is not None
    assert [(one.sender, one.outcome, one.requests) for one in found.causes] == [("ledger", "status 503", 1)]


def test_a_clean_scenario_has_no_paths(lab: Laboratory) -> None:
    good = Samples.of([request(number, 31, status=200) for number in range(5)])
    assert failure_paths(history(lab), good, (), KeptLogs(), slow_ms=500, t0_ns=T0) is None


def test_causes_are_bounded_and_what_is_left_out_is_counted(lab: Laboratory) -> None:
    found = judged(lab, [request(number, 31 + number, status=500 + number) for number in range(14)], [])
    assert (len(found.causes), found.causes_left_out) == (CAUSES_MAX, 4)


def test_hundred_thousand_failures_are_grouped_within_a_second_of_processor_time(lab: Laboratory) -> None:
    one = Samples.of([request(number, 31 + number / 1000, status=500 + number % 3) for number in range(1000)])
    many = one.where(np.repeat(np.arange(1000), 100))
    began = time.process_time()
    found = failure_paths(history(lab), many, (), KeptLogs(), slow_ms=500, t0_ns=T0)
    assert time.process_time() - began < 1.0
    assert found is not None
    assert (found.failed, len(found.causes)) == (100_000, 3)


def test_a_pod_that_is_gone_still_counts_for_its_workload(lab: Laboratory) -> None:
    gone = dataclasses.replace(lab.pod(60, "a"), change=ChangeKind.DELETED)
    lines = [log(1, "api-a", 31.01, level="error", status=500)]
    assert judged(lab, [request(1, 31)], lines, gone).causes[0].first_failed == "api"
