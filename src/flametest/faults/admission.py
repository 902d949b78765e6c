"""Who may well connect to pods: those that the policies of these pods name, which are asked before others are."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet

from flametest.faults.egress import matches
from flametest.faults.policies import isolating
from flametest.kube import KubeClient
from flametest.kube.resources import Object

__all__ = ["likely_callers"]


def likely_callers(client: KubeClient, namespace: str, pods: AbstractSet[str]) -> Callable[[Object], bool]:
    """Return what tells a pod of the namespace that the policies of ``pods``, given by uid, name as a peer.

    It is a guess: ports, addresses and policies of other kinds are left aside. Where no policy isolates the pods,
    everybody may connect.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    policies = isolating(client, namespace, pods)
    rules = [rule for policy in policies for rule in policy["spec"].get("ingress") or []]
    if not policies or any(not rule.get("from") for rule in rules):
        return lambda _: True
    named = [peer["podSelector"] or {} for rule in rules for peer in rule["from"] if "podSelector" in peer]
    return lambda pod: any(matches(one, pod["metadata"].get("labels") or {}) for one in named)
