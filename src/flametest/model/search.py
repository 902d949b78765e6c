"""A search for the smallest set of faults that breaks a promise: what was asked, tried, found, held and left out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from flametest.model.verdict import Limit, Verdict

__all__ = [
    "SCHEMA_VERSION",
    "SEARCH_FILE",
    "Asked",
    "DoseTold",
    "FoundTold",
    "LetterTold",
    "SearchResult",
    "SetTold",
    "TrialTold",
    "Without",
    "outcome_headline",
]

SCHEMA_VERSION = 1
SEARCH_FILE = "search.json"


@dataclass(frozen=True, slots=True)
class Asked:
    """What a search was asked for.

    Attributes:
        promise: the limits that have to hold, each judged in every trial.
        faults: patterns of the names of faults; none for all.
        size: so many faults at most in one set.
        together: so many faults at once, to look at several sets in one trial.
        order: ``likeliest``, or ``random`` for comparison.
        seed: of every random choice.
        nodes_max: so many nodes may be hit at one time.
        hold_seconds: how long lasting faults are held, the longest first.
        is_first_enough: whether it ends with the first set that is found.
        command: the command line.
    """

    promise: tuple[Limit, ...]
    faults: tuple[str, ...]
    size: int
    order: str
    seed: int
    nodes_max: int
    hold_seconds: tuple[float, ...]
    is_first_enough: bool
    command: str
    together: int = 1


@dataclass(frozen=True, slots=True)
class LetterTold:
    """A fault that is combined: its name, what it does, to which part, at which strengths, and where it was found."""

    name: str
    title: str
    kind: str
    part: str
    levels: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class DoseTold:
    """A fault at a strength in words; these are empty where it has one strength only."""

    letter: str
    strength: str

    def __str__(self) -> str:
        return f"{self.letter} ({self.strength})" if self.strength else self.letter


@dataclass(frozen=True, slots=True)
class TrialTold:
    """One trial.

    Attributes:
        number: 1 for the first.
        key: names the set, its strengths and its time; trials of one key repeat one another.
        doses: the faults; none for the control.
        hold_seconds: how long lasting ones were held.
        outcome: holds, breaks, inconclusive or refused.
        strain: which share of the promise was used up, from 0; more than 1 where it was broken.
        sentence: what happened, in plain words.
        figures: the promised figures; None for one that could not be measured.
        folder: its record, relative to the search's folder; empty where nothing was run.
        started_wall_s, seconds: when it began, and how long it took with everything around it.
    """

    number: int
    key: str
    doses: tuple[DoseTold, ...]
    hold_seconds: float
    outcome: str
    strain: float
    sentence: str
    figures: Mapping[str, float | None]
    folder: str
    started_wall_s: float
    seconds: float


@dataclass(frozen=True, slots=True)
class SetTold:
    """A set of faults: why it was tried, and how its trials ended."""

    letters: tuple[str, ...]
    reason: str
    breaks: int
    holds: int
    inconclusive: int


@dataclass(frozen=True, slots=True)
class Without:
    """What happened without some faults of a set: why these are needed.

    Attributes:
        left: the faults that were left.
        holds, breaks: how often the promise held and broke then.
        sentence: what happened in one of these trials.
    """

    left: tuple[str, ...]
    holds: int
    breaks: int
    sentence: str


@dataclass(frozen=True, slots=True)
class FoundTold:
    """A set that breaks the promise.

    Attributes:
        name: names its experiment.
        doses: its faults, as weak as they may be.
        hold_seconds: how long lasting ones are held, as short as may be.
        reason: why the set was tried.
        breaks, holds: how often the promise broke and held in this very form.
        is_confirmed, is_minimal: whether it may be claimed to break, and each proper subset to hold.
        doubts: what is not shown, a reason each.
        sentence: what happened in the last trial that broke.
        without: what happened without each of its parts.
        experiment: the file that repeats it, relative to the search's folder.
        record: the folder of a trial that broke, likewise.
    """

    name: str
    doses: tuple[DoseTold, ...]
    hold_seconds: float
    reason: str
    breaks: int
    holds: int
    is_confirmed: bool
    is_minimal: bool
    doubts: tuple[str, ...]
    sentence: str
    without: tuple[Without, ...]
    experiment: str
    record: str

    @property
    def words(self) -> str:
        """Return its faults in words."""
        return " and ".join(map(str, self.doses))


@dataclass(frozen=True, slots=True)
class SearchResult:
    """A search, as far as it has come.

    Attributes:
        asked: what was asked for.
        cluster, cluster_note, namespace, url: where it was tried.
        letters: the faults that were combined.
        letters_left_out: faults that were not, each with its reason.
        paths: what users were taken to ask for, and the parts that each path needs.
        trials: every trial, in order.
        found: the sets that break.
        held, undecided: sets that held, and those that could not be decided.
        left_out: how many sets were not tried, by the reason.
        beyond: larger sets than were asked for that broke when they were tried, while no set within is known to break.
        trouble: why it could not go on; empty when it could.
        is_over: whether every set was decided or left out for a reason.
        started_wall_s, seconds: when it first began, and how long it has run in all.
    """

    schema_version: int
    asked: Asked
    cluster: str
    cluster_note: str
    namespace: str
    url: str
    letters: tuple[LetterTold, ...]
    letters_left_out: tuple[str, ...]
    paths: Mapping[str, tuple[str, ...]]
    started_wall_s: float
    seconds: float = 0.0
    trials: tuple[TrialTold, ...] = ()
    found: tuple[FoundTold, ...] = ()
    held: tuple[SetTold, ...] = ()
    undecided: tuple[SetTold, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    beyond: tuple[SetTold, ...] = ()
    trouble: str = ""
    is_over: bool = False

    @property
    def verdict(self) -> Verdict:
        """Return failed when a set is known to break the promise, passed when every set was tried and held."""
        if any(one.is_confirmed for one in self.found):
            return Verdict.FAILED
        if self.is_over and not self.found and not self.undecided and not self.trouble:
            return Verdict.PASSED
        return Verdict.INCONCLUSIVE


def outcome_headline(result: SearchResult) -> str:
    """Return how a search ended, in one sentence."""
    count = len(result.trials)
    tried = f"{count} trial{'' if count == 1 else 's'}"
    confirmed = [one for one in result.found if one.is_confirmed]
    if result.trouble:
        return result.trouble
    if confirmed:
        smallest = min(confirmed, key=lambda one: len(one.doses))
        more = f", and {len(confirmed) - 1} more sets" if len(confirmed) > 1 else ""
        return f"the promise breaks by {smallest.words}{more} ({tried})"
    if result.verdict is Verdict.PASSED:
        return f"no set of up to {result.asked.size} faults breaks the promise ({tried})"
    why = "some sets could not be decided" if result.is_over else "not every set was tried"
    return f"nothing was found, and {why} ({tried})"
