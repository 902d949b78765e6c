"""The recorder control: name it in an experiment's ``controls`` and the experiment is measured.

    {"name": "recorder",
     "provider": {"type": "python", "module": "flametest.chaos.controls",
                  "arguments": {"scenario": "pod-delete-api", "workload": "api"}}}

It also guards every activity, those of other extensions too: what they would hit is resolved, shown and gated before
they run, how to take it back is on disk before they run, and it is taken back on every way out. Further arguments
widen the blast radius: ``targets_max``, ``pods_share_max``, ``nodes_max``, ``replicas_max``, ``namespaces``,
``unguarded``; see `Limits`. By ``abort_when``, such as ``["availability=0.5"]``, faults are healed at once when users
suffer more; limits in the variable FLAMETEST_ABORT_WHEN come first. Chaos Toolkit runs some things before any control;
`gatekeeper` stands before these.

What Chaos Toolkit does with controls shapes this module: it swallows every exception of theirs but
InterruptExecution, and so all are turned into that one; it calls the end of a control also after its beginning
failed; it runs `cleanup_control` even when a second Ctrl-C cut the end short; and it goes on after an action that
failed, a SIGTERM included, which would let an experiment without a fault pass. So a failed action interrupts here.
"""

import logging
import os
import threading
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from chaoslib.exceptions import InterruptExecution, InvalidControl

from flametest.chaos import session
from flametest.chaos.entryprobes import trust_entry
from flametest.chaos.extension import pin_extension
from flametest.chaos.gate import check_experiment
from flametest.chaos.gatekeeper import check_cluster, install
from flametest.chaos.guarded import guarded_fault, refuse_other_cluster
from flametest.chaos.harmwatch import HarmWatch
from flametest.chaos.injections import ExperimentFaults, end_with_runner
from flametest.chaos.limits import judges_steady_state
from flametest.chaos.preview import preview
from flametest.chaos.radius import harm_limits, read_limits
from flametest.chaos.reading import OWN_ACTIONS
from flametest.chaos.recorded import tell_recorded
from flametest.chaos.recorder import Noting, Recorder, Scenario
from flametest.chaos.settings import read_settings
from flametest.chaos.tracebacks import last_line
from flametest.chaos.values import Values
from flametest.faults.healing import place_of
from flametest.faults.owner import own_owner
from flametest.faults.pod_deletion import PodDeletion
from flametest.faults.wrapper import Armed, InjectionOptions
from flametest.load.starting import await_release
from flametest.model.errors import FlametestError

__all__ = [
    "after_activity_control",
    "after_experiment_control",
    "before_activity_control",
    "before_experiment_control",
    "cleanup_control",
    "validate_control",
]

logger = logging.getLogger("chaostoolkit")
install()


@dataclass(frozen=True, slots=True)
class _Running:
    """An action that runs: what is stamped and noted of it, and the fault that it is known to be, if it is one."""

    activity: Mapping[str, Any]
    name: str
    stamping: ExitStack
    fault_name: str
    noting: Noting
    armed: Armed | None


# The present action, by the thread that Chaos Toolkit runs it in.
_running: dict[int, _Running] = {}


@contextmanager
def _interrupting() -> Iterator[None]:
    """Turn every error into the one exception of a control that Chaos Toolkit heeds."""
    try:
        yield
    except InterruptExecution:
        raise
    except FlametestError as error:
        remedy = f"; {error.remedy}" if error.remedy else ""
        raise InterruptExecution(f"{error.message}{remedy}") from error
    except Exception as error:
        raise InterruptExecution(f"the recorder failed: {type(error).__name__}: {error}") from error


def validate_control(control: Mapping[str, Any]) -> None:
    """Refuse a recorder without its arguments when ``chaos validate`` or ``chaos run`` reads the experiment.

    Raises:
        InvalidControl: an argument is missing; the message names it.
    """
    arguments = control["provider"].get("arguments") or {}
    for name in ("scenario", "workload"):
        if not isinstance(arguments.get(name), str) or not arguments[name]:
            raise InvalidControl(f'control {control["name"]!r}: expected the argument "{name}", a text, found none')
    try:
        read_limits(arguments)
        harm_limits(arguments, {})
    except ValueError as error:
        raise InvalidControl(f"control {control['name']!r}: {error}") from error


