"""Whether a pod may be on a node, by the node's labels and taints: shared by the scheduler and by DaemonSets.

Pure functions of JSON objects. Rules: https://kubernetes.io/docs/concepts/scheduling-eviction/
"""

from collections.abc import Iterable

from flametest.sandbox.labels import includes, labels_of, requirement_holds
from flametest.sandbox.objects import Object

__all__ = ["selects_node", "term_selects_node", "tolerates", "untolerated_taint"]


def tolerates(tolerations: Iterable[Object], taint: Object) -> bool:
    """Return whether one of the tolerations covers a taint."""
    return any(_covers(each, taint) for each in tolerations)


def _covers(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint["effect"]:
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(toleration.get("key")) and (toleration.get("value") or "") == (taint.get("value") or "")


def untolerated_taint(pod_spec: Object, node: Object, effects: Iterable[str]) -> Object | None:
    """Return the first taint of a node, of these effects, that a pod does not tolerate; None for none."""
    wanted = set(effects)
    tolerations: list[Object] = pod_spec.get("tolerations") or []
    taints: list[Object] = (node.get("spec") or {}).get("taints") or []
    return next((each for each in taints if each["effect"] in wanted and not tolerates(tolerations, each)), None)


def selects_node(pod_spec: Object, node: Object) -> bool:
    """Return whether the node selector and the required node affinity of a pod take in a node."""
    if not includes(labels_of(node), pod_spec.get("nodeSelector") or {}):
        return False
    affinity = (pod_spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return required is None or any(term_selects_node(term, node) for term in required["nodeSelectorTerms"])


def term_selects_node(term: Object, node: Object) -> bool:
    """Return whether a node selector term takes in a node; an empty term takes in none."""
    expressions, fields = term.get("matchExpressions") or [], term.get("matchFields") or []
    by_field = {"metadata.name": node["metadata"]["name"]}
    return (
        bool(expressions or fields)
        and all(requirement_holds(each, labels_of(node)) for each in expressions)
        and all(requirement_holds(each, by_field) for each in fields)
    )
