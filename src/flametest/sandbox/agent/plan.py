"""What to do next with the containers of a pod. Pure: facts and the time in, actions out.

The pod worker calls `plan` whenever something has changed or the time that the last plan named has come, and carries
the actions out. The rules are those of the kubelet: init containers one after the other, restarts by policy with a
back-off that doubles (none before the first restart), sidecars started before and ended after the others, an ending
container asked after its preStop hook and killed at its deadline.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from flametest.sandbox.agent.state import ContainerRecord, Hook, Role, Terminated, Waiting

__all__ = ["STOP_SECONDS_MIN", "Action", "Plan", "PodFacts", "Step", "next_backoff_seconds", "plan", "restart_due_at"]

# However long the preStop hook took, a container has this long between SIGTERM and SIGKILL.
STOP_SECONDS_MIN = 2.0
_RESET_FACTOR = 2.0


class Step(Enum):
    """What to do with a container."""

    START = "start"
    BACK_OFF = "show that the restart is held back"
    STOP = "begin to end"
    HOOK = "run the preStop hook"
    ASK = "send the stop signal"
    KILL = "kill"


@dataclass(frozen=True, slots=True)
class Action:
    """A step for one container; ``grace_seconds`` goes with STOP."""

    step: Step
    name: str
    grace_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What is to know of the pod beside its containers.

    Attributes:
        restart_policy: of the pod's spec.
        grace_seconds: terminationGracePeriodSeconds, or that of the deletion.
        terminating: it was deleted, or is to end for another reason; nothing starts any more.
        backoff_seconds: see `AgentSettings`.
        backoff_seconds_max: see `AgentSettings`.
    """

    restart_policy: str
    grace_seconds: float
    terminating: bool = False
    backoff_seconds: float = 10.0
    backoff_seconds_max: float = 300.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do now, when to ask again (None: when something happens), and whether all containers are done."""

    actions: tuple[Action, ...]
    wake_at: float | None = None
    finished: bool = False


@dataclass(slots=True)
class _Draft:
    actions: list[Action] = field(default_factory=list)
    wake_at: float | None = None

    def add(self, step: Step, record: ContainerRecord, grace_seconds: float = 0.0) -> None:
        self.actions.append(Action(step, record.name, grace_seconds))

    def wake(self, at: float) -> None:
        self.wake_at = at if self.wake_at is None else min(at, self.wake_at)


def next_backoff_seconds(record: ContainerRecord, finished_at: float, facts: PodFacts) -> float:
    """Return the hold that the restart after next will get, once the restart that is due now has been made."""
    if record.backoff_at == 0.0 or _expired(record, finished_at, facts):
        return facts.backoff_seconds
    return min(record.backoff_seconds * 2, facts.backoff_seconds_max)


def restart_due_at(record: ContainerRecord, ended: Terminated, facts: PodFacts) -> float:
    """Return the time before which an ended container is not restarted."""
    if record.backoff_at == 0.0 or _expired(record, ended.finished_at, facts):
        return ended.finished_at
    return ended.finished_at + record.backoff_seconds


def plan(facts: PodFacts, containers: Sequence[ContainerRecord], now: float) -> Plan:
    """Return what to do at ``now``."""
    draft = _Draft()
    mains = [record for record in containers if record.role is Role.MAIN]
    done = all(_is_over(record, facts) for record in mains)
    failed_init = any(
        record.role is Role.INIT and _is_over(record, facts) and not _succeeded(record) for record in containers
    )
    ending = facts.terminating or done or failed_init
    if not ending:
        _plan_starts(draft, facts, containers, now)
    others_run = any(record.running and record.role is not Role.SIDECAR for record in containers)
    for record in containers:
        if not record.running:
            continue
        sidecar_waits = record.role is Role.SIDECAR and others_run
        if record.stop is None and ending and not sidecar_waits:
            draft.add(Step.STOP, record, facts.grace_seconds)
        elif record.stop is None and record.unhealthy:
            grace_seconds = facts.grace_seconds if record.grace_seconds is None else record.grace_seconds
            draft.add(Step.STOP, record, grace_seconds)
        elif record.stop is not None:
            _plan_stop(draft, record, now)
    finished = ending and not any(record.running for record in containers)
    return Plan(tuple(draft.actions), draft.wake_at, finished)


def _plan_starts(draft: _Draft, facts: PodFacts, containers: Sequence[ContainerRecord], now: float) -> None:
    """Add the starts that are due: containers in order, each init container only after those before it."""
    for record in containers:
        if not record.running and not (record.role is Role.INIT and _succeeded(record)):
            _plan_start(draft, facts, record, now)
        initialized = _succeeded(record) if record.role is Role.INIT else record.started
        if record.role is not Role.MAIN and not initialized:
            return


def _plan_start(draft: _Draft, facts: PodFacts, record: ContainerRecord, now: float) -> None:
    if record.role is not Role.SIDECAR and _is_over(record, facts):
        return
    due_at = record.retry_at
    ended = record.state if isinstance(record.state, Terminated) else record.last
    held_back = isinstance(record.state, Waiting) and record.state.reason == "CrashLoopBackOff"
    if ended is not None and (held_back or isinstance(record.state, Terminated)):
        due_at = max(due_at, restart_due_at(record, ended, facts))
    if now >= due_at:
        draft.add(Step.START, record)
        return
    draft.wake(due_at)
    pull_failed = isinstance(record.state, Waiting) and record.state.reason == "ErrImagePull"
    if isinstance(record.state, Terminated) or pull_failed:
        draft.add(Step.BACK_OFF, record)


def _plan_stop(draft: _Draft, record: ContainerRecord, now: float) -> None:
    stop = record.stop
    if stop is None or stop.killed:
        return
    if not stop.asked:
        if stop.hook is Hook.DUE:
            draft.add(Step.HOOK, record)
        elif stop.hook is Hook.DONE or now >= stop.deadline:
            draft.add(Step.ASK, record)
        else:
            draft.wake(stop.deadline)
    elif now >= stop.deadline:
        draft.add(Step.KILL, record)
    else:
        draft.wake(stop.deadline)


def _is_over(record: ContainerRecord, facts: PodFacts) -> bool:
    """Return whether a container has ended and stays so."""
    if not isinstance(record.state, Terminated):
        return False
    if record.state.exit_code == 0:
        return record.role is Role.INIT or facts.restart_policy in ("Never", "OnFailure")
    return facts.restart_policy == "Never"


def _succeeded(record: ContainerRecord) -> bool:
    return isinstance(record.state, Terminated) and record.state.exit_code == 0


def _expired(record: ContainerRecord, finished_at: float, facts: PodFacts) -> bool:
    """Return whether the container has run long enough for its failures to be forgotten."""
    return finished_at - record.backoff_at > _RESET_FACTOR * facts.backoff_seconds_max
