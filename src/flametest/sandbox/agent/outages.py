"""Nodes that are switched off on purpose, and what a node finds of its pods when it is switched on again. Pure.

A person or an experiment sets the annotation on the Node; the agent acts on it, and nobody else does. To the rest of
the cluster such a node falls silent: it learns of the outage as from a real one, when heartbeats stay away.
"""

from datetime import datetime

from flametest.sandbox.agent.state import ContainerRecord, Role, Terminated, Waiting
from flametest.sandbox.objects import Object

__all__ = ["STOPPED_ANNOTATION", "is_stopped", "resume"]

STOPPED_ANNOTATION = "sandbox.flametest.dev/stopped"

# How a container runtime tells of a container whose end it did not see.
_UNSEEN_EXIT_CODE = 255
_UNSEEN_REASON = "Unknown"


def is_stopped(node: Object) -> bool:
    """Return whether a node is to be switched off."""
    annotations = node["metadata"].get("annotations") or {}
    return str(annotations.get(STOPPED_ANNOTATION, "")).lower() == "true"


def resume(records: list[ContainerRecord], status: Object | None, now: float) -> None:
    """Carry over into fresh records what a pod's status tells of an earlier run on the same node.

    Containers that ran have ended unseen, so they count as restarted when they start again. Init containers run again
    from the start, as after a node's reboot.
    """
    known = {each["name"]: each for each in (status or {}).get("containerStatuses") or []}
    for record in records:
        before = known.get(record.name)
        if before is None or record.role is not Role.MAIN:
            continue
        record.restarts = int(before.get("restartCount") or 0)
        record.container_id = str(before.get("containerID") or "").partition("://")[2]
        state, last = before.get("state") or {}, before.get("lastState") or {}
        if "running" in state:
            began = _seconds(state["running"].get("startedAt"), now)
            record.state = Terminated(_UNSEEN_EXIT_CODE, _UNSEEN_REASON, began, now, record.container_id)
        elif "terminated" in state:
            record.state = _ended(state["terminated"], now)
        elif "terminated" in last:
            record.last = _ended(last["terminated"], now)
            if (state.get("waiting") or {}).get("reason") == "CrashLoopBackOff":
                record.state = Waiting("CrashLoopBackOff")


def _ended(state: Object, now: float) -> Terminated:
    return Terminated(
        int(state.get("exitCode") or 0),
        str(state.get("reason") or _UNSEEN_REASON),
        _seconds(state.get("startedAt"), now),
        _seconds(state.get("finishedAt"), now),
        str(state.get("containerID") or "").partition("://")[2],
        str(state.get("message") or ""),
    )


def _seconds(text: str | None, now: float) -> float:
    return datetime.fromisoformat(text).timestamp() if text else now
