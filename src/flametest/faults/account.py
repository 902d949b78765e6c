"""What the faults of one experiment hit together: each new one is gated with those that are not recovered from."""

import threading
from collections.abc import Collection

from flametest.faults.protocol import Fault, Grows
from flametest.faults.safety import Hit, Radius, check
from flametest.faults.survey import outstanding, survey
from flametest.kube import KubeClient

__all__ = ["Account", "aim"]


class Account:
    """Counts a fault that lasts until it is healed, and another one until the pods that it hit are back."""

    def __init__(self, client: KubeClient, radius: Radius) -> None:
        self._client = client
        self._radius = radius
        self._pending: list[Hit] = []  # gated, and not injected yet, so that what is seen of them says nothing
        self._lasting: dict[str, Hit] = {}
        self._passing: list[Hit] = []
        self._gating = threading.Lock()  # activities in the background are gated in threads of their own

    def admit(self, fault: Fault) -> Hit:
        """Return what a fault would hit if it may, and count it from now on.

        Raises:
            FaultError: it may not, or an option selects nothing.
            KubeError: the API is unreachable or refused.
        """
        with self._gating:
            self._passing = outstanding(self._client, self._passing)
            hit = aim(self._client, fault, self._radius, [*self._pending, *self._lasting.values(), *self._passing])
            self._pending.append(hit)
        return hit

    def drop(self, hit: Hit) -> None:
        """Forget a fault that is not going to be injected."""
        self._pending = [one for one in self._pending if one is not hit]

    def lasts(self, hit: Hit, record: str) -> None:
        """Count a fault until the record of that name is healed."""
        self._lasting[record] = hit
        self.drop(hit)

    def passes(self, hit: Hit) -> None:
        """Count a fault that has been injected until the pods that it hit are back."""
        if any(one is hit for one in self._pending):
            self._passing.append(hit)
            self.drop(hit)

    def keep(self, records: Collection[str]) -> None:
        """Forget faults that were healed: those without one of these records."""
        self._lasting = {record: hit for record, hit in self._lasting.items() if record in records}


def aim(client: KubeClient, fault: Fault, radius: Radius, earlier: list[Hit] | None = None) -> Hit:
    """Resolve a fault's targets and return them if they may be hit; touches nothing.

    ``earlier`` is what faults before it have hit, as far as the system has not recovered from them.

    Raises:
        FaultError: they may not, or an option selects nothing.
        KubeError: the API is unreachable or refused.
    """
    targets = fault.targets(client)
    around = survey(client, targets)
    replicas = fault.grown_replicas(client) if isinstance(fault, Grows) else 0
    check(fault.title, targets, radius, around, earlier=earlier or (), replicas=replicas)
    return Hit(targets, around)
