"""How workloads stand that few systems have: bare ReplicaSets, ReplicationControllers, and Jobs.

They are asked for by name, object by object, since that takes no right which applying them did not take.
"""

from collections.abc import Iterable, Iterator

from flametest.kube.api import Api
from flametest.kube.apply import Applied
from flametest.kube.errors import NotFoundError
from flametest.kube.pods import controller_of
from flametest.kube.readiness import Readiness
from flametest.kube.resources import JOBS, REPLICA_SETS, REPLICATION_CONTROLLERS, Object, Resource

__all__ = ["applied_further", "further_readiness", "is_finished", "listed_further"]

_KINDS = {one.kind: one for one in (JOBS, REPLICA_SETS, REPLICATION_CONTROLLERS)}


def applied_further(api: Api, applied: Iterable[Applied]) -> tuple[Object, ...]:
    """Return those of the applied objects that are of these kinds, as they are now; without what is gone.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    named = ((_KINDS[one.kind], one.namespace, one.name) for one in applied if one.kind in _KINDS)
    return tuple(obj for resource, namespace, name in named for obj in _found(api, resource, namespace, name))


def listed_further(api: Api, namespace: str) -> tuple[Object, ...]:
    """Return the objects of these kinds in a namespace that no other object has made.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    found = (item | {"kind": one.kind} for one in _KINDS.values() for item in api.listed(one.path(namespace)).items)
    return tuple(one for one in found if not controller_of(one))


def further_readiness(obj: Object) -> Readiness:
    """Return how far one is; a Job is ready when it has completed, one that is suspended always."""
    return _job(obj) if obj["kind"] == JOBS.kind else _replicas(obj)


def is_finished(job: Object, kind: str = "Complete") -> bool:
    """Return whether a Job has ended in this way: Complete, or Failed."""
    conditions = job.get("status", {}).get("conditions") or ()
    return any(one.get("type") == kind and one.get("status") == "True" for one in conditions)


def _found(api: Api, resource: Resource, namespace: str, name: str) -> Iterator[Object]:
    try:
        yield api.get(resource.path(namespace, name)) | {"kind": resource.kind}
    except NotFoundError:
        return


def _replicas(obj: Object) -> Readiness:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    desired = 1 if spec.get("replicas") is None else int(spec["replicas"])
    ready = int(status.get("availableReplicas") or 0)
    observed = int(status.get("observedGeneration") or 0) >= int(obj["metadata"].get("generation") or 0)
    settled = observed and int(status.get("replicas") or 0) <= desired
    return Readiness(obj["kind"], str(obj["metadata"]["name"]), desired, ready, ready, desired, settled)


def _job(job: Object) -> Readiness:
    spec, status = job.get("spec", {}), job.get("status", {})
    # Without a number of completions, the first pod that succeeds tells that the work is done.
    desired = 0 if spec.get("suspend") else int(spec.get("completions") or 1)
    succeeded = min(desired, int(status.get("succeeded") or 0))
    settled = desired == 0 or is_finished(job)
    return Readiness(job["kind"], str(job["metadata"]["name"]), desired, succeeded, succeeded, 0, settled)
