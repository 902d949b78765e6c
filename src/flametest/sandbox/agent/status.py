"""The status of a pod as the API shows it, made from what the agent knows. Pure.

Field order, condition order and reasons follow recordings of a real kubelet. The worker compares what comes out with
what it published last and writes only differences; conditions that others own (PodScheduled, DisruptionTarget) are
taken over from the stored object.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from flametest.sandbox.agent.state import ContainerRecord, Role, Running, State, Terminated, Waiting
from flametest.sandbox.objects import Object

__all__ = ["PodProgress", "api_time", "phase_of", "pod_status"]

_OWN_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady")


@dataclass(frozen=True, slots=True)
class PodProgress:
    """How far the agent is with a pod.

    Attributes:
        host_ip: address of its node.
        started_at: when the agent took the pod on.
        sandbox_ready: its network namespace is there.
        ip: its address; empty before a container has started in it.
        over: it ends or has ended for good, so that a stopped container is not one that restarts.
        reason: why the pod as a whole failed; empty for none.
        message: the same, for people.
    """

    host_ip: str
    started_at: float
    sandbox_ready: bool = False
    ip: str = ""
    over: bool = False
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class _Condition:
    type: str
    true: bool
    reason: str = ""
    message: str = ""


def api_time(moment: float) -> str:
    """Return a time (seconds since the epoch) as the API writes it."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def phase_of(restart_policy: str, records: Sequence[ContainerRecord], over: bool) -> str:
    """Return the pod's phase; ``over`` when nothing of it will start again."""
    init = [record for record in records if record.role is Role.INIT]
    mains = [record for record in records if record.role is Role.MAIN]
    failed_init = any(isinstance(r.state, Terminated) and r.state.exit_code for r in init)
    if failed_init and (over or restart_policy == "Never"):
        return "Failed"
    return _main_phase(restart_policy, mains, over)


def _main_phase(restart_policy: str, mains: list[ContainerRecord], over: bool) -> str:
    ends = [record.state if isinstance(record.state, Terminated) else record.last for record in mains]
    if any(record.running for record in mains):
        return "Running"
    if over:
        codes = [end.exit_code for end in ends if end is not None]
        return "Succeeded" if len(codes) == len(mains) and not any(codes) else "Failed"
    if any(isinstance(record.state, Waiting) and record.last is None for record in mains):
        return "Pending"
    codes = [end.exit_code for end in ends if end is not None]
    if restart_policy == "Always":
        return "Running"
    if not any(codes):
        return "Succeeded"
    return "Failed" if restart_policy == "Never" else "Running"


def pod_status(pod: Object, records: Sequence[ContainerRecord], progress: PodProgress, now: float) -> Object:
    """Return the whole status of a pod whose stored object is ``pod``."""
    old: Object = pod.get("status") or {}
    policy = pod["spec"].get("restartPolicy", "Always")
    phase = "Failed" if progress.reason else phase_of(policy, records, progress.over)
    generation = pod["metadata"].get("generation")
    status: Object = {} if generation is None else {"observedGeneration": generation}
    status["phase"] = phase
    status["conditions"] = _conditions(old.get("conditions") or [], _facts(records, progress, phase), generation, now)
    for key in ("reason", "message"):
        if text := getattr(progress, key):
            status[key] = text
    status["hostIP"] = progress.host_ip
    status["hostIPs"] = [{"ip": progress.host_ip}]
    if progress.ip:
        status["podIP"] = progress.ip
        status["podIPs"] = [{"ip": progress.ip}]
    status["startTime"] = api_time(progress.started_at)
    init = [_container_status(record) for record in records if record.role is not Role.MAIN]
    if init:
        status["initContainerStatuses"] = init
    status["containerStatuses"] = [_container_status(record) for record in records if record.role is Role.MAIN]
    for key in ("qosClass", "nominatedNodeName"):
        if key in old:
            status[key] = old[key]
    return status


def _facts(records: Sequence[ContainerRecord], progress: PodProgress, phase: str) -> list[_Condition]:
    incomplete = [
        record.name
        for record in records
        if (record.role is Role.INIT and not (isinstance(record.state, Terminated) and record.state.exit_code == 0))
        or (record.role is Role.SIDECAR and not record.started and not isinstance(record.state, Terminated))
    ]
    unready = [record.name for record in records if record.role is not Role.INIT and not record.ready]
    initialized = _Condition("Initialized", True)
    if incomplete:
        message = f"containers with incomplete status: [{' '.join(incomplete)}]"
        initialized = _Condition("Initialized", False, "ContainersNotInitialized", message)
    ready = _Condition("Ready", True)
    if phase == "Succeeded":
        initialized = replace(initialized, true=True, reason="PodCompleted", message="")
        ready = _Condition("Ready", False, "PodCompleted")
    elif phase == "Failed":
        ready = _Condition("Ready", False, "PodFailed")
    elif unready:
        ready = _Condition(
            "Ready", False, "ContainersNotReady", f"containers with unready status: [{' '.join(unready)}]"
        )
    return [
        _Condition("PodReadyToStartContainers", progress.sandbox_ready),
        initialized,
        ready,
        replace(ready, type="ContainersReady"),
    ]


def _conditions(old: list[Object], facts: list[_Condition], generation: int | None, now: float) -> list[Object]:
    """Return the conditions, with the time of their last change; those of others come after, unchanged."""
    before = {str(condition["type"]): condition for condition in old}
    made = []
    for fact in facts:
        value = "True" if fact.true else "False"
        known = before.get(fact.type)
        changed = known is None or known.get("status") != value
        since = api_time(now) if changed or known is None else known["lastTransitionTime"]
        condition: Object = {"lastTransitionTime": since}
        if fact.message:
            condition["message"] = fact.message
        if generation is not None:
            condition["observedGeneration"] = generation
        if fact.reason:
            condition["reason"] = fact.reason
        made.append({**condition, "status": value, "type": fact.type})
    return made + [condition for condition in old if condition["type"] not in _OWN_CONDITIONS]


def _container_status(record: ContainerRecord) -> Object:
    image = str(record.spec["image"])
    status: Object = {}
    if record.container_id:
        status["containerID"] = f"containerd://{record.container_id}"
    status["image"] = image
    status["imageID"] = record.image_id if record.container_id else ""
    status["lastState"] = {} if record.last is None else _state(record.last)
    status["name"] = record.name
    done = isinstance(record.state, Terminated) and record.state.exit_code == 0
    status["ready"] = done if record.role is Role.INIT else record.ready
    status["restartCount"] = record.restarts
    status["started"] = record.started and record.running
    status["state"] = _state(record.state)
    return status


def _state(state: State) -> dict[str, Any]:
    if isinstance(state, Running):
        return {"running": {"startedAt": api_time(state.started_at)}}
    if isinstance(state, Waiting):
        return {
            "waiting": {"message": state.message, "reason": state.reason} if state.message else {"reason": state.reason}
        }
    ended: Object = {
        "containerID": f"containerd://{state.container_id}",
        "exitCode": state.exit_code,
        "finishedAt": api_time(state.finished_at),
        "reason": state.reason,
        "startedAt": api_time(state.started_at),
    }
    if state.message:
        ended["message"] = state.message
    return {"terminated": ended}
