"""Columns of pods; the column Status tells what kubectl's users look for first: why a pod does not run."""

from datetime import datetime
from typing import Any

from flametest.sandbox.apiserver.columns.basic import AGE, NAME, NONE, Column, age_text, parse_time
from flametest.sandbox.objects import Object

__all__ = ["POD"]


def _is_sidecar(pod: Object, name: str) -> bool:
    containers = pod["spec"].get("initContainers", ())
    return any(c["name"] == name and c.get("restartPolicy") == "Always" for c in containers)


def _condition(pod: Object, kind: str) -> Object:
    conditions = pod.get("status", {}).get("conditions", ())
    found: Object = next((c for c in conditions if c.get("type") == kind), {})
    return found


def _ready(pod: Object, _: datetime) -> str:
    status = pod.get("status", {})
    sidecars = [s for s in status.get("initContainerStatuses", ()) if _is_sidecar(pod, s.get("name", ""))]
    ready = sum(bool(s.get("ready")) for s in status.get("containerStatuses", ()))
    total = len(pod["spec"].get("containers", ())) + len(sidecars)
    return f"{ready + sum(bool(s.get('ready')) for s in sidecars)}/{total}"


def _ended(terminated: Object, prefix: str = "") -> str:
    if terminated.get("reason"):
        return prefix + str(terminated["reason"])
    if terminated.get("signal"):
        return f"{prefix}Signal:{terminated['signal']}"
    return f"{prefix}ExitCode:{terminated.get('exitCode', 0)}"


def _initialising(pod: Object) -> str | None:
    """Return what the first init container that has not succeeded does; None when all have."""
    statuses = pod.get("status", {}).get("initContainerStatuses", ())
    for index, container in enumerate(statuses):
        state = container.get("state", {})
        terminated, waiting = state.get("terminated"), state.get("waiting", {})
        if terminated is not None and terminated.get("exitCode", 0) == 0:
            continue
        if _is_sidecar(pod, container.get("name", "")) and container.get("started"):
            continue
        if terminated is not None:
            return _ended(terminated, "Init:")
        if waiting.get("reason") and waiting["reason"] != "PodInitializing":
            return f"Init:{waiting['reason']}"
        return f"Init:{index}/{len(pod['spec'].get('initContainers', ()))}"
    return None


def _of_containers(pod: Object, reason: str) -> str:
    running = False
    for container in reversed(pod.get("status", {}).get("containerStatuses", ())):
        state = container.get("state", {})
        if state.get("waiting", {}).get("reason"):
            reason = state["waiting"]["reason"]
        elif "terminated" in state:
            reason = _ended(state["terminated"])
        elif "running" in state and container.get("ready"):
            running = True
    if reason == "Completed" and running:
        return "Running" if _condition(pod, "Ready").get("status") == "True" else "NotReady"
    return reason


def _status(pod: Object, _: datetime) -> str:
    status = pod.get("status", {})
    reason = status.get("reason") or status.get("phase") or "Unknown"
    if _condition(pod, "PodScheduled").get("reason") == "SchedulingGated":
        reason = "SchedulingGated"
    initialising = _initialising(pod)
    reason = initialising if initialising is not None else _of_containers(pod, reason)
    if "deletionTimestamp" not in pod["metadata"]:
        return reason
    if status.get("reason") == "NodeLost":
        return "Unknown"
    return reason if status.get("phase") in ("Succeeded", "Failed") else "Terminating"


def _restarts(pod: Object, now: datetime) -> str:
    status = pod.get("status", {})
    statuses = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    count = sum(s.get("restartCount", 0) for s in statuses)
    ends = [s.get("lastState", {}).get("terminated", {}).get("finishedAt") for s in statuses]
    times = sorted((end for end in ends if end), key=parse_time)
    return f"{count} ({age_text(times[-1], now)} ago)" if count and times else str(count)


def _gates(pod: Object, _: datetime) -> Any:
    gates = pod["spec"].get("readinessGates", ())
    if not gates:
        return NONE
    passed = sum(_condition(pod, gate.get("conditionType", "")).get("status") == "True" for gate in gates)
    return f"{passed}/{len(gates)}"


POD = (
    NAME,
    Column("Ready", _ready),
    Column("Status", _status),
    Column("Restarts", _restarts),
    AGE,
    Column("IP", lambda pod, _: pod.get("status", {}).get("podIP") or NONE, wide=True),
    Column("Node", lambda pod, _: pod["spec"].get("nodeName") or NONE, wide=True),
    Column("Nominated Node", lambda pod, _: pod.get("status", {}).get("nominatedNodeName") or NONE, wide=True),
    Column("Readiness Gates", _gates, wide=True),
)
