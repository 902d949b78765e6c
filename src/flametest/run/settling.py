"""Wait until what was applied is ready and stays so, or say early and truly why it will not be.

A pod without a readiness probe is Ready as soon as its process has begun, and one that ends at once looks ready for a
moment. So a pod has to stay Ready for a while, and its containers must not be restarted meanwhile. Waiting ends early
when something is found that cannot get ready by itself; then everything is told that is not ready, equal pods together,
with the last lines of what has ended.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from flametest.kube import KubeClient
from flametest.kube.apply import Applied
from flametest.kube.further import further_readiness
from flametest.kube.hopeless import (
    CRASHES_MAX,
    Fault,
    Setting,
    faults_of_events,
    faults_of_job,
    faults_of_pod,
    part_of,
)
from flametest.kube.pods import controller_of, is_ready
from flametest.kube.readiness import Readiness
from flametest.kube.resources import EVENTS, JOBS, PODS, Object
from flametest.run.unready import Unready, not_ready

__all__ = ["Patience", "await_settled"]

POLL_SECONDS = 0.15
PAUSE_PER_LOOK = 3.0  # a look that takes long is one that an API server has trouble with: at most a quarter of the time
EVENTS_EVERY = 7  # looks: events are many, and what they tell lasts
PROBED_SECONDS = 0.3  # a readiness probe has vouched for it
UNPROBED_SECONDS = 3.0  # an interpreter takes a second or two to find that it cannot start
RESTARTED_SECONDS = 8.0
GATHERING_SECONDS = 4.0  # what else fails, fails about now
CRASHES_ALONE_MAX = 2
OLD_SECONDS = 90.0  # the back-off of something that has failed for a while
JOBS_SECONDS = 30.0  # once all else is ready: time for a migration; a load generator would go on for hours


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, and what decides whether a fault can still pass.

    Attributes:
        seconds_max: how long at most.
        setting: what the cluster can still do by itself.
        since: when what is waited for was applied. What was seen of older pods before, and not again since, may have
            been fixed by that, and the next attempt may be a while off. None: everything seen counts.
    """

    seconds_max: float
    setting: Setting
    since: datetime | None = None

    def is_old(self, moment: str) -> bool:
        """Return whether something happened before that time, by a timestamp of the API in whole seconds."""
        return self.since is not None and moment < f"{self.since:%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True)
class _Seen:
    """What one look at the namespaces has shown.

    Attributes:
        workloads: how each stands, Jobs among them.
        pods: those that have to be Ready.
        job_pods: those of the Jobs that are waited for.
        jobs: these Jobs.
        events: about any of them.
    """

    workloads: tuple[Readiness, ...]
    pods: tuple[Object, ...]
    job_pods: tuple[Object, ...]
    jobs: tuple[Object, ...]
    events: tuple[Object, ...]

    @property
    def unfinished(self) -> tuple[str, ...]:
        """The names of the Jobs that have not completed."""
        return tuple(one.name for one in self.workloads if one.kind == JOBS.kind and not one.complete)

    @property
    def working(self) -> tuple[Object, ...]:
        """The pods of which none has done its work, those of Jobs among them."""
        return (*self.pods, *(pod for pod in self.job_pods if pod.get("status", {}).get("phase") != "Failed"))

    def __str__(self) -> str:
        parts = [f"Job {one}" if one.kind == JOBS.kind else str(one) for one in self.workloads]
        lone = (pod for pod in self.pods if not controller_of(pod))
        parts += [f"pod {pod['metadata']['name']} {int(is_ready(pod))}/1" for pod in lone]
        return ", ".join(parts) or "there is nothing to wait for"


@dataclass(slots=True)
class _Memory:
    """What has been seen, and since when.

    Attributes:
        steady: of each pod that is Ready, by uid, its restarts and since when these stand.
        faults: since when each is seen, by what equal ones share.
        alone: how often each pod, by namespace and name, had been restarted when nothing else was left to wait for.
        hopeless_since: since when something is known never to get ready.
        ready_since: since when everything but Jobs is ready.
    """

    steady: dict[str, tuple[int, float]] = field(default_factory=dict)
    faults: dict[tuple[str, str, str], float] = field(default_factory=dict)
    alone: dict[tuple[str, str], int] = field(default_factory=dict)
    hopeless_since: float | None = None
    ready_since: float | None = None