@_interrupting()
def before_experiment_control(
    context: Mapping[str, Any],
    scenario: str,
    workload: str,
    *,
    path: str = "/",
    configuration: Mapping[str, Any] | None = None,
    secrets: Mapping[str, Any] | None = None,
    **limits: Any,
) -> None:
    """Start the recorder, or interrupt the experiment before anything is injected.

    All faults of the experiment are resolved and gated first, so that the last one does not turn out to be forbidden
    after the first one was injected.

    Args:
        context: the experiment.
        scenario: names the record; the experiment file's stem.
        workload: the Deployment or StatefulSet that the fault hits.
        path: what the prober asks the entry for; the part of the system that the fault is to be felt in.
        configuration: the experiment's configuration.
        secrets: its secrets.
        limits: its blast radius, see `read_limits`, and its harm limits, see `harm_limits`.
    """
    pin_extension()
    settings = read_settings(os.environ)
    values = Values(configuration or {}, secrets or {}, context=settings.context)
    radius = check_experiment(context, values)
    check_cluster(context, os.environ)
    end_with_runner(os.environ)
    judged = judges_steady_state(context)
    described = Scenario(scenario, workload, str(context.get("title", "")), _experiment_file(), path, judged)
    await_release(os.environ)
    recorder = Recorder(settings, described)
    session.begin(recorder)
    recorder.start()
    preview(context, values, recorder.client, settings.namespace)
    place = place_of(recorder.client, settings.kubeconfig, settings.context)
    options = InjectionOptions(radius.radius(settings.namespace), settings.home, own_owner(os.environ))
    faults = ExperimentFaults(recorder.client, place, options, recorder, settings.namespace)
    session.arm(faults, HarmWatch(harm_limits(limits, os.environ), recorder, faults))
    logger.info(f"Flametest records into {recorder.folder}")
    await_release(os.environ)


@_interrupting()
def before_activity_control(
    context: Mapping[str, Any],
    configuration: Mapping[str, Any] | None = None,
    secrets: Mapping[str, Any] | None = None,
    **limits: Any,
) -> None:
    """Guard an activity, and stamp the requests of an action from here on.

    Flametest's own actions guard, stamp and prove by themselves. Where an activity has controls of its own, Chaos
    Toolkit applies this one once for each of them.
    """
    provider = context.get("provider") or {}
    ident = threading.get_ident()
    if ident in _running and _running[ident].activity is context:
        return
    values = Values(configuration or {}, secrets or {}, context=os.environ.get("KUBERNETES_CONTEXT", ""))
    if session.is_armed():
        session.current().check()  # users may have suffered too much since the last activity
    refuse_other_cluster(context, values)
    trust_entry(context, values, os.environ)
    fault = guarded_fault(context, values.fill(provider.get("arguments") or {}) or {}, read_limits(limits).unguarded)
    if context.get("type") != "action" or provider.get("module") == OWN_ACTIONS:
        return
    name = str(provider.get("func") or context.get("name", ""))
    fault_name = session.armed().names.take("", name)
    session.current().seed(name)
    armed = session.armed().arm(fault) if fault is not None else None
    with ExitStack() as stamping:
        noting = stamping.enter_context(session.current().injecting(name, fault_name))
        _running[ident] = _Running(context, name, stamping.pop_all(), fault_name, noting, armed)


@_interrupting()
def after_activity_control(context: Mapping[str, Any], state: Mapping[str, Any] | None = None, **_: Any) -> None:
    """Note what an action injected, and whether it took effect; interrupt the experiment when the action failed."""
    if context.get("type") != "action":
        return
    running = _running.pop(threading.get_ident(), None)
    if running is not None:
        running.stamping.close()
        if running.armed is not None:
            session.armed().done(running.armed, running.fault_name, running.noting.injection)
    if state is not None and state.get("status") == "failed":
        reason = last_line(state.get("exception") or ())
        raise InterruptExecution(f"action {context.get('name')!r} failed, so the experiment proves nothing: {reason}")
    if running is None or running.armed is None or not running.noting.injection:
        return
    if not isinstance(running.armed.fault, PodDeletion):  # that a pod is gone, the watch proves to the millisecond
        session.armed().prove(running.armed, running.noting.injection, running.name)


def after_experiment_control(
    context: Mapping[str, Any], state: MutableMapping[str, Any] | None = None, **_: Any
) -> None:
    """End the recorder; ``state`` is the journal.

    A system that was not in its steady state before the fault is left alone, and Chaos Toolkit calls that
    "completed", with exit code 0. Nothing was tested, so the journal's status becomes "failed".
    """
    journal = {} if state is None else state
    if journal.get("status") == "completed" and not context.get("dry") and not session.current().injected:
        logger.error("nothing was injected, so nothing was tested: the experiment failed")
        journal["status"] = "failed"
    deviated = bool(journal.get("deviated"))
    healed = _end("deviated" if deviated else str(journal.get("status") or "aborted"), deviated)
    if not healed and journal.get("status") == "completed":
        journal["status"] = "failed"


def cleanup_control() -> None:
    """End the recorder if the end of the experiment did not get to it."""
    _end("interrupted", False)


def _end(status: str, deviated: bool) -> bool:
    """Heal and end the session, and return whether all is healed.

    Chaos Toolkit would swallow an error here, so it is logged.
    """
    try:
        return all(healing.healed for healing in session.end(status, deviated))
    except Exception as error:
        logger.error(f"the recorder did not end well: {error}")
        return False
    finally:
        tell_recorded()


def _experiment_file() -> str:
    """Return the file that ``chaos run`` was given; empty when something else runs the experiment."""
    import click  # noqa: PLC0415 (Chaos Toolkit's own command line, if it is that)

    command = click.get_current_context(silent=True)
    return str(command.params.get("source", "")) if command is not None else ""
