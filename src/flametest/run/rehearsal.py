"""A run without its faults: what every experiment would hit is resolved and gated on the real system, and shown."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from flametest.chaos.preview import Aimed, Limits, foreseen, preview, read_limits
from flametest.clusters import Access
from flametest.faults.protocol import Fault
from flametest.kube import KubeClient
from flametest.load.redirects import refuse_redirect
from flametest.run.experiment import Experiment, ExperimentError, recorder_arguments

__all__ = ["aim_all", "ask_entries", "faults_of"]


def ask_entries(access: Access, experiments: Iterable[Experiment]) -> None:
    """Ask the entry once for each path that an experiment measures by.

    Raises:
        LoadError: one is answered with a redirect.
    """
    for path in dict.fromkeys(experiment.entry_path for experiment in experiments):
        refuse_redirect(access.url.rstrip("/") + path)


def aim_all(client: KubeClient, access: Access, experiments: Iterable[Experiment]) -> dict[str, tuple[Aimed, ...]]:
    """Return, by the experiment's name, what each of its faults would hit now; touches nothing.

    Raises:
        FlametestError: one would hit what it may not, or nothing at all.
    """
    return {experiment.name: _aim(client, access, experiment) for experiment in experiments}


def faults_of(experiment: Experiment, access: Access) -> tuple[Fault, ...]:
    """Return the faults that an experiment would inject, as its file tells them; asks no cluster.

    Raises:
        FlametestError: its file cannot be used, or nobody can tell what one of its actions does.
    """
    document, filled, limits = _read(experiment, access)
    return foreseen(document, filled, access.namespace, limits)


def _aim(client: KubeClient, access: Access, experiment: Experiment) -> tuple[Aimed, ...]:
    document, filled, limits = _read(experiment, access)
    return preview(document, filled, client, access.namespace, limits)


def _read(experiment: Experiment, access: Access) -> tuple[dict[str, Any], Callable[[Any], Any], Limits]:
    from chaoslib import substitute  # noqa: PLC0415 (slow to import)
    from chaoslib.configuration import load_configuration  # noqa: PLC0415 (slow to import)

    document: dict[str, Any] = json.loads(experiment.path.read_text())
    configuration = load_configuration(_configured(document.get("configuration") or {}, access.environment({})))
    try:
        limits = read_limits(recorder_arguments(experiment.path, document))
    except ValueError as error:
        raise ExperimentError(f"{experiment.path.name}: {error}", "mend the arguments of its recorder") from error
    return document, lambda value: substitute(value, configuration, {}), limits


def _configured(configuration: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, Any]:
    """Return a configuration with what the experiment's own process will be told, and this one's environment is not."""

    def told(value: Any) -> Any:
        is_variable = isinstance(value, dict) and value.get("type") == "env"
        return environment.get(str(value.get("key")), value) if is_variable else value

    return {name: told(value) for name, value in configuration.items()}