def await_settled(
    client: KubeClient,
    namespaces: Sequence[str],
    patience: Patience,
    saw: Callable[[str], None],
    applied: Sequence[Applied] = (),
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> tuple[str, ...]:
    """Return when all workloads and pods of the namespaces are ready and have stayed so, and the Jobs have completed.

    Of bare ReplicaSets, ReplicationControllers and Jobs those count that are among ``applied``. Jobs that go on for
    long after everything else is ready are not waited for.

    Returns:
        the names of the Jobs that still run.

    Raises:
        NotReadyError: something cannot get ready, or was not in time; the message tells what, and why.
        KubeError: the API is unreachable or refused.
    """
    end, memory, look = clock() + patience.seconds_max, _Memory(), 0
    events: tuple[Object, ...] = ()
    while True:
        if look % EVENTS_EVERY == 0:
            events = _events(client, namespaces)
        look += 1
        began = clock()
        seen = _look(client, namespaces, applied, events)
        saw(str(seen))
        now = clock()
        steady = _steady(seen.pods, memory, now)
        if _is_done(seen, memory, steady, now):
            return seen.unfinished
        hopeless = _hopeless(seen, memory, patience, now)
        memory.hopeless_since = (memory.hopeless_since or now) if hopeless else None
        if now >= end or (hopeless and _is_over(seen, memory, hopeless, steady, now)):
            seen = replace(seen, events=_events(client, namespaces))
            found = _faults(seen, replace(patience.setting, crashes_max=1))  # whatever may still pass is told as well
            raise not_ready(client, _unready(seen, found, 0 if hopeless else patience.seconds_max))
        pause(max(POLL_SECONDS, PAUSE_PER_LOOK * (now - began)))


def _is_done(seen: _Seen, memory: _Memory, steady: set[str], now: float) -> bool:
    """Return whether everything is ready for good, and no Job is left that is worth waiting for."""
    ready = len(steady) == len(seen.pods) and all(one.complete for one in seen.workloads if one.kind != JOBS.kind)
    memory.ready_since = (memory.ready_since or now) if ready else None
    if memory.ready_since is None or not seen.unfinished:
        return ready
    # One that has failed before is either done at last, or has failed for good.
    is_failing = any(one.get("status", {}).get("failed") for one in seen.jobs) or any(map(_restarts, seen.job_pods))
    is_starting = not all(map(is_ready, seen.working))
    return now - memory.ready_since >= JOBS_SECONDS and not is_failing and not is_starting


def _look(
    client: KubeClient, namespaces: Sequence[str], applied: Sequence[Applied], events: tuple[Object, ...]
) -> _Seen:
    further = client.further(applied)
    jobs = tuple(one for one in further if one["kind"] == JOBS.kind)
    ids = {one["metadata"].get("uid") for one in jobs}
    workloads = [one for namespace in namespaces for one in client.readiness(namespace)]
    pods = _listed(client, [PODS.path(one) for one in namespaces])
    return _Seen(
        (*workloads, *map(further_readiness, further)),
        tuple(pod for pod in pods if _counts(pod)),
        tuple(pod for pod in pods if controller_of(pod).get("uid") in ids and _works(pod)),
        jobs,
        events,
    )


def _events(client: KubeClient, namespaces: Sequence[str]) -> tuple[Object, ...]:
    return _listed(client, [EVENTS.path(one) for one in namespaces])


def _listed(client: KubeClient, paths: Iterable[str]) -> tuple[Object, ...]:
    return tuple(one for path in paths for one in client.api.listed(path).items)


def _counts(pod: Object) -> bool:
    """Return whether a pod has to be Ready: not one that has done its work, nor one that a Job repeats as it likes."""
    return _works(pod) and controller_of(pod).get("kind") != "Job"


def _works(pod: Object) -> bool:
    is_going = bool(pod["metadata"].get("deletionTimestamp"))
    return not is_going and str(pod.get("status", {}).get("phase")) != "Succeeded"


def _steady(pods: Iterable[Object], memory: _Memory, now: float) -> set[str]:
    """Note since when each pod is Ready without a restart; return the uids of those that are so for long enough."""
    found = set()
    for pod in pods:
        uid, restarts = str(pod["metadata"].get("uid", "")), _restarts(pod)
        if not is_ready(pod):
            memory.steady.pop(uid, None)
            continue
        if memory.steady.get(uid, (-1, 0.0))[0] != restarts:
            memory.steady[uid] = (restarts, now)
        if now - memory.steady[uid][1] >= _steady_seconds(pod, restarts):
            found.add(uid)
    return found


def _steady_seconds(pod: Object, restarts: int) -> float:
    if restarts:
        return RESTARTED_SECONDS
    containers = pod.get("spec", {}).get("containers") or ()
    return PROBED_SECONDS if all(one.get("readinessProbe") for one in containers) else UNPROBED_SECONDS


def _hopeless(seen: _Seen, memory: _Memory, patience: Patience, now: float) -> list[Fault]:
    """Return the faults that have lasted for long enough to count."""
    setting = patience.setting
    found = _faults(seen, setting)
    found += [one for one in _alone(seen, memory, setting) if one not in found]
    memory.faults = {fault.key: memory.faults.get(fault.key, now) for fault in found}
    old = {_name(pod) for pod in seen.working if patience.is_old(_last_moment(pod))}

    def lasts(fault: Fault) -> bool:
        is_old = (fault.namespace, fault.pod) in old and patience.is_old(fault.told_at)
        needed = max(fault.patience_seconds, OLD_SECONDS) if is_old else fault.patience_seconds
        return now - memory.faults[fault.key] >= needed

    return [fault for fault in found if lasts(fault)]


def _last_moment(pod: Object) -> str:
    """Return when a pod was made, or one of its containers ended last."""
    status = pod.get("status", {})
    containers = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    states = [one.get(key) or {} for one in containers for key in ("state", "lastState")]
    ends = [str((state.get("terminated") or {}).get("finishedAt") or "") for state in states]
    return max([str(pod["metadata"].get("creationTimestamp") or ""), *ends])


def _alone(seen: _Seen, memory: _Memory, setting: Setting) -> list[Fault]:
    """Return what has ended again since there was nothing left that it could have waited for."""
    crashes = _faults(seen, replace(setting, crashes_max=1))
    pending = {f"{one.kind} {one.name}" for one in seen.workloads if not one.complete}
    pending |= {part_of(pod) for pod in seen.pods if not is_ready(pod)}
    pending -= {fault.part for fault in crashes}
    for pod in seen.working:
        if pending <= {part_of(pod)}:
            memory.alone.setdefault(_name(pod), _restarts(pod))
    needed = {name: max(CRASHES_ALONE_MAX, before + 1) for name, before in memory.alone.items()}
    return [
        one for one in crashes if one.container and one.restarts >= needed.get((one.namespace, one.pod), CRASHES_MAX)
    ]


def _name(pod: Object) -> tuple[str, str]:
    return str(pod["metadata"].get("namespace", "")), str(pod["metadata"]["name"])


def _restarts(pod: Object) -> int:
    status = pod.get("status", {})
    containers = (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ()))
    return sum(int(one.get("restartCount") or 0) for one in containers)


