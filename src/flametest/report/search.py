"""The page of a search: what breaks the promise and why each part is needed, what held, and what was not tried."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import jinja2

from flametest.model.search import FoundTold, SearchResult, SetTold, outcome_headline
from flametest.model.verdict import Verdict
from flametest.report.figures import WORDS
from flametest.report.page import page_environment
from flametest.report.palette import SWATCHES

__all__ = ["render_search"]

_TRIALS_MAX = 400
_SETS_MAX = 300


@dataclass(frozen=True, slots=True)
class _FoundView:
    """A set that breaks, in words."""

    told: FoundTold
    title: str
    verdict: Verdict
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of texts; ``note`` stands above it."""

    title: str
    note: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def render_search(result: SearchResult) -> str:
    """Return the report of a search as one HTML page; the same result gives the same text."""
    template: jinja2.Template = page_environment().get_template("search.html.jinja")
    return template.render(
        result=result,
        words=WORDS,
        is_compact=False,
        swatches=SWATCHES,
        headline=outcome_headline(result),
        promise=", ".join(f"{one.criterion} {one.bound} {one.value:g}" for one in result.asked.promise),
        found=[_found(one) for one in result.found],
        tables=[*_tables(result)],
    )


def _found(told: FoundTold) -> _FoundView:
    count = len(told.doses)
    title = f"{count} fault{'s' if count > 1 else ''}: {told.words}"
    return _FoundView(told, title, Verdict.FAILED if told.is_confirmed else Verdict.INCONCLUSIVE, tuple(_lines(told)))


def _lines(told: FoundTold) -> Iterator[str]:
    in_all = told.breaks + told.holds
    yield f"It broke the promise in {told.breaks} of {in_all} trials in this form, held for {told.hold_seconds:g} s"
    yield f"It was tried because {told.reason}" if told.reason else "It was tried as it stands"
    if len(told.doses) > 1:
        yield (
            "It is minimal: every smaller set held three times" if told.is_minimal else "It is not known to be minimal"
        )
    for doubt in told.doubts:
        yield f"Not shown: {doubt}"


def _tables(result: SearchResult) -> Iterator[_Table]:
    yield _Table(
        "What it cost",
        "",
        ("trials", "time", "held", "broke", "proved nothing"),
        (_cost(result),),
    )
    yield _Table(
        "What held",
        _cut(result.held, "Each set was tried once or more, and the promise held."),
        ("faults", "trials that held", "tried because"),
        tuple((" and ".join(one.letters), str(one.holds), one.reason) for one in result.held[:_SETS_MAX]),
    )
    if result.undecided:
        yield _Table(
            "What could not be decided",
            "Neither held nor broke often enough.",
            ("faults", "held", "broke", "proved nothing"),
            tuple(
                (" and ".join(one.letters), str(one.holds), str(one.breaks), str(one.inconclusive))
                for one in result.undecided[:_SETS_MAX]
            ),
        )
    if result.beyond:
        yield _Table(
            "What broke with more faults than were requested",
            "Each was tried to check several sets at once. None of these sets is known to break; a larger --size "
            "searches further.",
            ("faults", "broke"),
            tuple((" and ".join(one.letters), str(one.breaks)) for one in result.beyond[:_SETS_MAX]),
        )
    yield _Table(
        "What was not tried",
        "" if result.is_over else "The search was not finished; --resume continues it.",
        ("sets", "because"),
        tuple((f"{count:,}", reason) for reason, count in result.left_out.items()),
    )
    yield _Table(
        "The faults that were combined",
        "",
        ("fault", "what it does", "part", "kind", "strengths", "from"),
        tuple(
            (one.name, one.title, one.part, one.kind, "; ".join(filter(None, one.levels)), one.source)
            for one in result.letters
        ),
    )
    if result.letters_left_out:
        rows = tuple(_parted(one) for one in result.letters_left_out)
        yield _Table("Faults that were left out", "", ("fault", "because"), rows)
    yield _Table(
        "Every trial",
        "" if len(result.trials) <= _TRIALS_MAX else f"The last {_TRIALS_MAX}; search.json has all of them.",
        ("number", "faults", "held for", "outcome", "used up", "what happened"),
        tuple(
            (
                str(one.number),
                " and ".join(map(str, one.doses)) or "none",
                f"{one.hold_seconds:g} s",
                one.outcome,
                f"{one.strain:.0%}" if one.strain <= 1 else f"{one.strain:.1f} times",
                one.sentence,
            )
            for one in result.trials[-_TRIALS_MAX:]
        ),
    )


def _cost(result: SearchResult) -> tuple[str, ...]:
    outcomes = [one.outcome for one in result.trials]
    proved = outcomes.count("holds") + outcomes.count("breaks")
    return (
        str(len(outcomes)),
        f"{result.seconds:.0f} s",
        str(outcomes.count("holds")),
        str(outcomes.count("breaks")),
        str(len(outcomes) - proved),
    )


def _cut(sets: Sequence[SetTold], note: str) -> str:
    return note if len(sets) <= _SETS_MAX else f"{note} The first {_SETS_MAX} of {len(sets)}."


def _parted(told: str) -> tuple[str, str]:
    name, _, reason = told.partition(": ")
    return name, reason
