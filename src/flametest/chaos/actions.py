"""Actions of an experiment's method: those that wait while everything is recorded, and those that inject and heal.

{"type": "action", "name": "remove-the-service",
 "provider": {"type": "python", "module": "flametest.chaos.actions", "func": "inject_service_removal",
              "arguments": {"service": "logic"}}}

Every ``inject_`` action does nothing but hand a fault to the session: it is gated, journalled, injected, proved and
healed there, and a preview runs the same action to show its targets. Each returns what goes into the journal. By
``name`` a fault can be healed alone, while others last; see `flametest.chaos.names`.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from flametest.chaos import holding, session
from flametest.chaos.errors import RecorderError
from flametest.chaos.injections import note_control
from flametest.edgeproxy.rules import Effect, Match, Rule, RuleError, options
from flametest.faults.bad_rollout import BadRollout
from flametest.faults.container_crash import ContainerCrash
from flametest.faults.cpu_hog import CpuHog
from flametest.faults.dependency_outage import DependencyOutage
from flametest.faults.dns_outage import DnsOutage
from flametest.faults.edge import Edge
from flametest.faults.errors import FaultError, HealError
from flametest.faults.frozen_process import FrozenProcess
from flametest.faults.full_volume import FullVolume
from flametest.faults.http_faults import HttpFaults, rules_of
from flametest.faults.intrusion import INTRUDER, Intrusion
from flametest.faults.memory_hog import MemoryHog
from flametest.faults.network_partition import NetworkPartition
from flametest.faults.new_version import NewVersion
from flametest.faults.node_drain import NodeDrain
from flametest.faults.node_loss import NodeLoss
from flametest.faults.nodes import NodeSelection
from flametest.faults.pod_deletion import PodDeletion
from flametest.faults.protocol import Fault
from flametest.faults.random_errors import RandomErrors
from flametest.faults.rolling_restart import RollingRestart
from flametest.faults.scaling import Scaling
from flametest.faults.selection import PodSelection
from flametest.faults.service_removal import ServiceRemoval
from flametest.model.events import ConnectionTried, Phase, Stamp

__all__ = [
    "await_recovery",
    "begin_control",
    "heal_faults",
    "inject_bad_rollout",
    "inject_container_crash",
    "inject_cpu_hog",
    "inject_dependency_outage",
    "inject_dns_outage",
    "inject_edge",
    "inject_fault_proxy",
    "inject_frozen_process",
    "inject_full_volume",
    "inject_intrusion",
    "inject_memory_hog",
    "inject_network_partition",
    "inject_new_version",
    "inject_node_drain",
    "inject_node_loss",
    "inject_pod_deletion",
    "inject_random_errors",
    "inject_rolling_restart",
    "inject_scaling",
    "inject_service_removal",
    "observe_baseline",
    "observe_fault",
]

Told = dict[str, Any]
WorkloadKind = Literal["Deployment", "StatefulSet"]


def observe_baseline(seconds: float) -> None:
    """Let load and prober run undisturbed until it is known whether the system is healthy: the measure for the fault.

    It takes ``seconds`` at least (see `flametest.chaos.holding`). A trial among several goes on for its own extra time,
    so that faults meet what runs in a rhythm in any phase.

    Raises:
        FlametestError: the prober died, or the record or the limits cannot be read or written.
    """
    recorder = session.current()
    recorder.begin_phase(Phase.BASELINE)
    holding.observe_health(recorder, seconds)
    recorder.wait(recorder.settings.extra_baseline_seconds)


def begin_control() -> str:
    """Note the moment at which another experiment would inject its fault, and inject none.

    Everything is then measured and judged as after a fault: what a control shows, no fault is to blame for.
    """
    note_control(session.current())
    return "nothing was injected, on purpose"


def observe_fault(seconds: float, *, until_missed: bool = False) -> list[str]:
    """Let the fault last for ``seconds``, while load and prober go on.

    They count from when it took effect. The time of the requests that proved a fault in force is part of them.

    With ``until_missed`` it lasts no longer than until one of the limits is missed, whatever comes afterwards, and up
    to five times as long while more requests are bad than a limit allows.

    Returns:
        For the journal: the limits that ended it early.

    Raises:
        FlametestError: no fault was injected, the prober died, or the record or the limits cannot be read or written.
    """
    recorder = session.current()
    if not recorder.injected:
        raise RecorderError("no fault was injected, so there is nothing to observe", "fix the action before it")
    return list(holding.observe_fault(recorder, seconds, until_missed=until_missed))


def heal_faults(names: Sequence[str] | None = None) -> list[str]:
    """Take back faults that were injected so far, now, and return what was done.

    Args:
        names: those faults only; all by default. One that lasts no longer is left as it is.

    Raises:
        RecorderError: no fault of one of the names was injected.
        HealError: one could not be taken back.
    """
    healings = session.faults().heal(names)
    for healing in healings:
        if not healing.healed:
            raise HealError(f"{healing.title!r} could not be healed: {healing.evidence}", healing.remedy)
    return [healing.evidence for healing in healings]


def await_recovery(timeout_seconds: float, hold_seconds: float, *, prolong: bool = True) -> dict[str, float | bool]:
    """Wait until the workload has all its pods ready again, and watch it until the questions of the limits are decided.

    The load runs on during this hold, so that a relapse shows. It takes ``hold_seconds`` at least, and as much longer
    as the rate of requests and the limits ask for (see `flametest.chaos.holding`), unless ``prolong`` is false: then
    the limits judge what was seen, for whoever repeats it. Not recovering is no error of this action: the hypothesis
    judges it. All of it takes ``timeout_seconds`` at most, and what the hold was prolonged by.

    Returns:
        For the journal: whether it recovered and ``held``, the ``waited_seconds`` and the last hold's ``hold_seconds``.

    Raises:
        FlametestError: no fault was injected, the prober died, or the record or the limits cannot be read or written.
    """
    recorder = session.current()
    if not recorder.injected:
        raise RecorderError("no fault was injected, so there is nothing to recover from", "fix the action before it")
    begin, planned = time.monotonic(), holding.plan(recorder, hold_seconds, is_prolonged=prolong)
    is_held, held_seconds = False, 0.0
    timeout_seconds += planned.planned_seconds - hold_seconds
    late_seconds = planned.bound_seconds - planned.planned_seconds
    while recorder.wait_recovered(_left(begin, timeout_seconds)):
        recorder.begin_phase(Phase.RECOVERY)
        held = holding.hold(recorder, planned, _left(begin, timeout_seconds + late_seconds))
        is_held, held_seconds = held.whole, held.seconds
        if not held.relapsed:
            break
    waited = time.monotonic() - begin
    return {"held": is_held, "waited_seconds": round(waited, 3), "hold_seconds": round(held_seconds, 3)}


def inject_service_removal(service: str, namespace: str = "", *, name: str = "") -> Told:
    """Remove a Service until it is healed; see `ServiceRemoval`."""
    return _inject(ServiceRemoval(_in(namespace), service), name)


def inject_scaling(
    workload: str, replicas: int, kind: WorkloadKind = "Deployment", namespace: str = "", *, name: str = ""
) -> Told:
    """Scale a workload until it is healed; see `Scaling`."""
    return _inject(Scaling(_in(namespace), workload, replicas, kind), name)


def inject_dependency_outage(
    workload: str, kind: WorkloadKind = "StatefulSet", namespace: str = "", *, name: str = ""
) -> Told:
    """Take a workload away until it is healed; see `DependencyOutage`."""
    return _inject(DependencyOutage(_in(namespace), workload, kind), name)


def inject_network_partition(app: str, port: int, namespace: str = "", *, name: str = "") -> Told:
    """Let nobody connect to the pods of an app until it is healed; see `NetworkPartition`."""
    return _inject(NetworkPartition(_in(namespace), app, port), name)


def inject_intrusion(
    isolated: Mapping[str, int], admitting: Mapping[str, int], namespace: str = "", *, name: str = ""
) -> Told:
    """Start an intruder until it is healed, and note whether it can connect where nobody is to admit it.

    Args:
        isolated: the apps that it must not reach, each with a port.
        admitting: an app that admits everybody, with its port: what proves that the intruder has a network.
        namespace: where all of them are; that of the system under test by default.
        name: what the experiment calls the fault.

    Raises:
        FlametestError: it may not be started, or was not.
    """
    if len(admitting) != 1:
        raise FaultError(f"admitting names {len(admitting)} apps: expected one", 'write {"app": port}')
    fault = Intrusion(_in(namespace), isolated, next(iter(admitting.items())))
    done = _inject(fault, name)
    if not done["proved"]:
        return done
    recorder = session.current()
    tried = fault.attempts(recorder.client)
    for one in tried:
        at, name = Stamp(time.monotonic_ns(), time.time()), recorder.scenario.name
        recorder.note(ConnectionTried(at, name, INTRUDER, one.app, one.port, one.outcome))
    return done | {"attempts": {f"{one.app}:{one.port}": one.outcome for one in tried}}


def inject_bad_rollout(deployment: str, namespace: str = "", *, name: str = "") -> Told:
    """Roll out an image that does not exist until it is healed; see `BadRollout`."""
    return _inject(BadRollout(_in(namespace), deployment), name)


def inject_rolling_restart(deployment: str, namespace: str = "", *, name: str = "") -> Told:
    """Restart a Deployment pod by pod, as ``kubectl rollout restart`` does; see `RollingRestart`."""
    return _inject(RollingRestart(_in(namespace), deployment), name)


def inject_new_version(
    deployment: str,
    *,
    image: str = "",
    environment: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    namespace: str = "",
    name: str = "",
) -> Told:
    """Roll out a new version of a Deployment until it is healed; see `NewVersion`."""
    return _inject(NewVersion(_in(namespace), deployment, image, environment or {}, annotations or {}), name)


def inject_container_crash(
    label_selector: str,
    count: int = 1,
    container: str = "",
    signal: str = "TERM",
    namespace: str = "",
    *,
    name: str = "",
) -> Told:
    """Crash a container of pods drawn at random; see `ContainerCrash`."""
    return _inject(ContainerCrash(PodSelection(_in(namespace), label_selector, count=count), container, signal), name)


def inject_frozen_process(
    label_selector: str, count: int = 1, container: str = "", namespace: str = "", *, name: str = ""
) -> Told:
    """Stop the processes of a container of pods drawn at random until it is healed; see `FrozenProcess`."""
    return _inject(FrozenProcess(PodSelection(_in(namespace), label_selector, count=count), container), name)


def inject_memory_hog(
    label_selector: str, count: int = 1, container: str = "", namespace: str = "", *, name: str = ""
) -> Told:
    """Run a container of pods drawn at random out of its memory; see `MemoryHog`."""
    return _inject(MemoryHog(PodSelection(_in(namespace), label_selector, count=count), container), name)


def inject_cpu_hog(
    label_selector: str,
    processes: int = 2,
    count: int = 1,
    *,
    container: str = "",
    seconds_max: float = 120,
    namespace: str = "",
    name: str = "",
) -> Told:
    """Run busy processes in a container of pods drawn at random until it is healed; see `CpuHog`."""
    selection = PodSelection(_in(namespace), label_selector, count=count)
    return _inject(CpuHog(selection, processes, container, seconds_max), name)


def inject_full_volume(
    label_selector: str,
    volume: str,
    leave_bytes: int = 0,
    *,
    container: str = "",
    seconds_max: float = 120,
    namespace: str = "",
    name: str = "",
) -> Told:
    """Fill a volume of a pod until it is healed; see `FullVolume`."""
    selection = PodSelection(_in(namespace), label_selector)
    return _inject(FullVolume(selection, volume, leave_bytes, container, seconds_max), name)


def inject_pod_deletion(
    label_selector: str = "",
    *,
    name_pattern: str = "",
    count: int = 1,
    grace_seconds: int = -1,
    namespace: str = "",
    name: str = "",
) -> Told:
    """Delete live pods drawn at random; see `PodDeletion`."""
    return _inject(
        PodDeletion(PodSelection(_in(namespace), label_selector, name_pattern, count=count), grace_seconds), name
    )


def inject_node_drain(
    node: str = "",
    app: str = "",
    timeout_seconds: float = 60,
    namespace: str = "",
    label_selector: str = "",
    *,
    name: str = "",
) -> Told:
    """Drain a node, or one drawn from those with a live pod so selected, until it is healed; see `NodeDrain`."""
    return _inject(NodeDrain(NodeSelection(_in(namespace), node, app, label_selector), timeout_seconds), name)


def inject_node_loss(
    node: str = "", app: str = "", namespace: str = "", label_selector: str = "", *, name: str = ""
) -> Told:
    """Stop a node, or one drawn from those with a live pod so selected, until it is healed; see `NodeLoss`."""
    return _inject(NodeLoss(NodeSelection(_in(namespace), node, app, label_selector)), name)


def inject_random_errors(
    workload: str,
    *,
    error_rate: float = 0,
    latency_ms: float = 0,
    latency_jitter_ms: float = 0,
    seconds_max: float = 120,
    seed: int | None = None,
    namespace: str = "",
    name: str = "",
) -> Told:
    """Fail or delay requests inside every pod of a Deployment until it is healed; see `RandomErrors`."""
    faults = HttpFaults(error_rate, latency_ms, latency_jitter_ms, seconds_max=seconds_max, seed=seed)
    return _inject(RandomErrors(_in(namespace), workload, faults), name)


def inject_fault_proxy(
    service: str,
    *,
    error_rate: float = 0,
    latency_ms: float = 0,
    latency_jitter_ms: float = 0,
    abort_rate: float = 0,
    error_statuses: Sequence[int] = (500,),
    seconds_max: float = 120,
    seed: int | None = None,
    namespace: str = "",
    name: str = "",
) -> Told:
    """Fail, delay or reset HTTP requests of a Service until it is healed; an `inject_edge` with three rules."""
    statuses = tuple(error_statuses)
    faults = HttpFaults(error_rate, latency_ms, latency_jitter_ms, abort_rate, statuses, seconds_max, seed)
    faults.check()
    return _inject(
        Edge(_in(namespace), service, rules_of(faults), protocol="http", seconds_max=seconds_max, seed=seed), name
    )


def inject_dns_outage(app: str, namespace: str = "", *, name: str = "") -> Told:
    """Let the pods of an app resolve no names until it is healed; see `DnsOutage`."""
    return _inject(DnsOutage(_in(namespace), app), name)


def inject_edge(
    service: str,
    effect: Mapping[str, Any],
    port: int | str = 0,
    *,
    caller: str = "",
    protocol: Literal["tcp", "http"] = "tcp",
    match: Mapping[str, Any] | None = None,
    seconds_max: float = 120,
    seed: int | None = None,
    namespace: str = "",
    name: str = "",
) -> Told:
    """Disturb what is asked of a Service's port until it is healed; see `Edge`.

    Args:
        service: the Service.
        effect: what is done; see `flametest.edgeproxy.rules.Effect`.
        port: the Service's port, by number or name; every one by default.
        caller: only what this workload, or these pods by a label selector, ask for.
        protocol: what the port speaks; only of ``http`` the content is read.
        match: only what this means; see `flametest.edgeproxy.rules.Match`.
        seconds_max: it goes off by itself after so long.
        seed: makes the draws repeatable.
        namespace: where the Service is; that of the system under test by default.
        name: what the experiment calls the fault.

    Raises:
        FlametestError: it may not be injected, or was not.
    """
    try:
        rule = Rule(options(Effect, effect), options(Match, match or {}), of_caller=bool(caller))
    except RuleError as error:
        raise FaultError(str(error), "fix the arguments of inject_edge") from error
    return _inject(Edge(_in(namespace), service, (rule,), port, protocol, caller, seconds_max, seed), name)


def _inject(fault: Fault, name: str) -> Told:
    proof = session.faults().inject(fault, name)
    told: Told = {"fault": fault.title, "proved": proof.proved, "evidence": proof.evidence}
    return {"name": name} | told if name else told


def _in(namespace: str) -> str:
    return namespace or session.faults().namespace


def _left(begin: float, timeout_seconds: float) -> float:
    return max(0.0, begin + timeout_seconds - time.monotonic())
