"""What a run needs to be allowed to do, right by right, each with what it is for. Pure but for reading experiments.

The parts tell it themselves: the faults in `flametest.faults.rights`, the recorder by what it watches. What manifests
need depends on the kinds in them, which the cluster resolves.
"""

from collections.abc import Iterable, Mapping, Sequence

from flametest.chaos.observations import WATCHED
from flametest.clusters import Access
from flametest.faults.rights import NAMESPACE, rights_of
from flametest.kube.resources import EVENTS, NAMESPACES, PODS, Resource
from flametest.kube.rights import Right, rights
from flametest.run.experiment import Experiment
from flametest.run.rehearsal import faults_of

__all__ = ["Needs", "deployment_needs", "experiment_needs", "joined"]

Needs = Mapping[Right, tuple[str, ...]]
"""Each right with what it is for, such as the names of experiments."""

RECORDING = "to record"
DEPLOYING = "to deploy"


def experiment_needs(experiments: Sequence[Experiment], access: Access) -> Needs:
    """Return what experiments, and the recorder that measures them, need.

    Raises:
        FlametestError: an experiment's file cannot be used.
    """
    recorder = (
        *NAMESPACE,
        *(right for resource in WATCHED for right in rights(resource, "list", "watch")),
        *rights(EVENTS, "list"),
        *rights(PODS, "get", subresource="log"),
    )
    faults = (
        (right, experiment.name)
        for experiment in experiments
        for fault in faults_of(experiment, access)
        for right in rights_of(fault)
    )
    return joined([*((right, RECORDING) for right in recorder), *faults])


def deployment_needs(resources: Iterable[Resource]) -> Needs:
    """Return what applying objects of these kinds, waiting for them and ending them needs."""
    # Server-side apply is a patch, and a creation where there is nothing yet.
    applied = (
        right for resource in resources if resource.namespaced for right in rights(resource, "create", "get", "patch")
    )
    namespace = (*rights(NAMESPACES, "create"), *(Right("namespaces", "", verb) for verb in ("delete", "get", "patch")))
    waited = [right for resource in WATCHED for right in rights(resource, "list")]
    return joined((right, DEPLOYING) for right in (*namespace, *applied, *waited, *rights(EVENTS, "list")))


def joined(pairs: Iterable[tuple[Right, str]]) -> Needs:
    """Return each right once, with everything that it is for."""
    found: dict[Right, dict[str, None]] = {}
    for right, purpose in pairs:
        found.setdefault(right, {})[purpose] = None
    return {right: tuple(purposes) for right, purposes in found.items()}
