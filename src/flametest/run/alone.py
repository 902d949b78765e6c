"""Which scenarios are repeated alone: those that told nothing beside others, for a reason that lies in the machine.

Whether limits are missed plays no part in it, so repeating favours no verdict: a scenario that failed beside others has
failed, and one that passed is not looked at again.
"""

from dataclasses import replace

from flametest.measure.words import decapitalised
from flametest.model.result import ScenarioResult
from flametest.model.verdict import Verdict
from flametest.run.repeats import Repeat
from flametest.run.stopping import NOT_HEALTHY

__all__ = ["alone", "machine_doubt"]

_OF_THE_MACHINE = frozenset(
    {
        "clock_steady",
        "generator_able",
        "load_achieved",
        "load_exceeded",
        "load_workers",
        "prober_punctual",
        "views_agree",
        "watches_current",
        "watches_whole",
    }
)
"""Checks that a machine without time to spare leaves in doubt, whatever the system under test does."""


def alone(repeat: Repeat) -> Repeat:
    """Return the trial once more, with the same random choices and a record of its own."""
    return replace(repeat, key=f"{repeat.key}/alone", is_alone=True)


def machine_doubt(result: ScenarioResult) -> str:
    """Return why a scenario is inconclusive that may be conclusive with the machine to itself; empty for any other.

    A system that was not healthy before its fault counts too: it shares the machine with the others.
    """
    if result.verdict is not Verdict.INCONCLUSIVE:
        return ""
    if not result.fault:
        return result.sentence if result.sentence.startswith(NOT_HEALTHY) else ""
    doubted = (one for one in result.checks if one.verdict is Verdict.INCONCLUSIVE and one.name in _OF_THE_MACHINE)
    return next((f"{decapitalised(one.title)}: {one.detail}" for one in doubted), "")
