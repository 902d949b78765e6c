"""NetworkPolicies of a partition: which ones admit somebody to given pods, deny all, and put the rules back."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress

from flametest.faults.errors import FaultError
from flametest.faults.readback import change, remove, same, standing
from flametest.kube import KubeClient
from flametest.kube.api import MERGE
from flametest.kube.errors import ConflictError
from flametest.kube.pods import is_live
from flametest.kube.resources import NETWORK_POLICIES, PODS, Object

__all__ = ["DENYING", "admitting", "deny", "isolating", "put_back", "selected"]

DENYING = "flametest-partition"
GONE_SECONDS_MAX = 25.0


def admitting(client: KubeClient, namespace: str, pods: AbstractSet[str]) -> list[Object]:
    """Return the policies that admit somebody to any of these pods, given by uid.

    Raises:
        FaultError: one of them admits to other pods as well, which would be cut off too.
        KubeError: the API is unreachable or refused.
    """
    found = []
    for policy in client.api.listed(NETWORK_POLICIES.path(namespace)).items:
        spec = policy["spec"]
        chosen = _uids(client, namespace, spec.get("podSelector") or {}) if spec.get("ingress") else frozenset()
        if not chosen & pods:
            continue
        if chosen - pods:
            raise FaultError(
                f"NetworkPolicy {policy['metadata']['name']} admits to {len(chosen - pods)} other pods as well, "
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
    for policy in client.api.listed(NETWORK_POLICIES.path(namespace)).items:
        spec = policy["spec"]
        directions = spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
        chosen = _uids(client, namespace, spec.get("podSelector") or {}) if direction in directions else frozenset()
        if chosen and (pods is None or chosen & pods):
            found.append(policy)
    return found


def deny(client: KubeClient, namespace: str, app: str, selector: Mapping[str, object], emptied: Sequence[str]) -> None:
    """Make a policy that admits nobody to the pods of an app, and empty the rules of the policies named.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    policy = {
        "apiVersion": NETWORK_POLICIES.api_version,
        "kind": NETWORK_POLICIES.kind,
        "metadata": {"name": f"{DENYING}-{app}", "namespace": namespace},
        "spec": {"podSelector": selector, "policyTypes": ["Ingress"], "ingress": []},
    }
    with suppress(ConflictError):  # left by an earlier one that was healed by half
        client.api.send("POST", NETWORK_POLICIES.path(namespace), policy)
    for name in emptied:
        body: Object = {"spec": {"ingress": []}}
        client.api.send("PATCH", NETWORK_POLICIES.path(namespace, name), body, content_type=MERGE)


def put_back(
    client: KubeClient,
    namespace: str,
    app: str,
    rules: Mapping[str, list[Object]],
    uids: Mapping[str, str] | None = None,
) -> str:
    """Put the rules of the policies back, remove the policy of `deny`, and return what was done.

    A policy that was deleted, recreated or given other rules by somebody else meanwhile is left alone. ``uids`` says
    which policies they were; old records know none.

    Raises:
        HealError: what was read afterwards is not as it was.
        KubeError: the API is unreachable or refused.
    """
    known = uids or {}
    done = [_rules_back(client, (namespace, name), ingress, known.get(name, "")) for name, ingress in rules.items()]
    remove(client, NETWORK_POLICIES, namespace, f"{DENYING}-{app}", seconds_max=GONE_SECONDS_MAX)
    return "; ".join([*done, f"NetworkPolicy {DENYING}-{app} is removed"])


def _rules_back(client: KubeClient, place: tuple[str, str], ingress: list[Object], uid: str) -> str:
    title = f"NetworkPolicy {place[1]}"
    found = standing(client, NETWORK_POLICIES, *place)
    if found is None or not same(found, uid):
        return (
            f"{title} is gone"
            if found is None
            else f"{title} was recreated by somebody else in the meantime, and is left as it is"
        )
    if found["spec"].get("ingress") == ingress:
        return f"{title} has its rules"

    def left(policy: Object) -> bool:
        return not policy["spec"].get("ingress")

    read = change(
        client,
        NETWORK_POLICIES,
        found,
        lambda policy: {"spec": {"ingress": ingress}} if left(policy) else None,
        lambda policy: ["it admits nobody"] if left(policy) else [],
    )
    if read["spec"].get("ingress") != ingress:
        return f"{title} was changed by somebody else, and is left as it is"
    return f"{title} has its rules again"


def selected(client: KubeClient, namespace: str, selector: Object) -> list[Object]:
    """Return the live pods that a label selector selects, as the API itself reads it.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    query = {"labelSelector": text} if (text := _as_text(selector)) else None
    return [pod for pod in client.api.listed(PODS.path(namespace), query).items if is_live(pod)]


def _uids(client: KubeClient, namespace: str, selector: Object) -> frozenset[str]:
    return frozenset(str(pod["metadata"]["uid"]) for pod in selected(client, namespace, selector))


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
