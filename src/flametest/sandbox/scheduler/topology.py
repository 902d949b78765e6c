"""Where a pod stands to other pods: affinity, anti-affinity and topology spread, as filters and as scores.

A node belongs, by a label of it, to a domain (a host, a zone). Rules:
https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/ and
https://kubernetes.io/docs/concepts/scheduling-eviction/assign-pod-node/#inter-pod-affinity-and-anti-affinity
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from flametest.sandbox.labels import labels_of, selector_matches
from flametest.sandbox.objects import Object
from flametest.sandbox.scheduler.filters import matches_affinity, tolerates_taints
from flametest.sandbox.scheduler.view import NodeView

__all__ = ["Affinities", "Spread"]

_AFFINITY = "node(s) didn't match pod affinity rules"
_ANTI_AFFINITY = "node(s) didn't match pod anti-affinity rules"
_OTHERS_ANTI_AFFINITY = "node(s) didn't satisfy existing pods anti-affinity rules"
_SPREAD = "node(s) didn't match pod topology spread constraints"
_SPREAD_LABEL = f"{_SPREAD} (missing required label)"

_HOSTNAME = "kubernetes.io/hostname"


class Spread:
    """The topology spread constraints of one pod over the present nodes.

    A pod of a workload that states none is spread over hosts by preference, as the real scheduler does by default.
    """

    def __init__(self, pod: Object, views: Sequence[NodeView]) -> None:
        self._pod = pod
        stated = pod["spec"].get("topologySpreadConstraints") or []
        self._hard = [each for each in stated if each.get("whenUnsatisfiable") != "ScheduleAnyway"]
        soft = [each for each in stated if each.get("whenUnsatisfiable") == "ScheduleAnyway"]
        self._soft = soft if stated else _default_constraints(pod)
        self._counts = {id(each): self._count(each, views) for each in (*self._hard, *self._soft)}

    def _count(self, constraint: Object, views: Sequence[NodeView]) -> Counter[str]:
        """Return the matching pods by domain; a domain without any counts with 0."""
        counts: Counter[str] = Counter()
        for view in views:
            domain = view.labels.get(constraint["topologyKey"])
            if domain is None or not self._is_eligible(constraint, view):
                continue
            counts[domain] += sum(self._matches(constraint, pod) for pod in view.pods)
        return counts

    def _is_eligible(self, constraint: Object, view: NodeView) -> bool:
        if constraint.get("nodeAffinityPolicy", "Honor") == "Honor" and matches_affinity(self._pod, view):
            return False
        return not (constraint.get("nodeTaintsPolicy") == "Honor" and tolerates_taints(self._pod, view))

    def _matches(self, constraint: Object, other: Object) -> bool:
        metadata = other["metadata"]
        if metadata.get("namespace") != self._pod["metadata"].get("namespace") or metadata.get("deletionTimestamp"):
            return False
        own, labels = labels_of(self._pod), labels_of(other)
        keys = [key for key in constraint.get("matchLabelKeys") or [] if key in own]
        if any(labels.get(key) != own[key] for key in keys):
            return False
        return selector_matches(constraint.get("labelSelector"), labels)

    def refusal(self, view: NodeView) -> str | None:
        """Return why a node would make the spread too uneven; None if it would not."""
        for constraint in self._hard:
            domain = view.labels.get(constraint["topologyKey"])
            if domain is None:
                return _SPREAD_LABEL
            counts = self._counts[id(constraint)]
            scarce = len(counts) < int(constraint.get("minDomains") or 1)
            least = 0 if scarce else min(counts.values(), default=0)
            itself = selector_matches(constraint.get("labelSelector"), labels_of(self._pod))
            if counts[domain] + itself - least > int(constraint["maxSkew"]):
                return _SPREAD
        return None

    def cost(self, view: NodeView) -> float | None:
        """Return how crowded a node's domains are, 0 for empty ones; None where a label is missing."""
        cost = 0.0
        for constraint in self._soft:
            domain = view.labels.get(constraint["topologyKey"])
            if domain is None:
                return None
            counts = self._counts[id(constraint)]
            # The more domains there are, the more a pod in one of them weighs.
            cost += counts[domain] * math.log(len(counts) + 2) + int(constraint["maxSkew"]) - 1
        return cost


