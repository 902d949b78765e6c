"""What the watches have shown so far: enough to name targets by uid, to prove a fault, and to see recovery. Pure.

The view counts pods itself, since a workload's own status lags behind: after a deletion it shows the old count
until its controller has run. A pod counts for the workload that owns it, whatever labels it carries.
"""

from bisect import bisect_right

from flametest.measure.owners import Owners
from flametest.model.events import ChangeKind, Event, PodObserved, WorkloadObserved

__all__ = ["View"]

_ENDED_PHASES = ("Succeeded", "Failed")


class View:
    """The newest state of every pod and workload, and which uids have had which name since when."""

    def __init__(self) -> None:
        self._pods: dict[str, PodObserved] = {}
        self._owners = Owners()
        self._gone: dict[str, PodObserved] = {}
        self._ended_ns: dict[str, int] = {}
        self._uids: dict[tuple[str, str], list[tuple[int, str]]] = {}

    def take(self, event: Event) -> None:
        """Take in what a watch showed; events come in the order of their stamps for each kind."""
        self._owners.take(event)
        if isinstance(event, PodObserved):
            self._remember("Pod", event.name, event.uid, event.at.monotonic_ns)
            self._pods[event.uid] = event
            if event.terminating or event.phase in _ENDED_PHASES or event.change is ChangeKind.DELETED:
                self._ended_ns.setdefault(event.uid, event.at.monotonic_ns)
            if event.change is ChangeKind.DELETED:
                self._gone[event.uid] = self._pods.pop(event.uid)
        elif isinstance(event, WorkloadObserved):
            self._remember(event.kind, event.name, event.uid, event.at.monotonic_ns)

    def uid_at(self, kind: str, name: str, moment_ns: int) -> str:
        """Return the uid of the object that had ``name`` at a moment; empty when none was seen by then."""
        seen = self._uids.get((kind, name), [])
        before = bisect_right(seen, moment_ns, key=lambda entry: entry[0])
        return seen[before - 1][1] if before else ""

    def pod_is_down(self, uid: str) -> bool:
        """Return whether a pod was seen to terminate, or to be gone."""
        pod = self._pods.get(uid)
        return uid in self._gone or (pod is not None and pod.terminating)

    def had_ended(self, uid: str, moment_ns: int) -> bool:
        """Return whether a pod was seen before a moment to have ended, or to be on its way out."""
        return self._ended_ns.get(uid, moment_ns) < moment_ns

    def workload_of(self, uid: str) -> str:
        """Return the name of the workload that a pod belongs to, or did; empty for one of none, or that nobody saw."""
        pod = self._pods.get(uid) or self._gone.get(uid)
        return self._owners.workload(pod) if pod is not None else ""

    def desired(self, workload: str) -> int | None:
        """Return how many pods the workloads of a name want; None when there is none of that name."""
        present = self._owners.present(workload)
        return sum(one.desired for one in present) if present else None

    def ready_pods(self, workload: str) -> int:
        """Return how many pods of a workload are ready and stay."""
        stay = (pod for pod in self._pods.values() if pod.ready and not pod.terminating)
        return sum(self._owners.owns(workload, pod) for pod in stay)

    def is_ready(self, workload: str) -> bool:
        """Return whether as many pods as desired are ready and stay; False without such a workload."""
        desired = self.desired(workload)
        return desired is not None and self.ready_pods(workload) >= desired

    def _remember(self, kind: str, name: str, uid: str, moment_ns: int) -> None:
        seen = self._uids.setdefault((kind, name), [])
        if uid not in (entry[1] for entry in seen):
            seen.append((moment_ns, uid))
