"""What a deletion does to an object: pure decisions about grace, finalizers and propagation.

The rules are those of Kubernetes: a bound pod goes gracefully, finalizers hold an object, and the propagation policy
is written down as a finalizer that the garbage collector takes off when it has done its work.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from flametest.sandbox.apiserver.failures import bad_request
from flametest.sandbox.apiserver.resources import Resource
from flametest.sandbox.errors import conflict
from flametest.sandbox.objects import Object

__all__ = ["DeleteOptions", "Deletion", "Propagation", "may_go", "plan_deletion"]

Propagation = Literal["Background", "Foreground", "Orphan"]

GRACE_SECONDS_DEFAULT = 30
_POLICY_FINALIZERS = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """How something is to be deleted.

    Attributes:
        grace_seconds: for a pod's processes to end; None for what the pod says.
        propagation: what happens to dependents; None for the kind's default.
        uid: the object has to have it; empty for any.
        resource_version: the object has to have it; empty for any.
        dry_run: only say what would be.
    """

    grace_seconds: int | None = None
    propagation: Propagation | None = None
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Deletion:
    """What a deletion does.

    Attributes:
        marked: the object as it has to be stored first; None when it stays as it is.
        removed: whether it then goes at once.
    """

    marked: Object | None
    removed: bool


def plan_deletion(resource: Resource, obj: Object, options: DeleteOptions, now: datetime) -> Deletion:
    """Decide what deleting ``obj`` does; ``obj`` is the caller's own copy and is changed.

    Raises:
        StatusError: 409, a precondition does not hold; 400, the grace is negative.
    """
    _check_preconditions(resource, obj, options)
    if options.grace_seconds is not None and options.grace_seconds < 0:
        raise bad_request("gracePeriodSeconds: Invalid value: must be greater than or equal to 0")
    changed = _set_policy(resource, obj["metadata"], options.propagation)
    if resource.kind == "Pod":
        return _plan_pod(obj, options.grace_seconds, now, changed)
    metadata = obj["metadata"]
    if not metadata.get("finalizers"):
        return Deletion(None, removed=True)
    if "deletionTimestamp" not in metadata:
        _mark(metadata, 0, now)
        changed = True
    return Deletion(obj if changed else None, removed=False)


def may_go(obj: Object) -> bool:
    """Return whether an object that is being deleted has nothing left that holds it."""
    metadata = obj["metadata"]
    held = metadata.get("finalizers") or metadata.get("deletionGracePeriodSeconds", 0) > 0
    return "deletionTimestamp" in metadata and not held


def _check_preconditions(resource: Resource, obj: Object, options: DeleteOptions) -> None:
    metadata = obj["metadata"]
    for wanted, found, title in (
        (options.uid, metadata["uid"], "UID"),
        (options.resource_version, metadata["resourceVersion"], "ResourceVersion"),
    ):
        if wanted and wanted != found:
            message = f"Precondition failed: {title} in precondition: {wanted}, {title} in object meta: {found}"
            raise conflict(resource.name, metadata["name"], message)


def _set_policy(resource: Resource, metadata: Object, policy: Propagation | None) -> bool:
    """Write the propagation policy into the finalizers; return whether they changed."""
    before = metadata.get("finalizers", [])
    if policy is None:
        known = [name for name in before if name in _POLICY_FINALIZERS.values()]
        if known or not resource.orphans:
            return False
        policy = "Orphan"
    after = [name for name in before if name not in _POLICY_FINALIZERS.values()]
    if policy in _POLICY_FINALIZERS:
        after.append(_POLICY_FINALIZERS[policy])
    if after == before:
        return False
    metadata["finalizers"] = after
    if not after:
        del metadata["finalizers"]
    return True


def _grace_of(pod: Object, asked_seconds: int | None) -> int:
    spec, phase = pod["spec"], pod.get("status", {}).get("phase")
    if not spec.get("nodeName") or phase in ("Succeeded", "Failed"):
        return 0
    if asked_seconds is not None:
        return asked_seconds
    return int(spec.get("terminationGracePeriodSeconds", GRACE_SECONDS_DEFAULT))


def _plan_pod(pod: Object, asked_seconds: int | None, now: datetime, changed: bool) -> Deletion:
    metadata = pod["metadata"]
    before = metadata.get("deletionGracePeriodSeconds")
    if "deletionTimestamp" not in metadata:
        _mark(metadata, _grace_of(pod, asked_seconds), now)
        changed = True
    elif asked_seconds is not None and before is not None and asked_seconds < before:
        # Only a shorter grace counts; the end moves forward by the difference.
        end = datetime.fromisoformat(metadata["deletionTimestamp"]) - timedelta(seconds=before - asked_seconds)
        metadata["deletionTimestamp"] = _stamp(end)
        metadata["deletionGracePeriodSeconds"] = asked_seconds
        changed = True
    return Deletion(pod if changed else None, removed=may_go(pod))


def _mark(metadata: Object, grace_seconds: int, now: datetime) -> None:
    metadata["deletionTimestamp"] = _stamp(now + timedelta(seconds=grace_seconds))
    metadata["deletionGracePeriodSeconds"] = grace_seconds
    if metadata.get("generation"):
        metadata["generation"] += 1


def _stamp(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
