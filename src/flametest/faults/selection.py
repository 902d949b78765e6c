"""Which pods a fault acts on: by label or name pattern, so many of them, drawn at random or the first ones.

Draws come from Python's own random numbers, which the recorder begins anew from the run's seed for each action; so a
draw can be repeated, and foretold for an action of chaostoolkit-kubernetes, which draws in the same way.
"""

import math
import random
import re
from dataclasses import dataclass

from flametest.faults.errors import FaultError
from flametest.faults.workloads import target_of
from flametest.kube import KubeClient
from flametest.kube.resources import PODS, Object
from flametest.model.events import Target

__all__ = ["PodSelection", "foretold"]


@dataclass(frozen=True, slots=True)
class PodSelection:
    """Pods of one namespace.

    Attributes:
        namespace: where they are.
        label_selector: as the API takes it, such as ``app=api``.
        name_pattern: a regular expression that is searched for in names; either of the two has to be given.
        count: how many of them; a percentage with ``percent``, rounded up.
        every: all of them, whatever ``count`` says.
        at_random: draw them, else take the first ones.
        oldest_first: order them by age, else by name.
        percent: whether ``count`` is a percentage.
    """

    namespace: str
    label_selector: str = ""
    name_pattern: str = ""
    count: int = 1
    every: bool = False
    at_random: bool = True
    oldest_first: bool = False
    percent: bool = False

    def __str__(self) -> str:
        return " ".join(part for part in (self.label_selector, self.name_pattern) if part)

    def pods(self, client: KubeClient) -> list[Object]:
        """Return the pods, drawn if so asked; a second call draws again.

        Raises:
            FaultError: nothing selects, or nothing is selected, or fewer than asked for.
            KubeError: the API is unreachable or refused.
        """
        found = self._candidates(client)
        wanted = math.ceil(self.count * len(found) / 100) if self.percent else self.count
        if self.every:
            return found
        if not 0 < wanted <= len(found):
            raise FaultError(
                f"{wanted} of {len(found)} pods with {str(self)!r} in namespace {self.namespace!r} were asked for",
                f"ask for 1 to {len(found)}",
            )
        return random.sample(found, wanted) if self.at_random else found[:wanted]

    def targets(self, client: KubeClient) -> tuple[Target, ...]:
        """Return the pods as targets; see `pods`."""
        return tuple(target_of(pod | {"kind": PODS.kind}) for pod in self.pods(client))

    def _candidates(self, client: KubeClient) -> list[Object]:
        if not (self.label_selector.strip() or self.name_pattern.strip()):
            raise FaultError(
                f"the selector is empty, so it would select every pod of namespace {self.namespace!r}",
                'add a label selector, such as "app=api"',
            )
        query = {"labelSelector": self.label_selector} if self.label_selector else None
        listed = client.api.get(PODS.path(self.namespace), query).get("items", [])
        try:
            pattern = re.compile(self.name_pattern)
        except re.error as error:
            raise FaultError(f"name pattern {self.name_pattern!r} is no regular expression: {error}") from error
        found = [pod for pod in listed if pattern.search(pod["metadata"]["name"])]
        if not found:
            raise FaultError(
                f"no pod of namespace {self.namespace!r} has {str(self)!r}", "mend the selector; nothing was touched"
            )
        # Stable, so that pods of one second stay in the order of the API.
        return sorted(found, key=lambda pod: pod["metadata"]["creationTimestamp"]) if self.oldest_first else found


def foretold(selection: PodSelection, client: KubeClient) -> tuple[Target, ...]:
    """Return the targets that the next draw will give, and leave the random numbers as they were.

    Raises:
        FaultError: as `PodSelection.pods`.
        KubeError: the API is unreachable or refused.
    """
    state = random.getstate()
    try:
        return selection.targets(client)
    finally:
        random.setstate(state)
