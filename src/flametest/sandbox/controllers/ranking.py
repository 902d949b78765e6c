"""Which pods a ReplicaSet deletes first when it has too many.

The order is the real controller's (ActivePodsWithRanks in k8s.io/kubernetes, pkg/controller): unassigned before
assigned; pending, unknown, running; not ready before ready; lower pod-deletion-cost first; doubled up on a node first;
ready for less time first, by order of magnitude; more restarts first; younger first, by order of magnitude.
"""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime

from flametest.sandbox.controllers.metadata import annotations_of, seconds_since
from flametest.sandbox.controllers.pods import is_ready, phase_of, ready_since, restart_count
from flametest.sandbox.objects import Object

__all__ = ["deletion_order"]

_COST_ANNOTATION = "controller.kubernetes.io/pod-deletion-cost"
_PHASE_ORDER = {"Pending": 0, "Unknown": 1, "Running": 2}


def deletion_order(pods: Sequence[Object], related_pods: Iterable[Object], now: datetime) -> list[Object]:
    """Return the pods, those to be deleted first at the head.

    ``related_pods`` are the active pods of all ReplicaSets of the same Deployment: of two pods, the one whose node
    holds more of these goes first.
    """
    on_node = Counter(_node(pod) for pod in related_pods)
    return sorted(pods, key=lambda pod: _rank(pod, on_node[_node(pod)], now))


def _rank(pod: Object, neighbours: int, now: datetime) -> tuple[float | int | str, ...]:
    ready = is_ready(pod)
    return (
        bool(_node(pod)),
        _PHASE_ORDER.get(phase_of(pod), 0),
        ready,
        _deletion_cost(pod),
        -neighbours,
        _magnitude(ready_since(pod), now) if ready else 0,
        -restart_count(pod),
        _magnitude(pod["metadata"].get("creationTimestamp"), now),
        pod["metadata"].get("uid", ""),
    )


def _node(pod: Object) -> str:
    return pod["spec"].get("nodeName") or ""


def _deletion_cost(pod: Object) -> int:
    try:
        return int(annotations_of(pod).get(_COST_ANNOTATION, "0"))
    except ValueError:
        return 0  # The API refuses such a value; the real controller, too, reads it as nothing.


def _magnitude(since: str | None, now: datetime) -> int:
    """Return the power of two of an age in nanoseconds: ages of like size count as equal, so that ties break evenly."""
    age_seconds = seconds_since(since, now)
    return int(math.log2(age_seconds * 1e9)) if age_seconds > 0 else -1
