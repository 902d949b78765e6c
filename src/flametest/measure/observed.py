"""For how long a scenario was observed, and what ended that: its questions decided, or the bound."""

from collections.abc import Callable

from flametest.measure.figures import CRITERIA
from flametest.measure.questions import HEALTHY_BEFORE
from flametest.measure.words import decapitalised
from flametest.model.events import Phase, PhaseObserved
from flametest.model.history import History
from flametest.model.verdict import Verdict

__all__ = ["observed_enough"]

_Rule = tuple[str, str, Callable[[], tuple[Verdict, str]]]
_NAMES = {HEALTHY_BEFORE: "health", "rate_reached": "the rate reached", "requests_counted": "the pods' own counts"}
_PHASES = {Phase.BASELINE: "before the fault", Phase.RECOVERY: "after recovery"}


def observed_enough(history: History) -> tuple[_Rule, ...]:
    """Return the account of how long was observed before the fault and after recovery; none where nothing is noted.

    It always passes: what is left undecided is judged by its figure, whose limit is missed, kept or in doubt.
    """
    seen = {one.phase: one for one in history.of(PhaseObserved)}  # the last hold of several
    if not seen:
        return ()
    detail = "; ".join(_words(one) for one in seen.values())
    return (("observed_enough", "It was observed until its questions were decided", lambda: (Verdict.PASSED, detail)),)


def _words(one: PhaseObserved) -> str:
    where = f"{one.seconds:.1f} s {_PHASES.get(one.phase, f'in the {one.phase}')}"
    if not one.undecided:
        return f"{where}: decided"
    names = ", ".join(_named(name) for name in one.undecided)
    return f"{where}: undecided within 5 % error, and judged by what was seen: {names}"


def _named(name: str) -> str:
    return _NAMES.get(name) or decapitalised(CRITERIA[name][0] if name in CRITERIA else name)
