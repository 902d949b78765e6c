"""Which pods a fault acts on: by label or name pattern, so many of them, drawn at random or the first ones.

Only live pods are drawn: one that has done its work, failed or is on its way out is felt by nobody, and its end proves
nothing. ``terminate_pods`` of chaostoolkit-kubernetes draws from whatever the API lists, dead pods included. So what it
will draw is foretold: where it draws at random, the random numbers are moved on until it draws live pods only, each
with the same chance; where it does not, it is refused if it would hit a dead one.

Draws come from Python's own random numbers, which the recorder starts again from the run's seed for each action; so a
draw can be repeated, and foretold for an action of chaostoolkit-kubernetes, which draws in the same way.
"""

import math
import random
import re
from dataclasses import dataclass

from flametest.faults.errors import FaultError
from flametest.faults.workloads import target_of
from flametest.kube import KubeClient
from flametest.kube.pods import is_live, is_unschedulable
from flametest.kube.resources import PODS, Object
from flametest.model.events import Target

__all__ = ["PodSelection", "foretold"]

_DRAWS_MAX = 100_000  # one live pod among a thousand dead ones is missed by all of them in 1 of 10^43
_PODS_TOLD_MAX = 5


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
        running: only pods that run; else also those that are about to.
        listed: draw from all pods that the API lists, as chaostoolkit-kubernetes does; see `foretold`.
    """

    namespace: str
    label_selector: str = ""
    name_pattern: str = ""
    count: int = 1
    every: bool = False
    at_random: bool = True
    oldest_first: bool = False
    percent: bool = False
    running: bool = False
    listed: bool = False

    def __str__(self) -> str:
        return " ".join(part for part in (self.label_selector, self.name_pattern) if part)

    def pods(self, client: KubeClient) -> list[Object]:
        """Return the pods, drawn if so asked; a second call draws again.

        Raises:
            FaultError: nothing selects, or nothing is selected, or fewer than asked for.
            KubeError: the API is unreachable or refused.
        """
        return self.draw(self.candidates(client))

    def draw(self, found: list[Object]) -> list[Object]:
        """Return some of the candidates, drawn if so asked.

        Raises:
            FaultError: fewer are there than asked for.
        """
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

    def is_candidate(self, pod: Object) -> bool:
        """Return whether a fault on a pod can have an effect: one that no node takes does nothing for anybody."""
        runs = pod.get("status", {}).get("phase") == "Running"
        return is_live(pod) and not is_unschedulable(pod) and (runs or not self.running)

    def candidates(self, client: KubeClient) -> list[Object]:
        """Return the pods to draw from, at least one of them live.

        Raises:
            FaultError: nothing selects, or no live pod is selected.
            KubeError: the API is unreachable or refused.
        """
        if not (self.label_selector.strip() or self.name_pattern.strip()):
            raise FaultError(
                f"the selector is empty, so it would select every pod of namespace {self.namespace!r}",
                'add a label selector, such as "app=api"',
            )
        query = {"labelSelector": self.label_selector} if self.label_selector else None
        listed = client.api.listed(PODS.path(self.namespace), query).items
        try:
            pattern = re.compile(self.name_pattern)
        except re.error as error:
            raise FaultError(f"name pattern {self.name_pattern!r} is no regular expression: {error}") from error
        named = [pod for pod in listed if pattern.search(pod["metadata"]["name"])]
        live = [pod for pod in named if self.is_candidate(pod)]
        if not named:
            raise FaultError(
                f"no pod of namespace {self.namespace!r} has {str(self)!r}", "fix the selector; nothing was touched"
            )
        if not live:
            raise FaultError(
                f"no pod of namespace {self.namespace!r} with {str(self)!r} {'runs' if self.running else 'lives'}: "
                f"{_told(named)}",
                "wait until one does; nothing was touched",
            )
        found = named if self.listed else live
        # Stable, so that pods of one second stay in the order of the API.
        return sorted(found, key=lambda pod: pod["metadata"]["creationTimestamp"]) if self.oldest_first else found


def foretold(selection: PodSelection, client: KubeClient) -> tuple[Target, ...]:
    """Return the targets that the next draw will give, and leave the random numbers such that it gives them.

    Raises:
        FaultError: as `PodSelection.pods`.
        KubeError: the API is unreachable or refused.
    """
    found = selection.candidates(client)
    for _ in range(_DRAWS_MAX):
        state = random.getstate()
        try:
            drawn = selection.draw(found)
        finally:
            random.setstate(state)
        dead = [pod for pod in drawn if not selection.is_candidate(pod)]
        if not dead:
            return tuple(target_of(pod | {"kind": PODS.kind}) for pod in drawn)
        if not selection.at_random or selection.every:
            break
        random.random()  # noqa: S311 (the next draw is another one)
    raise FaultError(
        f"{str(selection)!r} in namespace {selection.namespace!r} would hit pods that do not live: {_told(dead)}",
        'use "inject_pod_deletion" of flametest.chaos.actions, which draws live pods only; or remove these pods',
    )


def _told(pods: list[Object]) -> str:
    """Return pods with what has become of them, such as ``api-1 (Succeeded), api-2 (terminating)``."""
    told = [f"{pod['metadata']['name']} ({_state(pod)})" for pod in pods[:_PODS_TOLD_MAX]]
    more = len(pods) - len(told)
    return ", ".join(told) + (f" and {more} more" if more else "")


def _state(pod: Object) -> str:
    if pod["metadata"].get("deletionTimestamp"):
        return "terminating"
    return "no node takes it" if is_unschedulable(pod) else str(pod.get("status", {}).get("phase"))
