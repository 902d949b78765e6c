"""Schedules of cron, and CronJobs that follow them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.sandbox.controllers.changes import Create, Delete, UpdateStatus
from flametest.sandbox.controllers.cronjob import Observed, plan
from flametest.sandbox.controllers.cronschedule import parse_schedule
from flametest.sandbox.objects import Object

START = datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC)


def following(schedule: str, after: str) -> str:
    found = parse_schedule(schedule).next_after(datetime.fromisoformat(after))
    return found.isoformat(timespec="minutes") if found else ""


@pytest.mark.parametrize(
    ("schedule", "after", "due"),
    [
        ("* * * * *", "2026-01-01T00:00:30", "2026-01-01T00:01"),
        ("*/15 * * * *", "2026-01-01T00:50:00", "2026-01-01T01:00"),
        ("0 9-17/4 * * mon-fri", "2026-01-02T17:30:00", "2026-01-05T09:00"),
        ("30 4 1,15 * 5", "2026-01-01T05:00:00", "2026-01-02T04:30"),  # the 15th, or a Friday
        ("0 0 29 feb *", "2026-01-01T00:00:00", "2028-02-29T00:00"),
        ("0 0 * * 7", "2026-01-01T00:00:00", "2026-01-04T00:00"),
        ("@hourly", "2026-01-01T00:00:00", "2026-01-01T01:00"),
        ("0 0 31 2 *", "2026-01-01T00:00:00", ""),
    ],
)
def test_the_next_time_of_a_schedule(schedule: str, after: str, due: str) -> None:
    assert following(schedule, after) == due


@pytest.mark.parametrize("text", ["", "* * * *", "60 * * * *", "* * * * mo", "5-1 * * * *", "*/0 * * * *", "@often"])
def test_text_that_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - int() says it in its own words
        parse_schedule(text)


@given(st.integers(0, 59), st.integers(1, 30), st.integers(0, 60 * 24 * 400))
def test_times_come_in_order_and_on_the_schedule(minute: int, step: int, offset: int) -> None:
    schedule = parse_schedule(f"{minute},*/{step} * * * *")
    moment = START + timedelta(minutes=offset)
    found = schedule.next_after(moment)
    assert found is not None
    assert moment < found <= moment + timedelta(hours=1, minutes=1)
    assert found.minute == minute or found.minute % step == 0


def cron_job(created: datetime, **spec: Any) -> Object:
    job: Object = {"spec": {"template": {"spec": {"containers": []}}}}
    metadata = {"name": "tick", "namespace": "default", "uid": "u", "creationTimestamp": created.isoformat()}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": metadata,
        "spec": {"schedule": "* * * * *", "jobTemplate": job, **spec},
    }


def a_job(name: str, outcome: str = "") -> Object:
    conditions = [{"type": outcome, "status": "True"}] if outcome else []
    metadata = {"name": name, "namespace": "default", "uid": f"uid-{name}", "resourceVersion": "1"}
    return {"metadata": metadata, "status": {"conditions": conditions, "startTime": name}}


def test_a_job_is_made_when_its_time_comes_and_not_before() -> None:
    owner = cron_job(START)
    early = plan(Observed(owner, (), START + timedelta(seconds=10)))
    assert (early.changes, early.revisit_seconds) == ((), 20)
    due = plan(Observed(owner, (), START + timedelta(seconds=31)))
    (made,) = [change.object for change in due.changes if isinstance(change, Create)]
    assert made["metadata"]["name"] == f"tick-{int((START + timedelta(seconds=30)).timestamp()) // 60}"
    (status,) = [change.object["status"] for change in due.changes if isinstance(change, UpdateStatus)]
    assert status["lastScheduleTime"] == "2026-01-01T00:01:00Z"
    again = plan(Observed({**owner, "status": status}, (a_job("one"),), START + timedelta(seconds=40)))
    assert not any(isinstance(change, Create) for change in again.changes)


def test_forbid_waits_for_the_running_job_and_replace_ends_it() -> None:
    later, running = START + timedelta(minutes=1), (a_job("running"),)
    forbidden = plan(Observed(cron_job(START, concurrencyPolicy="Forbid"), running, later)).changes
    assert not any(isinstance(change, Create) for change in forbidden)
    replaced = plan(Observed(cron_job(START, concurrencyPolicy="Replace"), running, later)).changes
    assert [type(change) for change in replaced] == [Delete, Create, UpdateStatus]


def test_a_suspended_one_makes_none_and_one_that_is_too_late_skips_its_time() -> None:
    later = START + timedelta(minutes=1)
    assert not plan(Observed(cron_job(START, suspend=True), (), later)).changes
    late = cron_job(START, schedule="0 * * * *", startingDeadlineSeconds=10)
    assert not plan(Observed(late, (), START + timedelta(hours=1, minutes=5))).changes


def test_old_jobs_beyond_the_limits_are_forgotten() -> None:
    jobs = tuple(a_job(f"{outcome}-{index}", outcome) for outcome in ("Complete", "Failed") for index in range(4))
    changes = plan(Observed(cron_job(START, suspend=True), jobs, START)).changes
    gone = [change.reference.name for change in changes if isinstance(change, Delete)]
    assert gone == ["Complete-0", "Failed-0", "Failed-1", "Failed-2"]
