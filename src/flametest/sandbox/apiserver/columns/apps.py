"""Columns of the groups apps and batch."""

from datetime import datetime
from typing import Any

from flametest.sandbox.apiserver.columns.basic import (
    NONE,
    Column,
    age_text,
    basic_columns,
    duration_text,
    parse_time,
    pod_columns,
)
from flametest.sandbox.objects import Object

__all__ = [
    "CONTROLLER_REVISION",
    "CRON_JOB",
    "DAEMON_SET",
    "DEPLOYMENT",
    "JOB",
    "REPLICATION_CONTROLLER",
    "REPLICA_SET",
    "STATEFUL_SET",
]


def _template(obj: Object) -> Object:
    template: Object = obj["spec"]["template"]
    return template


def _count(title: str, name: str) -> Column:
    return Column(title, lambda obj, _: obj.get("status", {}).get(name, 0), type="integer")


def _desired(obj: Object, _: datetime) -> Any:
    return obj["spec"].get("replicas", 0)


def _ready_of_desired(obj: Object, now: datetime) -> str:
    return f"{obj.get('status', {}).get('readyReplicas', 0)}/{_desired(obj, now)}"


def _node_selector(obj: Object, _: datetime) -> str:
    chosen = _template(obj)["spec"].get("nodeSelector", {})
    return ",".join(f"{key}={value}" for key, value in sorted(chosen.items())) or NONE


def _job_status(job: Object, _: datetime) -> str:
    true = {c.get("type") for c in job.get("status", {}).get("conditions", ()) if c.get("status") == "True"}
    for condition, shown in (
        ("Complete", "Complete"),
        ("Failed", "Failed"),
        ("Suspended", "Suspended"),
        ("FailureTarget", "FailureTarget"),
        ("SuccessCriteriaMet", "SuccessCriteriaMet"),
    ):
        if condition in true:
            return shown
    return "Terminating" if "deletionTimestamp" in job["metadata"] else "Running"


def _job_completions(job: Object, _: datetime) -> str:
    succeeded, spec = job.get("status", {}).get("succeeded", 0), job["spec"]
    if "completions" in spec:
        return f"{succeeded}/{spec['completions']}"
    parallel = spec.get("parallelism", 0)
    return f"{succeeded}/1 of {parallel}" if parallel > 1 else f"{succeeded}/1"


def _job_duration(job: Object, now: datetime) -> str:
    status = job.get("status", {})
    if "startTime" not in status:
        return ""
    end = parse_time(status["completionTime"]) if "completionTime" in status else now
    return duration_text((end - parse_time(status["startTime"])).total_seconds())


def _last_schedule(cron_job: Object, now: datetime) -> str:
    last = cron_job.get("status", {}).get("lastScheduleTime")
    return age_text(last, now) if last else NONE


def _owner(revision: Object, _: datetime) -> str:
    owners = [owner for owner in revision["metadata"].get("ownerReferences", ()) if owner.get("controller")]
    return (
        f"{owners[0]['kind'].lower()}.{owners[0]['apiVersion'].partition('/')[0]}/{owners[0]['name']}"
        if owners
        else NONE
    )


DEPLOYMENT = (
    *basic_columns(
        Column("Ready", _ready_of_desired),
        _count("Up-to-date", "updatedReplicas"),
        _count("Available", "availableReplicas"),
    ),
    *pod_columns(_template, selector=True),
)
REPLICA_SET = (
    *basic_columns(
        Column("Desired", _desired, type="integer"), _count("Current", "replicas"), _count("Ready", "readyReplicas")
    ),
    *pod_columns(_template, selector=True),
)
REPLICATION_CONTROLLER = REPLICA_SET
STATEFUL_SET = (*basic_columns(Column("Ready", _ready_of_desired)), *pod_columns(_template, selector=False))
DAEMON_SET = (
    *basic_columns(
        _count("Desired", "desiredNumberScheduled"),
        _count("Current", "currentNumberScheduled"),
        _count("Ready", "numberReady"),
        _count("Up-to-date", "updatedNumberScheduled"),
        _count("Available", "numberAvailable"),
        Column("Node Selector", _node_selector),
    ),
    *pod_columns(_template, selector=True),
)
CONTROLLER_REVISION = basic_columns(
    Column("Controller", _owner), Column("Revision", lambda obj, _: obj.get("revision", 0), type="integer")
)
JOB = (
    *basic_columns(
        Column("Status", _job_status), Column("Completions", _job_completions), Column("Duration", _job_duration)
    ),
    *pod_columns(_template, selector=True),
)
CRON_JOB = (
    *basic_columns(
        Column("Schedule", lambda obj, _: obj["spec"].get("schedule", "")),
        Column("Timezone", lambda obj, _: obj["spec"].get("timeZone") or NONE),
        Column("Suspend", lambda obj, _: "True" if obj["spec"].get("suspend") else "False", type="boolean"),
        Column("Active", lambda obj, _: len(obj.get("status", {}).get("active", ())), type="integer"),
        Column("Last Schedule", _last_schedule),
    ),
    *pod_columns(lambda obj: obj["spec"]["jobTemplate"]["spec"]["template"], selector=False),
)
