"""How often pods of a Job have succeeded and failed, each counted once although pods come and go.

Pure functions. A finished pod is first noted by its identifier; when its finalizer is off, the note becomes a count.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from flametest.sandbox.controllers.metadata import is_being_deleted
from flametest.sandbox.controllers.pods import is_terminal, phase_of
from flametest.sandbox.objects import Object

__all__ = ["TRACKING_FINALIZER", "Tally", "finished_at", "tally"]

TRACKING_FINALIZER = "batch.kubernetes.io/job-tracking"


@dataclass(frozen=True, slots=True)
class Tally:
    """The counts of a Job.

    Attributes:
        settled_succeeded: successes that are counted for good.
        settled_failed: failures that are.
        noted: identifiers of pods that are noted but not yet counted, as the status has them.
        noted_before: identifiers that the stored status has noted already: their finalizers may go.
        tracked: the pods that still carry the finalizer.
    """

    settled_succeeded: int
    settled_failed: int
    noted: Object
    noted_before: frozenset[str]
    tracked: tuple[Object, ...]

    @property
    def succeeded(self) -> int:
        """All successes."""
        return self.settled_succeeded + len(self.noted.get("succeeded", ()))

    @property
    def failed(self) -> int:
        """All failures."""
        return self.settled_failed + len(self.noted.get("failed", ()))

    @property
    def is_open(self) -> bool:
        """Whether a finished pod waits to be counted."""
        return bool(self.noted)


def tally(job: Object, pods: Iterable[Object]) -> Tally:
    """Return the counts after what is seen of the pods."""
    status: Object = job.get("status") or {}
    stored: Object = status.get("uncountedTerminatedPods") or {}
    tracked = tuple(pod for pod in pods if TRACKING_FINALIZER in (pod["metadata"].get("finalizers") or []))
    held = {pod["metadata"]["uid"]: pod for pod in tracked}
    settled, noted = {}, {}
    for kind in ("succeeded", "failed"):
        before = stored.get(kind) or []
        open_before = [uid for uid in before if uid in held]
        settled[kind] = int(status.get(kind) or 0) + len(before) - len(open_before)
        fresh = [uid for uid, pod in held.items() if _outcome(pod) == kind and uid not in before]
        noted[kind] = open_before + fresh
    return Tally(
        settled["succeeded"],
        settled["failed"],
        {kind: uids for kind, uids in noted.items() if uids},
        frozenset(uid for uids in stored.values() for uid in uids),
        tracked,
    )


def _outcome(pod: Object) -> str:
    """Return how a pod has ended; empty while it has not. One that was deleted before it ended has failed."""
    if phase_of(pod) == "Succeeded":
        return "succeeded"
    gone = is_being_deleted(pod) and not pod["metadata"].get("deletionGracePeriodSeconds")
    return "failed" if is_terminal(pod) or gone else ""


def finished_at(pod: Object, phase: str) -> str | None:
    """Return the API time when the last container of a pod of this phase ended; None if that is not known."""
    if phase_of(pod) != phase:
        return None
    statuses = (pod.get("status") or {}).get("containerStatuses") or []
    ends = [((each.get("state") or {}).get("terminated") or {}).get("finishedAt") for each in statuses]
    return max(filter(None, ends), default=None)
