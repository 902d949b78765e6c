"""What is known to read only, and may run anywhere without a gate: an explicit list. Pure.

HTTP by GET, HEAD or OPTIONS; the probes of chaostoolkit-kubernetes 0.39, each of which lists or reads objects and logs
and does nothing else; Flametest's own probes, and those of its actions that inject nothing. What is not here may
change something, whatever an experiment calls it.
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["EXTENSION_PROBES", "OWN_ACTIONS", "OWN_PROBES", "only_reads"]

OWN_ACTIONS = "flametest.chaos.actions"
OWN_PROBES = "flametest.chaos.probes"

_HTTP_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# An upgraded GET of the Kubernetes API executes commands in pods; the others make some servers take it for a POST.
_HTTP_HEADERS_THAT_ACT = frozenset({"upgrade", "x-http-method", "x-http-method-override", "x-method-override"})

EXTENSION_PROBES: Mapping[str, frozenset[str]] = {
    "chaosk8s.chaosmesh.network.probes": frozenset({"get_network_fault", "get_network_faults"}),
    "chaosk8s.chaosmesh.stress.probes": frozenset({"get_stressor", "get_stressors"}),
    "chaosk8s.crd.probes": frozenset(
        {"get_cluster_custom_object", "get_custom_object", "list_cluster_custom_objects", "list_custom_objects"}
    ),
    "chaosk8s.daemonset.probes": frozenset(
        {
            "daemon_set_available_and_healthy",
            "daemon_set_fully_available",
            "daemon_set_not_fully_available",
            "daemon_set_partially_available",
        }
    ),
    "chaosk8s.deployment.probes": frozenset(
        {
            "deployment_available_and_healthy",
            "deployment_fully_available",
            "deployment_not_fully_available",
            "deployment_partially_available",
        }
    ),
    "chaosk8s.event.probes": frozenset({"get_events"}),
    "chaosk8s.namespace.probes": frozenset({"namespace_exists"}),
    "chaosk8s.networking.probes": frozenset({"ingress_exists"}),
    "chaosk8s.node.probes": frozenset(
        {
            "all_nodes_must_be_ready_to_schedule",
            "get_all_node_status_conditions",
            "get_nodes",
            "nodes_must_be_healthy",
            "verify_nodes_condition",
        }
    ),
    "chaosk8s.pod.probes": frozenset(
        {
            "all_pods_healthy",
            "count_min_pods",
            "count_pods",
            "pod_is_not_available",
            "pods_in_conditions",
            "pods_in_phase",
            "pods_not_in_phase",
            "read_pod_logs",
            "should_be_found_in_logs",
        }
    ),
    # The module of elder experiments: names of its own, and those of today that it imports.
    "chaosk8s.probes": frozenset(
        {
            "all_microservices_healthy",
            "all_pods_healthy",
            "deployment_available_and_healthy",
            "deployment_fully_available",
            "deployment_is_fully_available",
            "deployment_is_not_fully_available",
            "deployment_not_fully_available",
            "microservice_available_and_healthy",
            "microservice_is_not_available",
            "pod_is_not_available",
            "read_microservices_logs",
            "read_pod_logs",
            "secret_exists",
            "service_endpoint_is_initialized",
            "service_is_initialized",
        }
    ),
    "chaosk8s.secret.probes": frozenset({"secret_exists"}),
    "chaosk8s.service.probes": frozenset({"service_is_initialized"}),
    "chaosk8s.statefulset.probes": frozenset({"statefulset_fully_available", "statefulset_not_fully_available"}),
}

_OWN: Mapping[str, frozenset[str]] = {
    OWN_ACTIONS: frozenset({"await_recovery", "begin_control", "heal_faults", "observe_baseline", "observe_fault"}),
    OWN_PROBES: frozenset(
        {
            "availability",
            "max_over_mean",
            "outage_seconds",
            "p95_ms",
            "recovery_seconds",
            "steady_seconds",
            "within_limits",
            "workload_ready",
        }
    ),
}


def only_reads(provider: Mapping[str, Any]) -> bool:
    """Return whether what a provider does is known to change nothing; its values are filled in already."""
    if provider.get("type") == "http":
        return _http_reads(provider)
    if provider.get("type") != "python":
        return False
    module, function = str(provider.get("module")), str(provider.get("func"))
    return function in EXTENSION_PROBES.get(module, ()) or function in _OWN.get(module, ())


def _http_reads(provider: Mapping[str, Any]) -> bool:
    method, headers = provider.get("method", "GET"), provider.get("headers") or {}
    if not isinstance(method, str) or method.upper() not in _HTTP_METHODS or not isinstance(headers, Mapping):
        return False
    return not any(str(name).strip().lower() in _HTTP_HEADERS_THAT_ACT for name in headers)
