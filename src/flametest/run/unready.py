"""The words for what did not get ready: every part once, equal pods together, with the last lines of what has ended."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from flametest.kube import KubeClient
from flametest.kube.errors import ApiRejectedError, NotReadyError
from flametest.kube.hopeless import Fault, part_of
from flametest.kube.readiness import Readiness, explain
from flametest.kube.resources import PODS, Object
from flametest.model.plurals import counted

__all__ = ["Unready", "not_ready"]

LOG_LINES = 8
EVENTS_MAX = 2
_REPETITIONS = ("BackOff", "FailedScheduling")
LINES_MAX = 60  # what a person reads on a terminal; the rest is counted


@dataclass(frozen=True, slots=True)
class Unready:
    """What was seen when waiting ended.

    Attributes:
        workloads: how each stands, the ready ones among them.
        pods: those that are not ready.
        events: about any of them.
        faults: what cannot pass by itself.
        waited_seconds: how long was waited in vain; 0 when waiting ended early.
    """

    workloads: tuple[Readiness, ...]
    pods: Sequence[Object]
    events: Sequence[Object]
    faults: Sequence[Fault]
    waited_seconds: float


def not_ready(client: KubeClient, unready: Unready) -> NotReadyError:
    """Return the error that tells what is not ready and why; asks for the last lines of what has ended."""
    late = [f"{one.kind} {one}" for one in unready.workloads if not one.complete]
    late += sorted({part for part in map(part_of, unready.pods) if part.startswith("Pod ")})
    late = late or list(dict.fromkeys(fault.part for fault in unready.faults)) or ["no pod stays ready"]
    how = f"not ready after {unready.waited_seconds:g} s" if unready.waited_seconds else "this will not get ready"
    lines = [*_of_faults(client, unready.faults, unready.events), *_of_others(unready)]
    if len(lines) > LINES_MAX:
        lines[LINES_MAX:] = [f"and {counted(len(lines) - LINES_MAX, 'line')} more"]
    return NotReadyError(f"{how}: {', '.join(late)}", "fix what the lines above name", details=lines)


def _of_faults(client: KubeClient, faults: Iterable[Fault], events: Iterable[Object]) -> Iterator[str]:
    groups: dict[tuple[str, str, str], list[Fault]] = {}
    for fault in faults:
        groups.setdefault(fault.key, []).append(fault)
    told: set[tuple[str, str]] = set()
    for one in groups.values():
        if (one[0].part, f"  | {one[0].reason}") in told:
            continue  # an event that stands below another fault of the same part
        lines = _last_words(client, one[0]) if one[0].container else _last_events(one[0], events)
        told |= {(one[0].part, line) for line in lines}
        yield f"{one[0].part}{_count({fault.pod for fault in one})}: {one[0].reason}"
        yield from lines


def _of_others(unready: Unready) -> list[str]:
    """Return what is told of parts that have no fault that is sure, but are not ready either."""
    known = {fault.part for fault in unready.faults}
    groups: dict[tuple[str, str], set[str]] = {}
    for pod in unready.pods:
        name, part = str(pod["metadata"]["name"]), part_of(pod)
        if part not in known:
            for line in explain([pod], unready.events):
                reasons = line.removeprefix(f"pod {name} ").replace(name, "POD")
                reasons = reasons.replace(str(pod["metadata"].get("uid", name)), "UID")
                groups.setdefault((part, reasons), set()).add(name)
    return [f"{part}{_count(pods)} {reasons}" for (part, reasons), pods in groups.items()]


def _count(pods: set[str]) -> str:
    return f" ({len(pods)} pods)" if len(pods) > 1 else ""


def _last_events(fault: Fault, events: Iterable[Object]) -> list[str]:
    """Return what the cluster has said of a pod last, which for an image names the true cause."""
    told = [
        str(one.get("message", ""))
        for one in events
        if one.get("type") == "Warning"
        and (one.get("involvedObject") or {}).get("name") == fault.pod
        and str(one.get("message", "")) not in fault.reason
        and one.get("reason") not in _REPETITIONS
        and not str(one.get("message", "")).startswith("Error: ")
    ]
    return [f"  | {text}" for text in list(dict.fromkeys(told))[-EVENTS_MAX:]]


def _last_words(client: KubeClient, fault: Fault) -> list[str]:
    """Return the last lines that a container has written; of its former life, if it has one."""
    for previous in (True, False) if fault.restarts else (False,):
        query = {"container": fault.container, "tailLines": str(LOG_LINES)} | ({"previous": "true"} if previous else {})
        try:
            text = client.api.text(PODS.path(fault.namespace, fault.pod) + "/log", query).strip()
        except ApiRejectedError:
            continue
        if text:
            return [f"  | {line}" for line in text.splitlines()]
    return ["  it has written nothing"]
