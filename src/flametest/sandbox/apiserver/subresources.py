"""Subresources with rules of their own: scale, eviction, binding, tokens. `Registry` does the writing."""

from collections.abc import Callable
from datetime import timedelta

from flametest.sandbox.apiserver.deletion import DeleteOptions
from flametest.sandbox.apiserver.failures import bad_request, bad_value, invalid, too_many_requests
from flametest.sandbox.apiserver.outcomes import WriteOptions
from flametest.sandbox.apiserver.registry import Registry
from flametest.sandbox.apiserver.resources import BY_NAME, Resource
from flametest.sandbox.apiserver.schema import normalise, type_of_kind
from flametest.sandbox.apiserver.selectors import label_selector_of, matches_selector, selector_text
from flametest.sandbox.errors import StatusError
from flametest.sandbox.objects import Object
from flametest.sandbox.tokens import ISSUER, ServiceAccountTokens, TokenOwner

__all__ = ["bind", "change_scale", "evict", "issue_token", "scale_of"]

TOKEN_SECONDS = 3600
TOKEN_SECONDS_MIN = 600

EVICTION_MESSAGE = "Cannot evict pod as it would violate the pod's disruption budget."


def scale_of(obj: Object) -> Object:
    """Return the Scale of a workload."""
    metadata = obj["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    replicas = obj["spec"].get("replicas", 0)
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {name: metadata[name] for name in kept},
        "spec": {"replicas": replicas} if replicas else {},
        "status": {
            "replicas": obj.get("status", {}).get("replicas", 0),
            "selector": selector_text(label_selector_of(obj)),
        },
    }


def change_scale(
    registry: Registry,
    resource: Resource,
    namespace: str,
    name: str,
    edit: Callable[[Object], Object],
    *,
    options: WriteOptions,
) -> Object:
    """Set the replicas of a workload to those of an edited Scale and return the new Scale.

    Raises:
        StatusError: 404, 409 (stale resource version), 422 (a number below zero).
    """

    def set_replicas(obj: Object) -> Object:
        scale = edit(scale_of(obj))
        if not isinstance(scale, dict):
            raise bad_request("a Scale has to be an object")
        normalise(scale, type_of_kind("autoscaling", "v1", "Scale"), "Scale", "autoscaling/v1")
        replicas = scale.get("spec", {}).get("replicas", 0)
        if replicas < 0:
            cause = bad_value("spec.replicas", replicas, "must be greater than or equal to 0")
            raise invalid("Scale", "autoscaling", name, [cause])
        version = scale.get("metadata", {}).get("resourceVersion")
        if version:
            obj["metadata"]["resourceVersion"] = version
        obj["spec"]["replicas"] = replicas
        return obj

    return scale_of(registry.change(resource, namespace, name, set_replicas, options).record.load())


def bind(registry: Registry, namespace: str, pod: str, binding: Object) -> None:
    """Bind a pod to the node that a Binding names.

    Raises:
        StatusError: 400, it names none; 404; 409, the pod is bound.
    """
    target = binding.get("target")
    node = target.get("name") if isinstance(target, dict) else None
    if not isinstance(node, str) or not node:
        raise bad_request("target.name of a Binding has to name a node")
    registry.bind(namespace, pod, node)


def evict(registry: Registry, namespace: str, name: str, options: DeleteOptions) -> None:
    """Delete a pod unless a disruption budget forbids it for now.

    Raises:
        StatusError: 404; 429, a budget forbids it; 500, more than one budget selects the pod.
    """
    pod = registry.record(BY_NAME["pods"], namespace, name).load()
    if not options.dry_run:
        _spend_budget(registry, namespace, pod)
    registry.erase(BY_NAME["pods"], namespace, name, options)


def _spend_budget(registry: Registry, namespace: str, pod: Object) -> None:
    phase = pod.get("status", {}).get("phase")
    if phase in ("Pending", "Succeeded", "Failed") or "deletionTimestamp" in pod["metadata"]:
        return
    labels = pod["metadata"].get("labels", {})
    budgets = [
        budget
        for budget in registry.list("poddisruptionbudgets.policy", namespace)
        if "selector" in budget.get("spec", {}) and matches_selector(budget["spec"]["selector"], labels)
    ]
    if not budgets:
        return
    if len(budgets) > 1:
        message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
        raise StatusError(500, "InternalError", message)
    _spend(registry, budgets[0], pod)


def _spend(registry: Registry, budget: Object, pod: Object) -> None:
    status, name = budget.get("status", {}), budget["metadata"]["name"]
    healthy, desired = status.get("currentHealthy", 0), status.get("desiredHealthy", 0)
    if not _is_ready(pod):
        always = budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow"
        if always or (desired > 0 and healthy >= desired):
            return
    if status.get("observedGeneration", 0) < budget["metadata"].get("generation", 0):
        message = f"The disruption budget {name} is still being processed by the server."
        causes = [{"reason": "DisruptionBudget", "message": message}]
        raise too_many_requests(EVICTION_MESSAGE, causes, retry_seconds=10)
    if status.get("disruptionsAllowed", 0) <= 0:
        message = f"The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
        raise too_many_requests(EVICTION_MESSAGE, [{"reason": "DisruptionBudget", "message": message}])
    disrupted = {**status.get("disruptedPods", {}), pod["metadata"]["name"]: f"{registry.clock():%Y-%m-%dT%H:%M:%SZ}"}
    spent = {"disruptionsAllowed": status["disruptionsAllowed"] - 1, "disruptedPods": disrupted}
    registry.update_status("poddisruptionbudgets.policy", {**budget, "status": {**status, **spent}})


def _is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def issue_token(registry: Registry, namespace: str, name: str, request: Object, tokens: ServiceAccountTokens) -> Object:
    """Return a TokenRequest with a new token of a service account as its status.

    Raises:
        StatusError: 404; 422, the token is to live for too short a time.
    """
    normalise(
        request, type_of_kind("authentication.k8s.io", "v1", "TokenRequest"), "TokenRequest", "authentication.k8s.io/v1"
    )
    account = registry.record(BY_NAME["serviceaccounts"], namespace, name).load()
    spec = request.get("spec") or {}
    seconds = int(spec.get("expirationSeconds") or TOKEN_SECONDS)
    if seconds < TOKEN_SECONDS_MIN:
        detail = "may not specify a duration less than 10 minutes"
        cause = bad_value("spec.expirationSeconds", seconds, detail)
        raise invalid("TokenRequest", "authentication.k8s.io", "", [cause])
    now = registry.clock()
    until = now + timedelta(seconds=seconds)
    return {
        "kind": "TokenRequest",
        "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": f"{now:%Y-%m-%dT%H:%M:%SZ}"},
        "spec": {"audiences": spec.get("audiences") or [ISSUER], "expirationSeconds": seconds},
        "status": {
            "token": tokens.issue(TokenOwner(namespace, name, account["metadata"]["uid"]), seconds),
            "expirationTimestamp": f"{until:%Y-%m-%dT%H:%M:%SZ}",
        },
    }
