"""What the environment tells an experiment: which cluster, which namespace, where users enter, where to record.

``eval "$(flametest env)"`` sets the cluster's variables; ``flametest run`` sets all of them.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flametest.chaos.errors import RecorderError
from flametest.faults.undo import state_home

__all__ = ["Settings", "read_settings"]

REMEDY = 'run `eval "$(flametest env)"` after `flametest up`'
_EXTRA_SECONDS_MAX = 600.0


@dataclass(frozen=True, slots=True)
class Settings:
    """The environment of an experiment."""

    kubeconfig: str
    """KUBECONFIG; several files are possible, as for kubectl."""

    context: str
    """KUBERNETES_CONTEXT; has no default, so that the current context is never used by accident."""

    namespace: str
    """FLAMETEST_NAMESPACE; where the system under test lives."""

    url: str
    """FLAMETEST_URL; where users enter, and what the prober asks for."""

    record_folder: Path | None
    """FLAMETEST_RECORD_DIR; None for a lone ``chaos run``, which records below ``reports/experiments``."""

    home: Path
    """$FLAMETEST_HOME, or flametest below the XDG state folder; where undo records are kept."""

    seed: int | None
    """FLAMETEST_SEED; what random choices of actions start from, None to draw one."""

    extra_baseline_seconds: float = 0.0
    """FLAMETEST_EXTRA_BASELINE_SECONDS; the random phase of a trial, added to the baseline."""

    limits_file: Path | None = None
    """FLAMETEST_LIMITS_FILE; None for the limits.toml beside the experiment."""

    limits: tuple[str, ...] = ()
    """FLAMETEST_LIMITS; those of the command line, as words of a shell."""


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return what ``environment`` says.

    Raises:
        RecorderError: no context is named, or a number is none.
    """
    context = environment.get("KUBERNETES_CONTEXT", "")
    if not context:
        raise RecorderError("KUBERNETES_CONTEXT is not set, so no cluster is chosen", REMEDY)
    folder = environment.get("FLAMETEST_RECORD_DIR", "")
    seed = environment.get("FLAMETEST_SEED", "")
    if seed and not (seed.isascii() and seed.isdigit()):
        raise RecorderError(f"FLAMETEST_SEED is {seed!r}; expected a whole number", "unset it to have one drawn")
    return Settings(
        kubeconfig=environment.get("KUBECONFIG") or str(Path.home() / ".kube" / "config"),
        context=context,
        namespace=environment.get("FLAMETEST_NAMESPACE") or "flametest",
        url=environment.get("FLAMETEST_URL") or "http://127.0.0.1:30080",
        record_folder=Path(folder) if folder else None,
        home=state_home(environment),
        seed=int(seed) if seed else None,
        extra_baseline_seconds=_seconds(environment, "FLAMETEST_EXTRA_BASELINE_SECONDS"),
        limits_file=Path(limits_file) if (limits_file := environment.get("FLAMETEST_LIMITS_FILE")) else None,
        limits=_words(environment, "FLAMETEST_LIMITS"),
    )


def _words(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    text = environment.get(name, "")
    try:
        return tuple(shlex.split(text))
    except ValueError as error:
        raise RecorderError(f"{name} is {text!r}: {error}", "quote it as for a shell") from error


def _seconds(environment: Mapping[str, str], name: str) -> float:
    text = environment.get(name) or "0"
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < _EXTRA_SECONDS_MAX:
        raise RecorderError(f"{name} is {text!r}; expected seconds under {_EXTRA_SECONDS_MAX:g}", "unset it")
    return seconds
