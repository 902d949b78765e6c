"""What is refused of jobs and cron jobs."""

import re

from flametest.sandbox.apiserver.failures import Cause, bad_value, required, unsupported_value
from flametest.sandbox.apiserver.selectors import matches_selector
from flametest.sandbox.apiserver.validation.names import check_enum, check_not_negative
from flametest.sandbox.apiserver.validation.pods import check_template
from flametest.sandbox.objects import Object

__all__ = ["check_cron_job", "check_job", "check_job_update", "is_schedule"]

_MACROS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def _check_template(template: Object, field: str) -> list[Cause]:
    policy = template["spec"].get("restartPolicy")
    if policy in ("OnFailure", "Never"):
        return check_template(template, field)
    supported = ("Never", "OnFailure")
    others = [cause for cause in check_template(template, field) if not cause.field.endswith(".restartPolicy")]
    return [*others, unsupported_value(f"{field}.spec.restartPolicy", policy, supported)]


def check_job(job: Object) -> list[Cause]:
    """Return the faults of a job."""
    spec = job["spec"]
    causes: list[Cause] = []
    for name in ("completions", "parallelism", "backoffLimit", "activeDeadlineSeconds", "ttlSecondsAfterFinished"):
        causes += check_not_negative(spec, name, "spec")
    causes += check_enum(spec["completionMode"], "spec.completionMode", ("Indexed", "NonIndexed"))
    selector = spec.get("selector")
    if selector is None:
        causes.append(required("spec.selector"))
    else:
        labels = spec["template"].get("metadata", {}).get("labels", {})
        if not matches_selector(selector, labels):
            detail = "`selector` does not match template `labels`"
            causes.append(bad_value("spec.template.metadata.labels", labels, detail))
    return causes + _check_template(spec["template"], "spec.template")


def check_job_update(new: Object, old: Object) -> list[Cause]:
    """Return the faults of a change of what stays fixed in a job."""
    names = ("completions", "selector", "template", "completionMode", "podFailurePolicy", "backoffLimitPerIndex")
    changed = [name for name in names if new["spec"].get(name) != old["spec"].get(name)]
    return [bad_value(f"spec.{name}", new["spec"].get(name), "field is immutable") for name in changed]


def check_cron_job(cron_job: Object) -> list[Cause]:
    """Return the faults of a cron job."""
    spec = cron_job["spec"]
    causes = check_enum(spec["concurrencyPolicy"], "spec.concurrencyPolicy", ("Allow", "Forbid", "Replace"))
    schedule = spec.get("schedule", "")
    if not schedule:
        causes.append(required("spec.schedule"))
    elif not is_schedule(schedule):
        detail = (
            "must be five fields of cron (minute, hour, day of month, month, day of week) or a macro such as @daily"
        )
        causes.append(bad_value("spec.schedule", schedule, detail))
    for name in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit", "startingDeadlineSeconds"):
        causes += check_not_negative(spec, name, "spec")
    template = spec["jobTemplate"]["spec"]["template"]
    return causes + _check_template(template, "spec.jobTemplate.spec.template")


def is_schedule(text: str) -> bool:
    """Return whether a text is a schedule of cron as cron jobs take it."""
    if text in _MACROS or re.fullmatch(r"@every (\d+(\.\d+)?(ns|us|ms|s|m|h))+", text):
        return True
    fields = text.split()
    ranges = ((0, 59, ()), (0, 23, ()), (1, 31, ()), (1, 12, _MONTHS), (0, 7, _DAYS))
    return len(fields) == 5 and all(_is_field(f, *r) for f, r in zip(fields, ranges, strict=True))


def _is_field(text: str, low: int, high: int, names: tuple[str, ...]) -> bool:
    for part in text.lower().split(","):
        span, slash, step = part.partition("/")
        if slash and not (step.isdecimal() and int(step) > 0):
            return False
        if span in ("*", "?"):
            continue
        ends = [_number(end, low, names) for end in span.split("-")]
        if len(ends) > 2 or any(end is None or not low <= end <= high for end in ends):
            return False
    return True


def _number(text: str, low: int, names: tuple[str, ...]) -> int | None:
    if text in names:
        return names.index(text) + low
    return int(text) if text.isdecimal() else None
