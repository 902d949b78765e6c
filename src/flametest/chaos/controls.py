"""The recorder control: name it in an experiment's ``controls`` and the experiment is measured.

    {"name": "recorder",
     "provider": {"type": "python", "module": "flametest.chaos.controls",
                  "arguments": {"scenario": "pod-delete-api", "workload": "api"}}}

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
from typing import Any

from chaoslib import substitute
from chaoslib.exceptions import InterruptExecution, InvalidControl

from flametest.chaos import session
from flametest.chaos.guard import refuse_unselective
from flametest.chaos.recorder import Recorder, Scenario
from flametest.chaos.settings import read_settings
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

# What runs around the present action, by the thread that Chaos Toolkit runs it in.
_injecting: dict[int, ExitStack] = {}


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


@_interrupting()
def before_experiment_control(
    context: Mapping[str, Any],
    scenario: str,
    workload: str,
    configuration: Mapping[str, Any] | None = None,
    secrets: Mapping[str, Any] | None = None,
) -> None:
    """Start the recorder, or interrupt the experiment before anything is injected.

    Args:
        context: the experiment.
        scenario: names the record; the experiment file's stem.
        workload: the Deployment or StatefulSet that the fault hits.
        configuration: the experiment's configuration.
        secrets: its secrets.
    """
    refuse_unselective(context, lambda value: substitute(value, configuration, secrets))
    described = Scenario(scenario, workload, str(context.get("title", "")), _experiment_file())
    recorder = Recorder(read_settings(os.environ), described)
    session.begin(recorder)
    recorder.start()
    logger.info(f"Flametest records into {recorder.folder}")


@_interrupting()
def before_activity_control(context: Mapping[str, Any], **_: Any) -> None:
    """Stamp the requests of an action from here on."""
    if context.get("type") == "action":
        stack = _injecting[threading.get_ident()] = ExitStack()
        provider = context.get("provider") or {}
        stack.enter_context(session.current().injecting(str(provider.get("func") or context.get("name", ""))))


@_interrupting()
def after_activity_control(context: Mapping[str, Any], state: Mapping[str, Any] | None = None, **_: Any) -> None:
    """Note what an action injected; interrupt the experiment when the action failed."""
    stack = _injecting.pop(threading.get_ident(), None)
    if stack is None:
        return
    stack.close()
    if state is not None and state.get("status") == "failed":
        reason = " ".join("".join(state.get("exception") or ()).split()[-40:])
        raise InterruptExecution(f"action {context.get('name')!r} failed, so the experiment proves nothing: {reason}")


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
    _end("deviated" if deviated else str(journal.get("status") or "aborted"), deviated)


def cleanup_control() -> None:
    """End the recorder if the end of the experiment did not get to it."""
    _end("interrupted", False)


def _end(status: str, deviated: bool) -> None:
    """End the session; Chaos Toolkit would swallow an error here, so it is logged."""
    try:
        session.end(status, deviated)
    except Exception as error:
        logger.error(f"the recorder did not end well: {error}")


def _experiment_file() -> str:
    """Return the file that ``chaos run`` was given; empty when something else runs the experiment."""
    import click  # noqa: PLC0415 (Chaos Toolkit's own command line, if it is that)

    command = click.get_current_context(silent=True)
    return str(command.params.get("source", "")) if command is not None else ""
