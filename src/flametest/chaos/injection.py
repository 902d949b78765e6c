"""From stamped requests to an injected fault with its targets, and to the proof that it took effect. Pure.

A fault counts as injected when the API accepted at least one mutating request of the action, never because the
action said so: Chaos Toolkit ends "completed" also when a deletion was refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from flametest.chaos.view import View
from flametest.kube.resources import DEPLOYMENTS, NODES, PODS, SERVICES, STATEFUL_SETS
from flametest.kube.stamps import Mutation
from flametest.model.events import FaultInjected, FaultProved, Stamp, Target

__all__ = ["Injection", "injection", "target_of"]

_KINDS = {resource.plural: resource.kind for resource in (PODS, DEPLOYMENTS, STATEFUL_SETS, SERVICES, NODES)}


@dataclass(frozen=True, slots=True)
class Injection:
    """An injected fault that waits for its proof; ``deletion`` is whether all that it did was to delete pods."""

    event: FaultInjected
    deletion: bool

    def proof(self, view: View, at: Stamp) -> FaultProved | None:
        """Return the proof that the watches give, or that there can be none; None as long as they give neither."""
        targets = self.event.targets
        dead = [target.name for target in targets if self.deletion and view.had_ended(target.uid, self.event.sent_ns)]
        if dead:
            return self._proved(at, False, f"{', '.join(dead)} had ended, or was on its way out, before the fault")
        if not self.deletion or not all(target.uid and view.pod_is_down(target.uid) for target in targets):
            return None
        waited_ms = (at.monotonic_ns - self.event.acknowledged_ns) / 1e6
        names = ", ".join(target.name for target in targets)
        evidence = f"the watch showed {names} terminating or gone within {max(waited_ms, 0.0):.0f} ms of the answer"
        return self._proved(at, True, evidence)

    def unproved(self, at: Stamp) -> FaultProved:
        """Return the statement that no proof was seen."""
        reason = "no watch showed that every target went" if self.deletion else "no evidence is known for this fault"
        return self._proved(at, False, reason)

    def _proved(self, at: Stamp, proved: bool, evidence: str) -> FaultProved:
        event = self.event
        return FaultProved(at, event.scenario, event.fault, proved, evidence, event.injection)


def injection(fault: str, mutations: Sequence[Mutation], view: View, at: Stamp, scenario: str) -> Injection | None:
    """Return the fault that an action injected, or None when the API accepted none of its mutating requests.

    Args:
        fault: what was done, such as ``terminate_pods``.
        mutations: the mutating requests that the action sent.
        view: names the targets' uids as they were when the requests were sent.
        at: when this is noted down.
        scenario: the scenario.
    """
    accepted = sorted((one for one in mutations if one.accepted), key=lambda one: one.sent_ns)
    if not accepted:
        return None
    targets: dict[Target, None] = {}  # a set that keeps the order
    for mutation in accepted:
        kind, namespace, name = target_of(mutation.path)
        targets[Target(kind, namespace, name, view.uid_at(kind, name, mutation.acknowledged_ns))] = None
    event = FaultInjected(at, scenario, fault, accepted[0].sent_ns, accepted[0].acknowledged_ns, tuple(targets))
    return Injection(event, deletion=all(_deletes_pod(one) for one in accepted))


def target_of(path: str) -> tuple[str, str, str]:
    """Return kind, namespace and name of the object at an API path; empty where the path has none.

    The kind of a resource that Flametest does not know is its plural, as it stands in the path.
    """
    parts = [part for part in path.split("/") if part]
    rest = parts[2:] if parts[:1] == ["api"] else parts[3:]
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    plural, name = (*rest[:2], "", "")[:2]
    return _KINDS.get(plural, plural), namespace, name


def _deletes_pod(mutation: Mutation) -> bool:
    kind, _, name = target_of(mutation.path)
    evicts = mutation.method == "POST" and mutation.path.endswith("/eviction")
    return kind == PODS.kind and bool(name) and (evicts or mutation.method == "DELETE")
