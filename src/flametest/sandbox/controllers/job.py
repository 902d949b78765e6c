"""Jobs: pods that run until so many of them have succeeded, or too many failed.

A finished pod is counted once: it carries a finalizer, its identifier is noted in the status, the finalizer is taken
off, and only then it moves from the note to the count (k8s.io/kubernetes, pkg/controller/job). Indexed completion is
not done: such Jobs count their pods like others.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from flametest.sandbox.cache import Cache, Transition
from flametest.sandbox.controllers.changes import Change, Create, Delete, Failure, Key, Note, Plan, Update, UpdateStatus
from flametest.sandbox.controllers.jobcount import TRACKING_FINALIZER, Tally, finished_at, tally
from flametest.sandbox.controllers.metadata import (
    claim,
    condition_of,
    controller_reference,
    is_being_deleted,
    keys_of_controllers,
    may_own,
    own_keys,
    reference_of,
    seconds_since,
    with_status,
)
from flametest.sandbox.controllers.pods import is_active, is_ready, is_terminating, pod_from_template, restart_count
from flametest.sandbox.objects import Object
from flametest.sandbox.timestamps import format_time

__all__ = ["JobController", "Observed", "plan"]

RESOURCE = "jobs.batch"

# The pause after a failed pod doubles from ten seconds to ten minutes, as in the real controller.
_BACK_OFF_SECONDS, _BACK_OFF_SECONDS_MAX = 10.0, 600.0


@dataclass(frozen=True, slots=True)
class Observed:
    """What a decision about a Job rests on: it, the pods that it owns or might adopt, the present time."""

    job: Object
    pods: tuple[Object, ...]
    now: datetime


@dataclass(frozen=True, slots=True)
class _Verdict:
    """How a Job ends: the condition that says so first and the one that says so when its pods are gone."""

    target: str
    condition: str
    reason: str
    message: str


_COMPLETED = _Verdict(
    "SuccessCriteriaMet", "Complete", "CompletionsReached", "Reached expected number of succeeded pods"
)
_TOO_MANY_FAILURES = _Verdict(
    "FailureTarget", "Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit"
)
_TOO_LATE = _Verdict("FailureTarget", "Failed", "DeadlineExceeded", "Job was active longer than specified deadline")


def plan(observed: Observed) -> Plan:
    """Return the next step of a Job: pods to make, to delete or to count, and its status."""
    job = observed.job
    claimed = claim(job, job["spec"].get("selector"), "pods", observed.pods)
    counted = tally(job, claimed.objects)
    # A pod's finalizer goes even when its Job has ended or is being deleted: nothing else would take it off.
    releases = [*claimed.changes, *_releases(counted, job)]
    if is_being_deleted(job) or _has_ended(job):
        return Plan(tuple(releases)) if releases else _after_the_end(observed)
    verdict = _verdict(observed, counted)
    active = [pod for pod in claimed.objects if is_active(pod)]
    wait = _wait_seconds(observed, claimed.objects, counted)
    scaling = _scaling(job, active, counted, verdict, held_back=bool(wait))
    status = _status(observed, claimed.objects, counted, verdict)
    changes: list[Change] = []
    if status != job.get("status"):
        changes.append(UpdateStatus(RESOURCE, with_status(job, status)))
        if verdict and condition_of({"status": status}, verdict.condition) is not None:
            changes.append(_final_note(job, verdict))
    return Plan((*changes, *releases, *scaling), _soonest(wait, _deadline_seconds(observed)))


def _has_ended(job: Object) -> bool:
    return any((condition_of(job, kind) or {}).get("status") == "True" for kind in ("Complete", "Failed"))


def _releases(counted: Tally, job: Object) -> list[Change]:
    """Return the updates that take the finalizer off pods that are noted, or all of them once the Job ends."""
    noted = counted.noted_before
    ended = is_being_deleted(job) or _has_ended(job)
    return [
        Update("pods", _without_tracking(pod)) for pod in counted.tracked if ended or pod["metadata"]["uid"] in noted
    ]


def _without_tracking(pod: Object) -> Object:
    finalizers = [each for each in pod["metadata"]["finalizers"] if each != TRACKING_FINALIZER]
    metadata = {key: value for key, value in pod["metadata"].items() if key != "finalizers"}
    return {**pod, "metadata": metadata | ({"finalizers": finalizers} if finalizers else {})}


def _after_the_end(observed: Observed) -> Plan:
    seconds = _seconds_to_live(observed)
    if is_being_deleted(observed.job) or seconds is None or seconds > 0:
        return Plan(revisit_seconds=seconds)
    return Plan((Delete(reference_of(RESOURCE, observed.job), observed.job["metadata"]["uid"]),))


def _seconds_to_live(observed: Observed) -> float | None:
    limit = observed.job["spec"].get("ttlSecondsAfterFinished")
    ended = next((each for kind in ("Complete", "Failed") if (each := condition_of(observed.job, kind))), None)
    if limit is None or ended is None:
        return None
    return max(float(limit) - seconds_since(ended["lastTransitionTime"], observed.now), 0.0)


def _verdict(observed: Observed, counted: Tally) -> _Verdict | None:
    job, spec = observed.job, observed.job["spec"]
    told = condition_of(job, "FailureTarget") or {}
    if told:
        return _Verdict("FailureTarget", "Failed", told["reason"], told["message"])
    completions, active = spec.get("completions"), [pod for pod in observed.pods if is_active(pod)]
    restarts = sum(restart_count(pod) for pod in active) if _restarts_in_place(job) else 0
    limit = int(spec.get("backoffLimit", 6))
    if counted.failed > limit or (restarts and restarts >= max(limit, 1)):
        return _TOO_MANY_FAILURES
    remaining = _deadline_seconds(observed)
    if remaining is not None and remaining <= 0:
        return _TOO_LATE
    done = counted.succeeded >= completions if completions is not None else counted.succeeded and not active
    return _COMPLETED if done else None


def _restarts_in_place(job: Object) -> bool:
    return bool(job["spec"]["template"]["spec"].get("restartPolicy") == "OnFailure")


def _deadline_seconds(observed: Observed) -> float | None:
    """Return for how many seconds the Job may still be active; None for no limit."""
    limit = observed.job["spec"].get("activeDeadlineSeconds")
    started = (observed.job.get("status") or {}).get("startTime")
    return None if limit is None or not started else float(limit) - seconds_since(started, observed.now)


def _wait_seconds(observed: Observed, pods: Iterable[Object], counted: Tally) -> float | None:
    """Return for how many seconds no new pod is made because pods failed lately; None for no wait."""
    if not counted.failed:
        return None
    pause = min(_BACK_OFF_SECONDS * 2.0 ** (counted.failed - 1), _BACK_OFF_SECONDS_MAX)
    ends = [seconds_since(end, observed.now) for pod in pods if (end := finished_at(pod, "Failed"))]
    left = pause - min(ends, default=pause)
    return left if left > 0 else None


def _soonest(*waits: float | None) -> float | None:
    return min((wait for wait in waits if wait is not None and wait > 0), default=None)


def _scaling(
    job: Object, active: list[Object], counted: Tally, verdict: _Verdict | None, *, held_back: bool
) -> list[Change]:
    wanted = 0 if verdict or job["spec"].get("suspend") else _wanted(job, counted, len(active))
    if wanted < len(active):
        ordered = sorted(active, key=lambda pod: (is_ready(pod), pod["metadata"]["name"]))
        return [_deletion(job, pod) for pod in ordered[: len(active) - wanted]]
    return [] if held_back else [_creation(job) for _ in range(wanted - len(active))]


def _wanted(job: Object, counted: Tally, active: int) -> int:
    parallelism, completions = int(job["spec"].get("parallelism", 1)), job["spec"].get("completions")
    if completions is None:
        # A queue of work: once one pod has succeeded, the others finish and none is made any more.
        return active if counted.succeeded else parallelism
    return max(min(parallelism, int(completions) - counted.succeeded), 0)


def _creation(job: Object) -> Create:
    metadata = job["metadata"]
    pod = pod_from_template(
        job["spec"]["template"],
        {
            "generateName": f"{metadata['name']}-",
            "namespace": metadata["namespace"],
            "finalizers": [TRACKING_FINALIZER],
            "ownerReferences": [controller_reference(job)],
        },
    )
    failed = Note(job, "FailedCreate", "Error creating: {error}", "Warning")
    return Create("pods", pod, Note(job, "SuccessfulCreate", "Created pod: {name}"), failed)


def _deletion(job: Object, pod: Object) -> Delete:
    note = Note(job, "SuccessfulDelete", "Deleted pod: {name}")
    return Delete(reference_of("pods", pod), pod["metadata"]["uid"], note)


def _final_note(job: Object, verdict: _Verdict) -> Note:
    if verdict is _COMPLETED:
        return Note(job, "Completed", "Job completed")
    return Note(job, verdict.reason, verdict.message, "Warning")


def _status(observed: Observed, pods: tuple[Object, ...], counted: Tally, verdict: _Verdict | None) -> Object:
    job, now = observed.job, observed.now
    before: Object = job.get("status") or {}
    active = [] if verdict else [pod for pod in pods if is_active(pod)]
    terminating = sum(is_terminating(pod) or (verdict is not None and is_active(pod)) for pod in pods)
    counts = {"active": len(active), "succeeded": counted.settled_succeeded, "failed": counted.settled_failed}
    status: Object = {name: count for name, count in counts.items() if count}
    status |= {"ready": sum(is_ready(pod) for pod in active), "terminating": terminating}
    status["uncountedTerminatedPods"] = counted.noted
    conditions = _conditions(observed, before.get("conditions") or [], counted, verdict, terminating)
    if conditions:
        status["conditions"] = conditions
    if not job["spec"].get("suspend"):
        status["startTime"] = before.get("startTime") or format_time(now)
    if any(each["type"] == "Complete" for each in conditions):
        status["completionTime"] = before.get("completionTime") or format_time(now)
    return status


def _conditions(
    observed: Observed, current: list[Object], counted: Tally, verdict: _Verdict | None, terminating: int
) -> list[Object]:
    wanted: list[tuple[str, str, str, str]] = []
    if verdict:
        wanted.append((verdict.target, "True", verdict.reason, verdict.message))
        if not counted.is_open and not terminating:
            wanted.append((verdict.condition, "True", verdict.reason, verdict.message))
    suspended = bool(observed.job["spec"].get("suspend"))
    if suspended:
        wanted.append(("Suspended", "True", "JobSuspended", "Job suspended"))
    elif any(each["type"] == "Suspended" for each in current):
        wanted.append(("Suspended", "False", "JobResumed", "Job resumed"))
    conditions = list(current)
    for kind, status, reason, message in wanted:
        told = next((each for each in conditions if each["type"] == kind), {})
        if told.get("status") == status:
            continue
        stamp = format_time(observed.now)
        made = {"type": kind, "status": status, "lastProbeTime": stamp, "lastTransitionTime": stamp}
        made |= {"reason": reason, "message": message}
        conditions = [*(each for each in conditions if each["type"] != kind), made]
    return conditions


class JobController:
    """Feeds `plan` from the cache."""

    name = "job-controller"
    watches = (RESOURCE, "pods")

    def keys(self, transition: Transition, cache: Cache) -> Iterable[Key]:
        """Return the Job itself, or that of a pod."""
        if transition.resource == RESOURCE:
            return own_keys(transition)
        return keys_of_controllers(transition, "Job")

    def reconcile(self, key: Key, cache: Cache, now: datetime, failure: Failure | None) -> Plan:
        """Return the plan for one Job; for one that is gone, what frees the pods that it left."""
        job = cache.get(RESOURCE, key.namespace, key.name)
        if job is None:
            return Plan(tuple(_freed(cache, key)))
        pods = tuple(pod for pod in cache.objects_of("pods", key.namespace) if may_own(job, pod))
        return plan(Observed(job, pods, now))


def _freed(cache: Cache, key: Key) -> Iterable[Change]:
    for pod in cache.objects_of("pods", key.namespace):
        owners = pod["metadata"].get("ownerReferences") or []
        named = any(owner["kind"] == "Job" and owner["name"] == key.name for owner in owners)
        if named and TRACKING_FINALIZER in (pod["metadata"].get("finalizers") or []):
            yield Update("pods", _without_tracking(pod))
