"""The order of blocks, and the experiment of one block; pure."""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flametest.check.turns import TURN_SECONDS_MAX
from flametest.model.check import Side
from flametest.run.experiment import ExperimentError

__all__ = ["block_experiment", "quad_order"]

_BASELINE_SECONDS = 0.5  # until the recorder sees everything


def quad_order(quad: int, seed: int) -> tuple[Side, Side, Side, Side]:
    """Return the order of four blocks: ABBA or BAAB, as the seed draws it for this quad."""
    begins_with_base = random.Random(f"{seed} quad {quad}").random() < 0.5  # noqa: S311 (chance that can be repeated)
    first, second = (Side.BASE, Side.NEW) if begins_with_base else (Side.NEW, Side.BASE)
    return first, second, second, first


def block_experiment(document: Mapping[str, Any], seconds: float, turn_url: str) -> dict[str, Any]:
    """Return an experiment that injects the faults of another one when its turn has come, and heals them after a while.

    It has no hypothesis, and waits for no recovery: what users felt is measured from the load, and the check waits by
    itself until a system is whole.

    Args:
        document: the other experiment.
        seconds: how long its faults last.
        turn_url: is answered when the block may begin; see `flametest.check.turns`.

    Raises:
        ExperimentError: it has no method.
    """
    method = [activity for activity in document.get("method") or () if isinstance(activity, dict)]
    if not method:
        raise ExperimentError("the experiment has an empty method", "use --experiment with one that has a fault")
    kept = {key: value for key, value in document.items() if key != "steady-state-hypothesis"}
    provider = {"type": "http", "url": turn_url, "timeout": TURN_SECONDS_MAX}
    turn = {"type": "probe", "name": "wait-for-its-turn", "provider": provider}
    return kept | {"method": [turn, *_shortened(method, seconds)]}


def _shortened(method: Sequence[dict[str, Any]], seconds: float) -> Iterator[dict[str, Any]]:
    is_lasting = any(_function(activity) == "observe_fault" for activity in method)
    for activity in method:
        match _function(activity):
            case "observe_baseline":
                yield _waiting(activity, "observe_baseline", _BASELINE_SECONDS)
            case "observe_fault":
                yield _waiting(activity, "observe_fault", seconds)
            case "await_recovery":
                if not is_lasting:
                    yield _waiting(activity, "observe_fault", seconds)
            case _:
                yield activity


def _function(activity: Mapping[str, Any]) -> str:
    provider = activity.get("provider")
    return str(provider.get("func", "")) if isinstance(provider, dict) else ""


def _waiting(activity: dict[str, Any], function: str, seconds: float) -> dict[str, Any]:
    return activity | {"provider": activity["provider"] | {"func": function, "arguments": {"seconds": seconds}}}
