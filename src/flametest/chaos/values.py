"""What an experiment's ``${name}`` stand for: its configuration and its secrets, as far as they are known yet."""

import string
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Values", "load_values"]


@dataclass(frozen=True, slots=True)
class Values:
    """Configuration and secrets of an experiment.

    Attributes:
        configuration: the entries that are known, loaded.
        secrets: by target and name, loaded.
        later: entries of the configuration that a probe fills in only when the experiment is run.
        context: the context of the system under test; empty where it is not known yet.
    """

    configuration: Mapping[str, Any] = field(default_factory=dict)
    secrets: Mapping[str, Any] = field(default_factory=dict)
    later: Mapping[str, Any] = field(default_factory=dict)
    context: str = ""

    def fill(self, value: Any) -> Any:
        """Return a value with each ``${name}`` filled in, by Chaos Toolkit's own function."""
        from chaoslib import substitute  # noqa: PLC0415 (slow to import)

        return substitute(value, self.configuration, self.secrets)

    def unknown(self, value: Any) -> tuple[str, ...]:
        """Return the entries that a value mentions and that are filled in only when the experiment is run."""
        return tuple(name for name in dict.fromkeys(_mentioned(value)) if name in self.later)


def load_values(
    experiment: Mapping[str, Any],
    variables: Mapping[str, Any] | None = None,
    secret_variables: Mapping[str, Any] | None = None,
    context: str = "",
) -> Values:
    """Load the values of an experiment as Chaos Toolkit does, except for those that a probe would have to be run for.

    Args:
        experiment: the experiment.
        variables: what takes the place of entries of the configuration (``chaos run --var`` and ``--var-file``).
        secret_variables: what takes the place of secrets, likewise.
        context: the context of the system under test.

    Raises:
        ChaosException: one cannot be loaded, such as from an environment variable that is not set.
    """
    from chaoslib.configuration import load_configuration  # noqa: PLC0415 (slow to import)
    from chaoslib.secret import load_secrets  # noqa: PLC0415 (slow to import)

    # It takes the variables out of what it is given.
    loaded = load_configuration(experiment.get("configuration", {}), deepcopy(dict(variables or {})))
    secrets = load_secrets(experiment.get("secrets", {}), loaded, deepcopy(dict(secret_variables or {})))
    later = {key: value for key, value in loaded.items() if isinstance(value, dict) and value.get("type") == "probe"}
    known = {key: value for key, value in loaded.items() if key not in later}
    return Values(known, secrets, later, context)


def _mentioned(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        for match in string.Template.pattern.finditer(value):
            name = match.group("named") or match.group("braced")
            if name:
                yield name
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _mentioned(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _mentioned(one)