def _faults(seen: _Seen, setting: Setting) -> list[Fault]:
    of_pods = [fault for pod in seen.working for fault in faults_of_pod(pod, setting)]
    of_jobs = [fault for job in seen.jobs for fault in faults_of_job(job, seen.job_pods, setting)]
    incomplete = {one.name for one in seen.workloads if not one.complete}
    told = faults_of_events(seen.events, seen.working)
    return [*of_pods, *of_jobs, *(one for one in told if one.pod or any(name in one.part for name in incomplete))]


def _is_over(seen: _Seen, memory: _Memory, hopeless: Iterable[Fault], steady: set[str], now: float) -> bool:
    """Return whether waiting teaches nothing more: the rest is ready for good, or has had some time to fail."""
    parts = {fault.part for fault in hopeless}
    waited = now - (now if memory.hopeless_since is None else memory.hopeless_since)
    rest = (pod for pod in seen.pods if part_of(pod) not in parts)
    return waited >= GATHERING_SECONDS or all(str(pod["metadata"].get("uid", "")) in steady for pod in rest)


def _unready(seen: _Seen, faults: Sequence[Fault], waited_seconds: float) -> Unready:
    return Unready(seen.workloads, [one for one in seen.pods if not is_ready(one)], seen.events, faults, waited_seconds)
