"""Stands before what Chaos Toolkit runs earlier than any control of an experiment.

Chaos Toolkit loads modules and asks controls to validate themselves when it validates an experiment, then runs the
probes of its configuration, then starts the controls of the user's settings and those of the experiment, one after the
other; only then does the recorder get to see the experiment. None of its hooks comes before all that and sees the whole
experiment. So the gate is put in front of two functions of it:

* ``ensure_experiment_is_valid``, as the commands ``chaos run`` and ``chaos validate`` call it;
* ``Runner.configure``, with which every run begins, validated or not; there the values of ``--var`` and ``--var-file``
  and the controls of the settings are known as well.

`install` does so when the ``chaos`` command loads its plugins (see `plugin`), and when the recorder is imported.
Experiments that do not name the recorder pass untouched. What starts chaoslib in another program, and without
validating the experiment first, loads this module too late for the probes of its configuration; everything else is
gated once more when the recorder starts.
"""

import functools
import inspect
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flametest.model.errors import FlametestError

__all__ = ["check_cluster", "install"]

logger = logging.getLogger("chaostoolkit")

_COMMANDS = ("chaostoolkit.commands.run", "chaostoolkit.commands.validate")
_VALIDATE = "ensure_experiment_is_valid"
_CONFIGURE = "configure"
_MARK = "__flametest_gate__"


def install() -> None:
    """Put the gate in front of this process' Chaos Toolkit; may be repeated."""
    from chaoslib.run import Runner  # noqa: PLC0415 (slow to import)

    _wrap(Runner, _CONFIGURE, _before_run)
    for name in _COMMANDS:
        if name in sys.modules:
            _wrap(sys.modules[name], _VALIDATE, _before_validation)


def check_cluster(experiment: Mapping[str, Any], environment: Mapping[str, str]) -> None:
    """Return if the cluster that the environment names may be touched, and is the one that every activity would use.

    Raises:
        FlametestError: it may not, or chaostoolkit-kubernetes would find another one.
    """
    from flametest.chaos.errors import RecorderError  # noqa: PLC0415
    from flametest.chaos.settings import read_settings  # noqa: PLC0415
    from flametest.clusters.allowed import check_environment  # noqa: PLC0415

    read_settings(environment)  # complains of a context that is not named
    check_environment(environment)
    # Before the recorder gives it its own connection, it takes KUBECONFIG for one file, and without that file goes to
    # another address by other variables.
    file = Path(environment.get("KUBECONFIG", "~/.kube/config")).expanduser()
    if "chaosk8s" in repr(experiment.get("configuration")) and not file.is_file():
        raise RecorderError(
            f"chaostoolkit-kubernetes would not find the cluster: KUBECONFIG {str(file)!r} is not one file",
            "name a single file, as `flametest env` does",
        )


def _wrap(owner: Any, name: str, before: Callable[..., None]) -> None:
    original = getattr(owner, name)
    if hasattr(original, _MARK):
        return

    @functools.wraps(original)
    def gated(*arguments: Any, **named: Any) -> Any:
        bound = inspect.signature(original).bind(*arguments, **named).arguments
        before(bound["experiment"], bound.get("experiment_vars"))
        return original(*arguments, **named)

    setattr(gated, _MARK, True)
    setattr(owner, name, gated)


def _before_validation(experiment: Any, _: Any = None) -> None:
    """Refuse an experiment before its modules are imported and its controls are asked."""
    from chaoslib.exceptions import InvalidExperiment  # noqa: PLC0415

    with _told_as(InvalidExperiment):
        _check(experiment, None)


def _before_run(experiment: Any, variables: Any) -> None:
    """Refuse an experiment before its configuration is loaded, or any control is started."""
    from chaoslib.exceptions import InvalidExperiment  # noqa: PLC0415

    try:
        with _told_as(InvalidExperiment):
            limits = _check(experiment, variables)
            if limits is not None:
                _check_settings_controls(limits.unguarded)
                check_cluster(experiment, os.environ)
    except InvalidExperiment as error:
        _end_command(str(error))
        raise


def _check(experiment: Any, variables: Any) -> Any:
    """Return the experiment's blast radius after gating it; None for one without the recorder."""
    from flametest.chaos.gate import check_experiment, is_measured  # noqa: PLC0415
    from flametest.chaos.values import load_values  # noqa: PLC0415

    if not isinstance(experiment, dict) or not is_measured(experiment):
        return None
    configuration, secrets = variables or (None, None)
    context = os.environ.get("KUBERNETES_CONTEXT", "")
    return check_experiment(experiment, load_values(experiment, configuration, secrets, context))


def _check_settings_controls(unguarded: frozenset[str]) -> None:
    from chaoslib.control import get_global_controls  # noqa: PLC0415

    from flametest.chaos.errors import UnsafeExperimentError  # noqa: PLC0415

    for control in get_global_controls():
        if control.get("name") not in unguarded:
            raise UnsafeExperimentError(
                f"the control {control.get('name')!r} of the settings or of --control-file would run, "
                "and what it would do cannot be known in advance",
                "leave it out by `chaos --settings FILE`; or name it in unguarded of the recorder control",
            )


@contextmanager
def _told_as(kind: type[Exception]) -> Iterator[None]:
    """Turn every error into one that Chaos Toolkit tells in a line."""
    try:
        yield
    except kind:
        raise
    except FlametestError as error:
        raise kind(f"{error.message}; {error.remedy}" if error.remedy else error.message) from error
    except Exception as error:  # such as of chaoslib, for an experiment of another shape
        raise kind(f"the experiment cannot be read: {type(error).__name__}: {error}") from error


def _end_command(message: str) -> None:
    """End the ``chaos`` command with its own exit code for errors, if it is that which runs the experiment."""
    import click  # noqa: PLC0415

    command = click.get_current_context(silent=True)
    if command is not None:
        logger.error(message)
        command.exit(1)