def _default_constraints(pod: Object) -> list[Object]:
    owners = pod["metadata"].get("ownerReferences") or []
    if not any(owner.get("controller") for owner in owners) or not labels_of(pod):
        return []
    selector = {"matchLabels": dict(labels_of(pod))}
    for own in ("statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"):
        selector["matchLabels"].pop(own, None)
    return [{"topologyKey": _HOSTNAME, "maxSkew": 3, "labelSelector": selector}]


class Affinities:
    """The pod affinity and anti-affinity of one pod, and of the pods that are there against it."""

    def __init__(self, pod: Object, views: Sequence[NodeView]) -> None:
        self._pod = pod
        self._near = list(_required(pod, "podAffinity"))
        self._apart = list(_required(pod, "podAntiAffinity"))
        self._near_domains = [_domains(term, pod, views) for term in self._near]
        self._apart_domains = [_domains(term, pod, views) for term in self._apart]
        self._shunned = _shunned_domains(pod, views)
        self._preferred = [
            (weight, term["topologyKey"], _domains(term, pod, views)) for weight, term in _preferred(pod)
        ]

    def refusal(self, view: NodeView) -> str | None:
        """Return why a node breaks a required rule; None if it does not."""
        for term, domains in zip(self._near, self._near_domains, strict=True):
            if view.labels.get(term["topologyKey"]) not in domains and not self._is_first(term, domains, view):
                return _AFFINITY
        for term, domains in zip(self._apart, self._apart_domains, strict=True):
            if view.labels.get(term["topologyKey"]) in domains:
                return _ANTI_AFFINITY
        if any(view.labels.get(key) == domain for key, domain in self._shunned):
            return _OTHERS_ANTI_AFFINITY
        return None

    def _is_first(self, term: Object, domains: Counter[str], view: NodeView) -> bool:
        """Return whether the pod is the first of a group that wants to be together: else none could ever start."""
        return not domains and term["topologyKey"] in view.labels and _term_selects(term, self._pod, self._pod)

    def score(self, view: NodeView) -> int:
        """Return the weights of the preferred rules that a node fulfils, less those that it breaks."""
        return sum(weight * domains[view.labels.get(key, "")] for weight, key, domains in self._preferred)


def _required(pod: Object, kind: str) -> Iterable[Object]:
    affinity = (pod["spec"].get("affinity") or {}).get(kind) or {}
    return affinity.get("requiredDuringSchedulingIgnoredDuringExecution") or []


def _preferred(pod: Object) -> Iterator[tuple[int, Object]]:
    affinity = pod["spec"].get("affinity") or {}
    for kind, sign in (("podAffinity", 1), ("podAntiAffinity", -1)):
        for each in (affinity.get(kind) or {}).get("preferredDuringSchedulingIgnoredDuringExecution") or []:
            yield sign * int(each["weight"]), each["podAffinityTerm"]


def _domains(term: Object, pod: Object, views: Sequence[NodeView]) -> Counter[str]:
    """Return how many pods that a term selects are in each domain that has any."""
    counts: Counter[str] = Counter()
    for view in views:
        domain = view.labels.get(term["topologyKey"])
        matching = sum(_term_selects(term, pod, other) for other in view.pods)
        if domain is not None and matching:
            counts[domain] += matching
    return counts


def _term_selects(term: Object, pod: Object, other: Object) -> bool:
    namespaces = term.get("namespaces") or []
    everywhere = term.get("namespaceSelector") == {}
    allowed = namespaces or [pod["metadata"].get("namespace")]
    if not everywhere and other["metadata"].get("namespace") not in allowed:
        return False
    return selector_matches(term.get("labelSelector"), labels_of(other))


def _shunned_domains(pod: Object, views: Sequence[NodeView]) -> set[tuple[str, str]]:
    """Return the domains, by label, whose pods do not want this one beside them."""
    return {
        (term["topologyKey"], view.labels[term["topologyKey"]])
        for view in views
        for other in view.pods
        for term in _required(other, "podAntiAffinity")
        if term["topologyKey"] in view.labels and _term_selects(term, other, pod)
    }
