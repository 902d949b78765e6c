"""What has to be so before anything is deployed to a cluster that others use as well, asked of the cluster itself.

Rights that are missing, a system that cannot fit, and claims that nothing serves stop the run; what only makes it
poorer is told. Whether the network enforces policies is tried, where an experiment depends on it, once there are pods
to try it from. The consent to faults is asked for on every cluster.
"""

from collections.abc import Sequence

from flametest.clusters import Access, ClusterError
from flametest.clusters.capacity import measure_capacity
from flametest.clusters.storage import measure_storage
from flametest.faults.enforcement import try_enforcement
from flametest.kube import KubeClient, KubeError
from flametest.kube.resources import NAMESPACES, Discovery, Resource
from flametest.kube.rights import Right, lacking
from flametest.kube.snapshots import find
from flametest.manifests import Manifest
from flametest.model.consent import CONSENT_LABEL, CONSENT_VALUE, has_consent
from flametest.model.plurals import counted
from flametest.run.needs import (
    RECORDING,
    WISHED,
    Needs,
    Plan,
    deployment_needs,
    experiment_needs,
    ledger_needs,
    load_needs,
    together,
)
from flametest.run.progress import Progress

__all__ = ["check_consent", "check_enforcement", "preflight", "told"]

_METRICS = "/apis/metrics.k8s.io/v1beta1"


def preflight(
    client: KubeClient, access: Access, manifests: Sequence[Manifest], plan: Plan, progress: Progress
) -> None:
    """Return if the run can go on; touches nothing.

    Args:
        client: the cluster.
        access: how it is reached.
        manifests: what is to be applied; none when the system is there already.
        plan: what is to be done then.
        progress: is told each step.

    Raises:
        ClusterError: a right is missing, the system cannot fit, a claim would never be bound, or the namespace does not
            consent to faults.
        KubeError: the API is unreachable or refused.
    """
    with progress.step("ask for every right that is needed") as step:
        needs = _needs(client, access, manifests, plan)
        wished = [right for right in WISHED if needs.get(right) == (RECORDING,)]
        missing = lacking(client.api, [right for right in needs if right not in wished], access.namespace)
        if missing:
            raise _refusal(access, {right: needs[right] for right in missing})
        step.saw(f"{counted(len(needs), 'right')}, none is missing")
    check_consent(client, access, manifests, plan)
    if manifests:
        with progress.step("compare requested resources with the capacity of the nodes") as step:
            step.saw(measure_capacity(client, access.namespace, manifests).checked())
        with progress.step("look for volumes for every claim") as step:
            step.saw(measure_storage(client, access.namespace, manifests).checked())
    with progress.step("ask for what would make the report richer") as step:
        step.saw("; ".join(_richer(client, access)))


def check_consent(client: KubeClient, access: Access, manifests: Sequence[Manifest], plan: Plan) -> None:
    """Return if nothing is to be injected, or if the namespace consents to faults, or will once it is deployed.

    Raises:
        ClusterError: it does not.
        FlametestError: the API is unreachable or refused, or an experiment's file cannot be used.
    """
    described = [one for one in manifests if one.kind == NAMESPACES.kind and one.name == access.namespace]
    found = find(client.api, NAMESPACES, "", access.namespace)
    is_made_with_it = bool(manifests) and found is None and not described  # as `deploy` makes namespaces
    if is_made_with_it or any(map(has_consent, [found or {}, *(one.object for one in described)])):
        return
    if not any(plan.faults(access)):
        return
    label = f"{CONSENT_LABEL}={CONSENT_VALUE}"
    remedy = f"kubectl --context {access.context} label namespace {access.namespace} {label}"
    if described:
        remedy = f"add the label in {described[0].source}"
    raise ClusterError(
        f"namespace {access.namespace!r} does not carry the label {label}, by which its owner consents to faults; "
        "nothing was deployed and nothing was injected",
        f"if it is yours to break: {remedy}",
    )


def check_enforcement(client: KubeClient, access: Access, plan: Plan, progress: Progress) -> None:
    """Try whether NetworkPolicies are enforced, where an experiment cuts pods off by one.

    Raises:
        ClusterError: they are not, so that these experiments would prove nothing.
        KubeError: the API is unreachable or refused.
    """
    depending = plan.cutting_off(access)
    if not depending:
        return
    with progress.step("try whether NetworkPolicies are enforced") as step:
        tried = try_enforcement(client, access.namespace)
        if tried.proved is False:
            raise ClusterError(
                f"{tried.evidence}, so that {', '.join(depending)} would prove nothing",
                "use a network that enforces NetworkPolicies, or leave out what depends on them",
            )
        step.saw(tried.evidence)


def _needs(client: KubeClient, access: Access, manifests: Sequence[Manifest], plan: Plan) -> Needs:
    deployment = deployment_needs(_resources(client, manifests)) if manifests else {}
    return together(deployment, experiment_needs(plan, access), ledger_needs(plan), load_needs(plan))


def _resources(client: KubeClient, manifests: Sequence[Manifest]) -> list[Resource]:
    """Return the kinds of the manifests, each once; one that the cluster does not know is told when it is applied."""
    discovery = Discovery(client.api)
    kinds = dict.fromkeys((manifest.object["apiVersion"], manifest.kind) for manifest in manifests)
    found = (discovery.resource(*kind) for kind in kinds)
    return [resource for resource in found if resource is not None]


def _refusal(access: Access, missing: Needs) -> ClusterError:
    count = "a right" if len(missing) == 1 else f"{len(missing)} rights"
    return ClusterError(
        f"the user of context {access.context!r} lacks {count} in namespace {access.namespace!r}: {told(missing)}; "
        "nothing was deployed and nothing was injected",
        "have them granted (`flametest job print` shows a Role for a suite), or leave out what needs them",
    )


def told(missing: Needs) -> str:
    """Return rights in a line, those for the same purposes together: ``create, get secrets (to deploy); ...``."""
    verbs: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for right, purposes in missing.items():
        verbs.setdefault((purposes, right.objects), []).append(right.verb)
    by_purpose: dict[tuple[str, ...], list[str]] = {}
    for (purposes, objects), of_objects in verbs.items():
        by_purpose.setdefault(purposes, []).append(f"{', '.join(of_objects)} {objects}")
    return "; ".join(f"{'; '.join(parts)} ({', '.join(purposes)})" for purposes, parts in by_purpose.items())


def _richer(client: KubeClient, access: Access) -> tuple[str, ...]:
    counts, logs = (_readable(client, access, right) for right in WISHED)
    try:
        client.api.get(_METRICS)
        metrics = "the metrics API is served"
    except KubeError:
        metrics = "there is no metrics API, which no figure needs"
    return f"the pods' own counts of requests {counts}", f"their logs {logs}", metrics


def _readable(client: KubeClient, access: Access, right: Right) -> str:
    try:
        granted = not lacking(client.api, [right], access.namespace)
    except KubeError as error:
        return f"may perhaps be read, which is not known: {error.message}"
    return "may be read" if granted else f"may not be read ({right} is not granted)"
