"""A run without its faults: what every experiment would hit is resolved and gated on the real system, and shown.

An experiment is validated by Chaos Toolkit's own function on the way, as ``chaos validate`` does it, after the gate has
looked at it: validating imports the modules that it names.
"""

import logging
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flametest.chaos.gate import check_experiment
from flametest.chaos.preview import Aimed, foreseen, preview
from flametest.chaos.values import Values, load_values
from flametest.clusters import Access
from flametest.faults.protocol import Fault
from flametest.kube import KubeClient, KubeError
from flametest.load.redirects import refuse_redirect
from flametest.model.errors import FlametestError
from flametest.run.experiment import Experiment, ExperimentError, read_document

__all__ = ["aim_all", "ask_entries", "check_all", "faults_of"]

_HYPOTHESIS_STRATEGIES = (
    *("default", "before-method-only", "after-method-only", "during-method-only", "continuously"),
    "continously",  # which Chaos Toolkit still takes  # codespell:ignore continously
)
_ROLLBACK_STRATEGIES = ("default", "always", "never", "deviated")
# Before anything is deployed: what stands in the environment of an experiment, whatever it will be.
_NOWHERE = Access(Path("kubeconfig"), "", "http://127.0.0.1", "flametest")


def ask_entries(access: Access, experiments: Iterable[Experiment]) -> None:
    """Ask the entry once for each path that an experiment measures by.

    Raises:
        LoadError: one is answered with a redirect.
    """
    for path in dict.fromkeys(experiment.entry_path for experiment in experiments):
        refuse_redirect(access.url.rstrip("/") + path, access.environment(os.environ))


def aim_all(client: KubeClient, access: Access, experiments: Iterable[Experiment]) -> dict[str, tuple[Aimed, ...]]:
    """Return, by the experiment's name, what each of its faults would hit now; touches nothing.

    Raises:
        FlametestError: one would hit what it may not, or nothing at all; it names all such experiments.
    """
    aimed: dict[str, tuple[Aimed, ...]] = {}
    refused: dict[str, FlametestError] = {}
    for experiment in experiments:
        try:
            aimed[experiment.name] = _aim(client, access, experiment)
        except KubeError:
            raise  # which says nothing about the experiment
        except FlametestError as error:
            refused[experiment.name] = error
    if refused:
        raise _together(refused, leaves_some=bool(aimed))
    return aimed


def _together(refused: Mapping[str, FlametestError], *, leaves_some: bool) -> FlametestError:
    """Return the first refusal with the others added to it, and, where others are left, the options that skip them."""
    first, *others = refused.values()
    first.message = "; ".join((first.message, *(other.message for other in others)))
    first.args = (first.message,)
    if leaves_some:
        skipping = f"run the others with {' '.join(f'--skip {name}' for name in refused)}"
        first.remedy = "; or ".join(part for part in (first.remedy, skipping) if part)
    return first


def check_all(experiments: Iterable[Experiment]) -> None:
    """Validate and gate experiments, before anything is deployed or any cluster is asked.

    Raises:
        FlametestError: one cannot be run, or would run what may not be run.
    """
    for experiment in experiments:
        faults_of(experiment, _NOWHERE)


def faults_of(experiment: Experiment, access: Access) -> tuple[Fault, ...]:
    """Return the faults that an experiment would inject, as its file tells them; asks no cluster.

    Raises:
        FlametestError: its file cannot be used, or nobody can tell what one of its actions does.
    """
    with _naming(experiment):
        document, values = _read(experiment, access)
        return foreseen(document, values, access.namespace)


def _aim(client: KubeClient, access: Access, experiment: Experiment) -> tuple[Aimed, ...]:
    with _naming(experiment):
        document, values = _read(experiment, access)
        return preview(document, values, client, access.namespace)


@contextmanager
def _naming(experiment: Experiment) -> Iterator[None]:
    """Name the experiment in errors about it."""
    name = experiment.path.name
    try:
        yield
    except FlametestError as error:
        if error.message.startswith(f"{name}: "):
            raise
        error.message = f"{name}: {error.message}"
        error.args = (error.message,)
        raise


def _read(experiment: Experiment, access: Access) -> tuple[Mapping[str, Any], Values]:
    document = read_document(experiment.path)
    _check_runtime(document)
    with _as_in_the_run(access):
        values = _called(lambda: load_values(document, context=access.context))
        check_experiment(document, values)
        _called(lambda: _validate(document))
    return document, values


def _validate(document: Mapping[str, Any]) -> None:
    from chaoslib.experiment import ensure_experiment_is_valid  # noqa: PLC0415 (slow to import)

    ensure_experiment_is_valid(document)


def _called(function: Any) -> Any:
    """Call a function of Chaos Toolkit; what it raises, by intention or over an unforeseen shape, becomes a line."""
    from chaoslib.exceptions import ChaosException  # noqa: PLC0415 (slow to import)

    try:
        return function()
    except ChaosException as error:
        raise ExperimentError(_line(error), "fix the experiment; `chaos validate` shows the same") from error
    except (Exception, SystemExit) as error:
        raise ExperimentError(
            f"Chaos Toolkit cannot read the experiment: {type(error).__name__}: {_line(error)}",
            "fix the experiment; see https://chaostoolkit.org/reference/api/experiment/",
        ) from error


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())


@contextmanager
def _as_in_the_run(access: Access) -> Iterator[None]:
    """Give this process the variables and the modules that Chaos Toolkit will have, and none of its messages."""
    logger, told = logging.getLogger("chaostoolkit"), access.environment(os.environ)
    before = {name: os.environ.get(name) for name in told}
    was_disabled, path = logger.disabled, list(sys.path)
    os.environ.update(told)
    logger.disabled = True
    sys.path.insert(0, str(Path.cwd()))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        sys.path[:] = path
        logger.disabled = was_disabled
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _check_runtime(document: Mapping[str, Any]) -> None:
    """Refuse strategies that Chaos Toolkit does not have; it finds out in the middle of a run."""
    runtime = document.get("runtime") or {}
    for key, known in (("hypothesis", _HYPOTHESIS_STRATEGIES), ("rollbacks", _ROLLBACK_STRATEGIES)):
        part = runtime.get(key) or {} if isinstance(runtime, dict) else None
        strategy = part.get("strategy", "default") if isinstance(part, dict) else None
        if strategy not in known:
            raise ExperimentError(
                f"runtime.{key}.strategy is not one of {', '.join(known)}", "fix runtime, or leave it out"
            )
