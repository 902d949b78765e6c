"""ResourceQuotas: their status says what is used of them. Admission refuses by itself and does not wait for this."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from flametest.sandbox.cache import Cache, Transition
from flametest.sandbox.controllers.changes import Failure, Key, Plan, UpdateStatus
from flametest.sandbox.controllers.kinds import KINDS
from flametest.sandbox.controllers.metadata import key_of, own_keys, with_status
from flametest.sandbox.objects import Object
from flametest.sandbox.quotas import amount_text, counted_resources, is_counted, total, usage_of

__all__ = ["Observed", "ResourceQuotaController", "plan"]

RESOURCE = "resourcequotas"


@dataclass(frozen=True, slots=True)
class Observed:
    """What a decision about a quota rests on: it, and the objects of its namespace that take from it, by resource."""

    quota: Object
    objects: tuple[tuple[str, Object], ...]


def plan(observed: Observed) -> Plan:
    """Return the change that brings the status of a quota up to date."""
    quota = observed.quota
    hard: dict[str, str] = quota.get("spec", {}).get("hard", {})
    used = total(usage_of(resource, one) for resource, one in observed.objects)
    status = {"hard": hard, "used": {name: amount_text(name, used.get(name, Decimal(0))) for name in hard}}
    if not hard or not is_counted(quota) or quota.get("status") == status:
        return Plan()
    return Plan((UpdateStatus(RESOURCE, with_status(quota, status)),))


class ResourceQuotaController:
    """Feeds `plan` from the cache."""

    name = "resourcequota-controller"
    watches = tuple(kind.resource for kind in KINDS if kind.namespaced)

    def keys(self, transition: Transition, cache: Cache) -> Iterable[Key]:
        """Return the quota itself, or those that an object takes from which comes, goes or changes."""
        if transition.resource == RESOURCE:
            return own_keys(transition)
        quotas = cache.objects_of(RESOURCE, transition.reference.namespace)
        return [key_of(one) for one in quotas if transition.resource in _resources(one)]

    def reconcile(self, key: Key, cache: Cache, now: datetime, failure: Failure | None) -> Plan:
        """Return the plan for one quota; none for one that is gone."""
        quota = cache.get(RESOURCE, key.namespace, key.name)
        if quota is None:
            return Plan()
        watched = sorted(_resources(quota) & set(self.watches))
        return plan(
            Observed(quota, tuple((each, o) for each in watched for o in cache.objects_of(each, key.namespace)))
        )


def _resources(quota: Object) -> frozenset[str]:
    return counted_resources(quota.get("spec", {}).get("hard", {}))
