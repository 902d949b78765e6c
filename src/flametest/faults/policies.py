"""NetworkPolicies of a partition: which ones admit somebody to given pods, deny all, and put the rules back."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress

from flametest.faults.errors import FaultError
from flametest.kube import KubeClient
from flametest.kube.api import MERGE
from flametest.kube.errors import ConflictError, NotFoundError
from flametest.kube.resources import NETWORK_POLICIES, PODS, Object
from flametest.kube.snapshots import find

__all__ = ["DENYING", "admitting", "deny", "isolating", "labels_of", "put_back"]

DENYING = "flametest-partition"
LABEL = "app"


def labels_of(app: str) -> str:
    """Return the label selector of an app."""
    return f"{LABEL}={app}"


def admitting(client: KubeClient, namespace: str, pods: AbstractSet[str]) -> list[Object]:
    """Return the policies that admit somebody to any of these pods, given by uid.

    Raises:
        FaultError: one of them admits to other pods as well, which would be cut off too.
        KubeError: the API is unreachable or refused.
    """
    found = []
    for policy in client.api.get(NETWORK_POLICIES.path(namespace)).get("items", []):
        spec = policy["spec"]
        selected = _selected(client, namespace, spec.get("podSelector") or {}) if spec.get("ingress") else frozenset()
        if not selected & pods:
            continue
        if selected - pods:
            raise FaultError(
                f"NetworkPolicy {policy['metadata']['name']} admits to {len(selected - pods)} other pods as well, "
                "which would be cut off too",
                "give the pods that are to be cut off a policy of their own",
            )
        found.append(policy)
    return found


def isolating(
    client: KubeClient, namespace: str, pods: AbstractSet[str] | None, direction: str = "Ingress"
) -> list[Object]:
    """Return the policies that isolate any of these pods, given by uid, in a direction; None is any pod there is.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    found = []
    for policy in client.api.get(NETWORK_POLICIES.path(namespace)).get("items", []):
        spec = policy["spec"]
        directions = spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
        selected = (
            _selected(client, namespace, spec.get("podSelector") or {}) if direction in directions else frozenset()
        )
        if selected and (pods is None or selected & pods):
            found.append(policy)
    return found


def deny(client: KubeClient, namespace: str, app: str, emptied: Sequence[str]) -> None:
    """Make a policy that admits nobody to an app's pods, and empty the rules of the policies named.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    policy = {
        "apiVersion": NETWORK_POLICIES.api_version,
        "kind": NETWORK_POLICIES.kind,
        "metadata": {"name": f"{DENYING}-{app}", "namespace": namespace},
        "spec": {"podSelector": {"matchLabels": {LABEL: app}}, "policyTypes": ["Ingress"], "ingress": []},
    }
    with suppress(ConflictError):  # left by an earlier one that was healed by half
        client.api.send("POST", NETWORK_POLICIES.path(namespace), policy)
    for name in emptied:
        body: Object = {"spec": {"ingress": []}}
        client.api.send("PATCH", NETWORK_POLICIES.path(namespace, name), body, content_type=MERGE)


def put_back(client: KubeClient, namespace: str, app: str, rules: Mapping[str, list[Object]]) -> str:
    """Put the rules of the policies back, remove the policy of `deny`, and return what was done.

    A policy that was deleted, or given other rules by somebody else meanwhile, is left alone.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    done = []
    for name, ingress in rules.items():
        policy = find(client.api, NETWORK_POLICIES, namespace, name)
        if policy is None:
            done.append(f"NetworkPolicy {name} is gone")
        elif not policy["spec"].get("ingress"):
            body = {"spec": {"ingress": ingress}}
            client.api.send("PATCH", NETWORK_POLICIES.path(namespace, name), body, content_type=MERGE)
            done.append(f"NetworkPolicy {name} has its rules again")
        elif policy["spec"]["ingress"] == ingress:
            done.append(f"NetworkPolicy {name} has its rules")
        else:
            done.append(f"NetworkPolicy {name} was changed by somebody else, and is left so")
    with suppress(NotFoundError):
        client.api.send("DELETE", NETWORK_POLICIES.path(namespace, f"{DENYING}-{app}"))
    return "; ".join([*done, f"NetworkPolicy {DENYING}-{app} is removed"])


def _selected(client: KubeClient, namespace: str, selector: Object) -> frozenset[str]:
    """Return the uids of the pods that a label selector selects, as the API itself reads it."""
    query = {"labelSelector": text} if (text := _as_text(selector)) else None
    return frozenset(
        str(pod["metadata"]["uid"]) for pod in client.api.get(PODS.path(namespace), query).get("items", [])
    )


def _as_text(selector: Object) -> str:
    parts = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or []:
        key, values = expression["key"], ",".join(expression.get("values") or [])
        parts.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": key,
                "DoesNotExist": f"!{key}",
            }[expression["operator"]]
        )
    return ",".join(parts)
