"""Systems drawn at random whose smallest breaking sets are known from the drawing, and the search of them."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from flametest.search.candidates import Space, breaks_already
from flametest.search.evidence import Evidence, Outcome, Saw
from flametest.search.hunt import Hunt
from flametest.search.journal import Recorded
from flametest.search.letters import Alphabet, Kind, Letter, Level, Trial
from flametest.search.structure import Part, Structure

HOLDS = 3
TRIALS_MAX = 3000


@dataclass(frozen=True)
class Weakness:
    """A set of faults that breaks the promise, each at no level weaker than this, held no shorter than this."""

    levels: dict[str, int]
    hold: int

    @property
    def letters(self) -> frozenset[str]:
        return frozenset(self.levels)

    def is_met_by(self, trial: Trial) -> bool:
        doses = {one.letter: one.level for one in trial.doses}
        met = all(name in doses and doses[name] <= level for name, level in self.levels.items())
        return met and trial.hold <= self.hold


@dataclass
class Simulated:
    """A system: what is searched, what breaks it, and how often a trial errs."""

    space: Space
    weaknesses: tuple[Weakness, ...]
    seed: int
    inconclusive: float = 0.0
    wrong: float = 0.0
    strains: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.run: list[Trial] = []
        self.told: list[tuple[str, Saw]] = []

    def saw(self, trial: Trial) -> Saw:
        self.run.append(trial)
        if self.random.random() < self.inconclusive:
            return Saw(Outcome.INCONCLUSIVE)
        breaks = any(one.is_met_by(trial) for one in self.weaknesses)
        if self.random.random() < self.wrong:
            breaks = not breaks
        strain = max((self.strains.get(name, 0.0) for name in trial.letters), default=0.0)
        return Saw(Outcome.BREAKS, 2.0) if breaks else Saw(Outcome.HOLDS, strain)

    def searched(self, recorded: Recorded | None = None, trials_max: int = TRIALS_MAX, **options: bool | int) -> Hunt:
        """Return the search of this system, at its end or after so many trials, those on record left out."""
        hunt, known = Hunt(self.space, Evidence(), HOLDS, **options), recorded or Recorded()  # type: ignore[arg-type]
        asking = hunt.asking()
        while trials := known.next_new(asking, hunt.evidence):
            for trial in trials:
                if len(self.run) < trials_max:
                    self.told.append((trial.key, self.saw(trial)))
                    hunt.evidence.add(*self.told[-1])
        return hunt

    def trials_until(self, letters: frozenset[str]) -> int:
        """Return how many trials were run until one first hit all of these letters."""
        return next(number for number, trial in enumerate(self.run, 1) if letters <= trial.letters)


def levels(count: int) -> tuple[Level, ...]:
    return tuple(Level(f"level {number}", {"level": number}) for number in range(count))


def letter(name: str, kind: Kind, part: str, count: int = 1, **more: int) -> Letter:
    return Letter(name, name, kind, part, levels(count), "inject", **more)  # type: ignore[arg-type]


def drawn_structure(draw: random.Random, count: int) -> Structure:
    """Return an entry that needs others in layers, each of which is needed by one before it."""
    names = [f"p{number}" for number in range(count)]
    parts = {name: Part(name, draw.choice((1, 2, 2, 3, 4)), is_cache=draw.random() < 0.2) for name in names}
    needs: dict[str, set[str]] = {name: set() for name in names}
    for number in range(1, count):
        needs[names[draw.randrange(max(0, number - 3), number)]].add(names[number])
        if number > 2 and draw.random() < 0.4:
            needs[names[draw.randrange(0, number - 1)]].add(names[number])
    fixed = {name: frozenset(needed) for name, needed in needs.items()}
    branches = sorted(fixed[names[0]]) or names[:1]
    paths = {f"/{name}": frozenset({names[0], *_below(fixed, name)}) for name in branches}
    return Structure(parts, fixed, paths)


def _below(needs: dict[str, frozenset[str]], name: str) -> set[str]:
    return {name}.union(*(_below(needs, one) for one in needs[name]))


def drawn_alphabet(draw: random.Random, structure: Structure) -> Alphabet:
    """Return what a needs graph gives: parts that are away or slow, pods that are lost, rollouts, and a node."""
    found = [letter("node", Kind.NODE, "", nodes=1)]
    for name, part in structure.parts.items():
        found.append(letter(f"slow-{name}", Kind.DEGRADED, name, 3))
        found.append(letter(f"lose-{name}", Kind.REPLICAS, name, pods=1, pods_share_max=1.0))  # type: ignore[arg-type]
        if part.replicas == 1:
            found.append(letter(f"away-{name}", Kind.GONE, name))
            if draw.random() < 0.5:
                found.append(letter(f"silent-{name}", Kind.GONE, name))
        elif draw.random() < 0.5:
            found.append(letter(f"restart-{name}", Kind.ROLLOUT, name, lasts=False))
    return Alphabet({one.name: one for one in found})


def planted(draw: random.Random, space: Space, size: int) -> Weakness:
    """Return a weakness as systems have them: what stands in for a fault fails as well.

    A pod and the node of its replacement; a part and another need of the same caller; a part and one that it asks; the
    pods of a part and the speed of those that are left. Larger ones grow from such a pair.
    """
    structure, alphabet = space.structure, space.alphabet
    while True:
        path = structure.paths[draw.choice(sorted(structure.paths))]
        first = draw.choice(
            [one for one in alphabet.letters.values() if one.part in path and one.kind is not Kind.ROLLOUT]
        )
        chosen = {first.name}
        while len(chosen) < size:
            near = _near(space, alphabet.letters[draw.choice(sorted(chosen))], path)
            chosen.add(draw.choice(near))
        if not space.reason_against(frozenset(chosen)):
            break
    limits = {name: draw.randrange(len(alphabet.letters[name].levels)) for name in sorted(chosen)}
    lasting = any(alphabet.letters[name].lasts for name in chosen)
    return Weakness(limits, draw.randrange(HOLDS) if lasting else HOLDS)


def _near(space: Space, one: Letter, path: frozenset[str]) -> list[str]:
    structure = space.structure
    if one.kind is Kind.NODE:
        return sorted(other.name for other in space.alphabet.letters.values() if other.kind is Kind.REPLICAS)
    needed = {one.part}
    for caller, callees in structure.needs.items():
        if caller == one.part:
            needed |= callees
        if one.part in callees:
            needed |= {caller, *callees}
    others = [
        other.name
        for other in space.alphabet.letters.values()
        if other.kind is not Kind.ROLLOUT
        and ((other.part in needed and other.part in path) or (other.kind is Kind.NODE and one.kind is Kind.REPLICAS))
    ]
    return sorted(others)


def drawn_system(
    seed: int, sizes: Sequence[int], parts: int = 6, size: int = 2, together: int = 4, **options: float | int
) -> Simulated:
    """Return a system with weaknesses of these sizes, none of which contains another one.

    A letter of a weakness is felt alone in two of three cases, others in one of ten.
    """
    draw = random.Random(f"system {seed} {tuple(sizes)} {parts}")
    structure = drawn_structure(draw, parts)
    space = Space(drawn_alphabet(draw, structure), structure, size, nodes_max=1, together=together)
    found: list[Weakness] = []
    while len(found) < len(sizes):
        one = planted(draw, space, sizes[len(found)])
        if not any(_overlap(space, one.letters, other.letters) for other in found):
            found.append(one)
    touched = _union(one.letters for one in found)
    strains = {
        name: draw.uniform(0.1, 0.9)
        for name in sorted(space.alphabet.letters)
        if draw.random() < (0.67 if name in touched else 0.1)
    }
    return Simulated(space, tuple(found), seed, strains=strains, **options)


def _overlap(space: Space, one: frozenset[str], other: frozenset[str]) -> bool:
    """Return whether a search would be content with one of two sets."""
    first, second = Trial.of(one), Trial.of(other)
    return breaks_already(space.alphabet, first, [second]) or breaks_already(space.alphabet, second, [first])


def _union(sets: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*sets)
