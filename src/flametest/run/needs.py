"""What a run needs to be allowed to do, right by right, each with what it is for. Pure but for reading experiments.

The parts tell it themselves: the faults in `flametest.faults.rights`, the recorder by what it watches. What manifests
need depends on the kinds in them, which the cluster resolves.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from flametest.chaos.observations import WATCHED
from flametest.clusters import Access
from flametest.faults.enforcement import TRYING
from flametest.faults.network_partition import NetworkPartition
from flametest.faults.protocol import Fault
from flametest.faults.rights import NAMESPACE, rights_of
from flametest.kube.resources import EVENTS, NAMESPACES, NETWORK_POLICIES, PODS, SERVICES, Resource
from flametest.kube.rights import Right, rights
from flametest.ledger import Definition, ledger_rights
from flametest.run.experiment import Experiment
from flametest.run.rehearsal import faults_of

__all__ = [
    "RECORDING",
    "WISHED",
    "Needs",
    "Plan",
    "deployment_needs",
    "experiment_needs",
    "joined",
    "ledger_needs",
    "load_needs",
    "together",
]

Needs = Mapping[Right, tuple[str, ...]]
"""Each right with what it is for, such as the names of experiments."""

WISHED = (*rights(PODS, "get", subresource="proxy"), *rights(PODS, "get", subresource="log"))
"""What makes the report richer, and is not insisted on: the pods' own counts of requests, and their logs."""

RECORDING = "to record"
DEPLOYING = "to deploy"
LOADING = "to send load from pods"
WRITING = "to keep the ledger of writes"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done once the system is there.

    Attributes:
        experiments: what is to be run.
        load_workers: pods that send the load; 0 for this machine.
        ledger: of whose writes a ledger is kept; None for none.
    """

    experiments: tuple[Experiment, ...] = ()
    load_workers: int = 0
    ledger: Definition | None = None

    def faults(self, access: Access) -> Iterator[tuple[Experiment, Fault]]:
        """Yield each experiment with each fault that it would inject.

        Raises:
            FlametestError: an experiment's file cannot be used.
        """
        for experiment in self.experiments:
            for fault in faults_of(experiment, access):
                yield experiment, fault

    def cutting_off(self, access: Access) -> tuple[str, ...]:
        """Return the names of the experiments that depend on NetworkPolicies being enforced."""
        found = (one.name for one, fault in self.faults(access) if isinstance(fault, NetworkPartition))
        return tuple(dict.fromkeys(found))


def experiment_needs(plan: Plan, access: Access) -> Needs:
    """Return what experiments, and the recorder that measures them, need; nothing where there are none.

    Raises:
        FlametestError: an experiment's file cannot be used.
    """
    if not plan.experiments:
        return {}
    recorder = (
        *NAMESPACE,
        *(right for resource in WATCHED for right in rights(resource, "list", "watch")),
        *rights(EVENTS, "list"),
        *rights(PODS, "get", subresource="log"),
    )
    faults = (
        (right, one.name)
        for one, fault in plan.faults(access)
        for right in rights_of(fault, access.namespace, one.namespaces)
    )
    trying = ((right, name) for name in plan.cutting_off(access) for right in TRYING)
    return joined([*((right, RECORDING) for right in recorder), *faults, *trying])


def load_needs(plan: Plan) -> Needs:
    """Return what load from pods needs; their namespace gets a new name each time, so that it is needed in all."""
    if not plan.load_workers:
        return {}
    needed = (
        *rights(NAMESPACES, "create", "delete", "get"),
        *rights(Resource("v1", "ConfigMap", "configmaps"), "create", everywhere=True),
        *rights(NETWORK_POLICIES, "create", everywhere=True),
        *rights(SERVICES, "create", everywhere=True),
        *rights(SERVICES, "list"),
        *rights(PODS, "create", "get", everywhere=True),
        *rights(PODS, "get", subresource="log", everywhere=True),
        *rights(PODS, "create", "get", subresource="proxy", everywhere=True),
    )
    return joined((right, LOADING) for right in needed)


def ledger_needs(plan: Plan) -> Needs:
    """Return what the ledger needs in the cluster; nothing where there is none, or it asks by the entry."""
    granted = ledger_rights(plan.ledger) if plan.ledger is not None and plan.experiments else ()
    return joined((right, WRITING) for right in granted)


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


def together(*parts: Needs) -> Needs:
    """Return the needs of several things that are done."""
    return joined((right, purpose) for part in parts for right, purposes in part.items() for purpose in purposes)
