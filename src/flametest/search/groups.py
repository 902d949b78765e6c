"""Several sets tried in one trial: where the promise holds under all of their faults at once, it holds under each set.

This is group testing (Dorfman, The Detection of Defective Members of Large Populations, 1943): few pairs of faults
break a promise, and a trial of four faults looks at six pairs. It rests on one assumption: a promise that holds under
some faults holds under fewer of them. That fails where one fault hides another one, so that such faults never share a
group: a part that is asked by nobody but by parts that are away is not seen to be hit. A group that breaks is a reason
to look closer and no finding: the sets inside are tried by themselves. Pure.
"""

from collections.abc import Collection, Mapping, Sequence

from flametest.search.candidates import Candidate, Space, breaks_already
from flametest.search.letters import Dose, Kind, Trial

__all__ = ["STRAIN_MAX", "covers", "gathered"]

STRAIN_MAX = 0.6
"""What the faults of a group may have used up of the promise, each alone, in all: else it breaks by their sum."""

_COUNTS = 0.1  # what a set counts beside its weight, so that many unlikely ones are worth a trial too


def gathered(
    space: Space,
    first: Candidate,
    waiting: Sequence[Candidate],
    felt: Mapping[str, float],
    barred: Collection[Trial],
) -> Trial:
    """Return the faults of a set and as many more as look at the most of other sets in the same trial.

    Args:
        space: what is searched; it tells how many faults may be tried together.
        first: the set that has to be looked at.
        waiting: the others, the likeliest first.
        felt: which share of the promise each letter alone has used up.
        barred: sets that no group may contain.
    """
    group, path = first.trial, first.path
    alike = [one for one in waiting if one.path == path]
    doses = {dose.letter: dose for one in alike for dose in one.trial.doses}
    weights = [(one.letters, _COUNTS + one.weight) for one in alike]
    while len(group.doses) < space.together:
        gains = {wider: _gain(group, wider, weights) for wider in _wider(group, doses.values())}
        most = sorted((one for one in gains if gains[one] > 0), key=lambda one: (-gains[one], one.key))
        fit = next((one for one in most if _is_fit(space, path, one, felt, barred)), None)
        if fit is None:
            break
        group = fit
    return group


def covers(space: Space, group: Trial, smaller: Trial) -> bool:
    """Return whether what a group has shown is shown of a smaller set: it is within, and asks for the same path."""
    if not smaller.letters <= group.letters:
        return False
    return set(smaller.doses) <= set(group.doses) and space.path_of(group) == space.path_of(smaller)


def _wider(group: Trial, doses: Collection[Dose]) -> list[Trial]:
    return [Trial(tuple(sorted((*group.doses, one)))) for one in doses if one.letter not in group.letters]


def _gain(group: Trial, wider: Trial, weights: Sequence[tuple[frozenset[str], float]]) -> float:
    """Return the weight of the sets that are looked at by one fault more."""
    before, within = group.letters, wider.letters
    return sum(weight for letters, weight in weights if letters <= within and not letters <= before)


def _is_fit(space: Space, path: str, wider: Trial, felt: Mapping[str, float], barred: Collection[Trial]) -> bool:
    if space.reason_against(wider.letters) or breaks_already(space.alphabet, wider, barred):
        return False
    if sum(felt.get(name, 0.0) for name in wider.letters) > STRAIN_MAX:
        return False
    letters = space.alphabet.of(wider.letters)
    if space.path_of(wider) != path:
        return False
    gone = frozenset(one.part for one in letters if one.kind is Kind.GONE)
    hidden = space.structure.hidden_by(gone, path)
    return not any(one.part in hidden for one in letters)
