"""CronJobs: a Job at every time of a schedule.

Rules: the real controller (k8s.io/kubernetes, pkg/controller/cronjob). A Job's name holds its time in minutes, so that
no time is served twice.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from flametest.sandbox.cache import Cache, Transition
from flametest.sandbox.controllers.changes import Change, Create, Delete, Failure, Key, Note, Plan, UpdateStatus
from flametest.sandbox.controllers.cronschedule import Schedule, parse_schedule
from flametest.sandbox.controllers.metadata import (
    condition_of,
    controller_reference,
    is_being_deleted,
    keys_of_controllers,
    own_keys,
    reference_of,
    with_status,
)
from flametest.sandbox.objects import Object
from flametest.sandbox.timestamps import format_time, parse_time

__all__ = ["CronJobController", "Observed", "plan"]

RESOURCE = "cronjobs.batch"
JOBS = "jobs.batch"
_TIME_ANNOTATION = "batch.kubernetes.io/cronjob-scheduled-timestamp"

# The real controller gives up on the times that it missed when they are more than this.
_MISSED_TIMES_MAX = 100


@dataclass(frozen=True, slots=True)
class Observed:
    """A CronJob, the Jobs that it has made, and the present time."""

    cron_job: Object
    jobs: tuple[Object, ...]
    now: datetime


def plan(observed: Observed) -> Plan:
    """Return the Job that is due, the old ones that may go, the status, and when the next time comes."""
    owner = observed.cron_job
    if is_being_deleted(owner):
        return Plan()
    schedule = parse_schedule(owner["spec"]["schedule"])
    changes: list[Change] = list(_forgotten(observed))
    due = None if owner["spec"].get("suspend") else _due(observed, schedule)
    active = [job for job in observed.jobs if not _outcome(job)]
    if due is not None and not (active and owner["spec"].get("concurrencyPolicy") == "Forbid"):
        if owner["spec"].get("concurrencyPolicy") == "Replace":
            changes += [_deletion(job) for job in active]
            active = []
        changes.append(_creation(owner, due))
    else:
        due = None
    status = _status(observed, active, due)
    if status != (owner.get("status") or {}):
        changes.append(UpdateStatus(RESOURCE, with_status(owner, status)))
    upcoming = schedule.next_after(observed.now.astimezone(_zone(owner)))
    wait = None if upcoming is None else (upcoming - observed.now).total_seconds()
    return Plan(tuple(changes), wait)


def _zone(owner: Object) -> ZoneInfo:
    return ZoneInfo(owner["spec"].get("timeZone") or "UTC")


def _due(observed: Observed, schedule: Schedule) -> datetime | None:
    """Return the latest time that has come and was not served; None if there is none, or if it is too late for it."""
    owner, now = observed.cron_job, observed.now.astimezone(_zone(observed.cron_job))
    served = (owner.get("status") or {}).get("lastScheduleTime") or owner["metadata"]["creationTimestamp"]
    earliest = parse_time(served).astimezone(now.tzinfo)
    deadline = owner["spec"].get("startingDeadlineSeconds")
    if deadline is not None:
        earliest = max(earliest, now - timedelta(seconds=deadline))
    latest, coming = None, schedule.next_after(earliest)
    for _ in range(_MISSED_TIMES_MAX):
        if coming is None or coming > now:
            return latest
        latest, coming = coming, schedule.next_after(coming)
    return latest


def _creation(owner: Object, due: datetime) -> Create:
    metadata, template = owner["metadata"], owner["spec"]["jobTemplate"]
    given = template.get("metadata") or {}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": f"{metadata['name']}-{int(due.timestamp()) // 60}",
            "namespace": metadata["namespace"],
            "labels": given.get("labels") or {},
            "annotations": {**(given.get("annotations") or {}), _TIME_ANNOTATION: format_time(due)},
            "ownerReferences": [controller_reference(owner)],
        },
        "spec": template["spec"],
    }
    failed = Note(owner, "FailedCreate", "Error creating job: {error}", "Warning")
    return Create(JOBS, job, Note(owner, "SuccessfulCreate", "Created job {name}"), failed)


def _outcome(job: Object) -> str:
    """Return Complete or Failed for a Job that has ended, else an empty text."""
    ended = (kind for kind in ("Complete", "Failed") if (condition_of(job, kind) or {}).get("status") == "True")
    return next(ended, "")


def _deletion(job: Object) -> Delete:
    return Delete(reference_of(JOBS, job), job["metadata"]["uid"])


def _forgotten(observed: Observed) -> Iterable[Delete]:
    spec = observed.cron_job["spec"]
    for outcome, limit in (
        ("Complete", spec.get("successfulJobsHistoryLimit", 3)),
        ("Failed", spec.get("failedJobsHistoryLimit", 1)),
    ):
        ended = [job for job in observed.jobs if _outcome(job) == outcome and not is_being_deleted(job)]
        ended.sort(key=lambda job: job["status"].get("startTime") or "")
        yield from (_deletion(job) for job in ended[: max(len(ended) - limit, 0)])


def _status(observed: Observed, active: list[Object], due: datetime | None) -> Object:
    before: Object = observed.cron_job.get("status") or {}
    status: Object = {}
    if active:
        status["active"] = [_reference(job) for job in active]
    last = format_time(due.astimezone(UTC)) if due else before.get("lastScheduleTime")
    if last:
        status["lastScheduleTime"] = last
    ends = [job["status"]["completionTime"] for job in observed.jobs if (job.get("status") or {}).get("completionTime")]
    success = max([*ends, before.get("lastSuccessfulTime") or ""])
    return status | ({"lastSuccessfulTime": success} if success else {})


def _reference(job: Object) -> Object:
    metadata = job["metadata"]
    return {
        "kind": "Job",
        "namespace": metadata["namespace"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "apiVersion": "batch/v1",
        "resourceVersion": metadata["resourceVersion"],
    }


class CronJobController:
    """Feeds `plan` from the cache."""

    name = "cronjob-controller"
    watches = (RESOURCE, JOBS)

    def keys(self, transition: Transition, cache: Cache) -> Iterable[Key]:
        """Return the CronJob itself, or that of a Job."""
        return own_keys(transition) if transition.resource == RESOURCE else keys_of_controllers(transition, "CronJob")

    def reconcile(self, key: Key, cache: Cache, now: datetime, failure: Failure | None) -> Plan:
        """Return the plan for one CronJob; none for one that is gone."""
        owner = cache.get(RESOURCE, key.namespace, key.name)
        if owner is None:
            return Plan()
        return plan(Observed(owner, tuple(cache.owned(JOBS, owner["metadata"]["uid"])), now))
