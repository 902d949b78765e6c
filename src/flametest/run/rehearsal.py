"""A run without its faults: what every experiment would hit is resolved and gated on the real system, and shown."""

import json
from collections.abc import Iterable
from typing import Any

from flametest.chaos.preview import Aimed, preview, read_limits
from flametest.kube import KubeClient
from flametest.run.deploy import NAMESPACE
from flametest.run.experiment import Experiment, ExperimentError, recorder_arguments

__all__ = ["aim_all"]


def aim_all(client: KubeClient, experiments: Iterable[Experiment]) -> dict[str, tuple[Aimed, ...]]:
    """Return, by the experiment's name, what each of its faults would hit now; touches nothing.

    Raises:
        FlametestError: one would hit what it may not, or nothing at all.
    """
    return {experiment.name: _aim(client, experiment) for experiment in experiments}


def _aim(client: KubeClient, experiment: Experiment) -> tuple[Aimed, ...]:
    from chaoslib import substitute  # noqa: PLC0415 (slow to import)
    from chaoslib.configuration import load_configuration  # noqa: PLC0415 (slow to import)

    document: dict[str, Any] = json.loads(experiment.path.read_text())
    configuration = load_configuration(document.get("configuration") or {})
    try:
        limits = read_limits(recorder_arguments(experiment.path, document))
    except ValueError as error:
        raise ExperimentError(f"{experiment.path.name}: {error}", "mend the arguments of its recorder") from error
    return preview(document, lambda value: substitute(value, configuration, {}), client, NAMESPACE, limits)
