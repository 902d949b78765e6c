"""Which workload a pod belongs to: by the uids of owners, from the pod by its ReplicaSet to the Deployment. Pure.

Labels select, and do not tell whose a pod is: two Deployments may share a label, the pods of a Job may carry one, and
many workloads have none that is known. Records made before owners were recorded know nothing better than the label.
"""

from collections.abc import Iterable

from flametest.model.events import ChangeKind, Event, OwnerObserved, PodObserved, WorkloadObserved

__all__ = ["Owners"]


class Owners:
    """What the watches have told so far of workloads, and of what stands between them and their pods."""

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self._owners: dict[str, str] = {}
        self._workloads: dict[str, WorkloadObserved] = {}
        for event in events:
            self.take(event)

    def take(self, event: Event) -> None:
        """Take in an event; what is gone is remembered, since its pods outlive it for a while."""
        if isinstance(event, OwnerObserved) and event.owner_uid:
            self._owners[event.uid] = event.owner_uid
        elif isinstance(event, WorkloadObserved):
            self._workloads[event.uid] = event

    def workload_uid(self, pod: PodObserved) -> str:
        """Return the uid of the topmost owner that is known of a pod; empty for one that nobody owns."""
        uid = pod.owner_uid
        passed: set[str] = set()
        while uid in self._owners and uid not in passed:
            passed.add(uid)
            uid = self._owners[uid]
        return uid

    def uids(self, workload: str) -> frozenset[str]:
        """Return the uids of the workloads of a name: one that was made again has had several."""
        return frozenset(uid for uid, seen in self._workloads.items() if seen.name == workload)

    def owns(self, workload: str, pod: PodObserved) -> bool:
        """Return whether a pod belongs to the workload of a name."""
        if pod.owner_kind:
            return self.workload_uid(pod) in self.uids(workload)
        return pod.app in self._apps(workload)

    def workload(self, pod: PodObserved) -> str:
        """Return the name of the workload that a pod belongs to; empty where none is known."""
        found = self._workloads.get(self.workload_uid(pod))
        if found is not None or pod.owner_kind:
            return found.name if found is not None else ""
        return pod.app

    def title(self, pod: PodObserved) -> str:
        """Return what a pod's group is called: its workload, or what can be told of one that is not known."""
        label = f"{pod.app} ({pod.owner_kind})" if pod.app and pod.owner_kind else pod.app
        return self.workload(pod) or label or pod.name

    def group(self, pod: PodObserved) -> str:
        """Return what the pods of one workload have in common, and others have not."""
        return self.workload_uid(pod) or (pod.uid if pod.owner_kind else f"app={pod.app}")

    def present(self, workload: str) -> list[WorkloadObserved]:
        """Return the newest state of the workloads of a name, without those that were deleted."""
        return [
            seen for seen in self._workloads.values() if seen.name == workload and seen.change is not ChangeKind.DELETED
        ]

    def _apps(self, workload: str) -> frozenset[str]:
        """Return the labels by which a record without owners tells a workload's pods."""
        named = (self._workloads[uid].app for uid in self.uids(workload))
        return frozenset(app for app in named if app) or frozenset((workload,))
