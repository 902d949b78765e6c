"""Defaults of the group batch: jobs and cron jobs."""

from flametest.sandbox.apiserver.defaults.pods import default_template
from flametest.sandbox.objects import Object

__all__ = ["default_cron_job", "default_job", "prepare_cron_job", "prepare_job"]

UNLIMITED_RETRIES = 2**31 - 1


def prepare_job(job: Object) -> None:
    """Give a new job its status, and a selector by its uid unless it brings its own."""
    job["status"] = {}
    spec = job.setdefault("spec", {})
    if spec.get("manualSelector"):
        return
    uid, name = job["metadata"]["uid"], job["metadata"]["name"]
    template_labels = spec.setdefault("template", {}).setdefault("metadata", {}).setdefault("labels", {})
    for prefix in ("batch.kubernetes.io/", ""):
        template_labels[f"{prefix}controller-uid"] = uid
        template_labels[f"{prefix}job-name"] = name
    selector = spec.setdefault("selector", {}).setdefault("matchLabels", {})
    selector["batch.kubernetes.io/controller-uid"] = uid


def default_job(job: Object) -> None:
    """Fill in a job: one completion, six retries."""
    spec = job.setdefault("spec", {})
    default_template(spec.setdefault("template", {}))
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", UNLIMITED_RETRIES if "backoffLimitPerIndex" in spec else 6)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("manualSelector", False)
    spec.setdefault("suspend", False)
    spec.setdefault("podReplacementPolicy", "Failed" if "podFailurePolicy" in spec else "TerminatingOrFailed")
    labels = spec["template"]["metadata"].get("labels")
    if labels and not job["metadata"].get("labels"):
        job["metadata"]["labels"] = dict(labels)


def prepare_cron_job(cron_job: Object) -> None:
    """Give a new cron job its empty status."""
    cron_job["status"] = {}


def default_cron_job(cron_job: Object) -> None:
    """Fill in a cron job; the job's own defaults come when a job is made of it."""
    spec = cron_job.setdefault("spec", {})
    spec.setdefault("concurrencyPolicy", "Allow")
    spec.setdefault("suspend", False)
    spec.setdefault("successfulJobsHistoryLimit", 3)
    spec.setdefault("failedJobsHistoryLimit", 1)
    job_template = spec.setdefault("jobTemplate", {})
    job_template.setdefault("metadata", {})
    default_template(job_template.setdefault("spec", {}).setdefault("template", {}))
