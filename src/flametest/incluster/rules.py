"""Rights as rules of Roles: what `flametest.run.needs` finds, written as Kubernetes grants it. Pure.

A rule names groups, resources and verbs, and grants each verb on each resource, so only resources with the very same
verbs share one, and those for one object have a rule of their own: https://kubernetes.io/docs/reference/access-authn-authz/rbac/#role-and-clusterrole.
"""

from collections import defaultdict
from collections.abc import Iterable

from flametest.kube.resources import Object
from flametest.kube.rights import Right

__all__ = ["rules_of"]


def rules_of(rights: Iterable[Right], *, everywhere: bool, namespace: str = "") -> list[Object]:
    """Return the rules that grant these rights and nothing else, in a lasting order.

    Args:
        rights: what is needed.
        everywhere: return those for a ClusterRole; else those for a Role.
        namespace: the Role's, if it is not the namespace of the system.
    """
    verbs: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for right in rights:
        if (right.everywhere, right.namespace) == (everywhere, namespace):
            verbs[right.group, right.name, right.resource].add(right.verb)
    shared: dict[tuple[str, str, tuple[str, ...]], list[str]] = defaultdict(list)
    for (group, name, resource), granted in sorted(verbs.items()):
        shared[group, name, tuple(sorted(granted))].append(resource)
    return [
        {"apiGroups": [group], "resources": resources}
        | ({"resourceNames": [name]} if name else {})
        | {"verbs": list(granted)}
        for (group, name, granted), resources in shared.items()
    ]
