"""Can you trust this? The checks of every scenario, gathered by what they ask, and what the self-test found."""

from dataclasses import dataclass

from flametest.model.result import Check, Result
from flametest.model.selftest import SelfTest, SelfTestKind
from flametest.model.verdict import Verdict, worst
from flametest.report.format import count, duration, exact, figure, sentence

__all__ = ["CheckRow", "KindRow", "Seen", "TrustView", "trust_view"]

_NAMED_MAX = 3  # scenarios in which all is well need not all be named


@dataclass(frozen=True, slots=True)
class Seen:
    """What a check saw, and where: in the scenarios of these indices and names, or in the run as a whole (None).

    ``others`` is how many more scenarios it saw the same in than are named.
    """

    where: tuple[tuple[int | None, str], ...]
    others: int
    verdict: Verdict
    detail: str


@dataclass(frozen=True, slots=True)
class CheckRow:
    """One check in all scenarios that have it; the doubtful ones come first."""

    title: str
    verdict: Verdict
    seen: tuple[Seen, ...]


@dataclass(frozen=True, slots=True)
class KindRow:
    """One kind of known outage in the self-test; every text but the first two has its limit."""

    kind: str
    trials: str
    error: str
    bias: str
    coverage: str
    verdict: Verdict
    detail: str


@dataclass(frozen=True, slots=True)
class TrustView:
    """The section; ``sentence`` and ``verdict`` stand under the headline too.

    Attributes:
        verdict: the worst of all checks and the self-test.
        sentence: how many checks passed, and what the self-test says.
        checks: one row a check.
        self_test: the self-test; None when there was none.
        kinds: its rows of known outages.
        conditions: when and how it was made; empty without one.
    """

    verdict: Verdict
    sentence: str
    checks: tuple[CheckRow, ...]
    self_test: SelfTest | None
    kinds: tuple[KindRow, ...]
    conditions: str


def trust_view(result: Result) -> TrustView:
    """Return the section of a run."""
    found: list[tuple[int | None, str, Check]] = [(None, "the run", check) for check in result.checks]
    found += [(index, one.name, check) for index, one in enumerate(result.scenarios) for check in one.checks]
    self_test = result.self_test
    verdicts = [check.verdict for _, _, check in found] + ([self_test.verdict] if self_test else [])
    passed = sum(check.verdict is Verdict.PASSED for _, _, check in found)
    told = [f"{count(passed)} of {count(len(found))} checks of the measurement passed"] if found else []
    told += [_self_test_sentence(self_test)] if self_test else []
    return TrustView(
        verdict=worst(verdicts),
        sentence=" ".join(map(sentence, told)) or "The measurement was not checked.",
        checks=_rows(found),
        self_test=self_test,
        kinds=tuple(map(_kind, self_test.kinds)) if self_test else (),
        conditions=_conditions(self_test) if self_test else "",
    )


def _self_test_sentence(self_test: SelfTest) -> str:
    """Return what the self-test says under the headline: a word when it passed, and all it has to say when not."""
    if self_test.verdict is Verdict.PASSED:
        return "So did its self-test against known outages"
    return f"Its self-test did not: {self_test.sentence}"


def _rows(found: list[tuple[int | None, str, Check]]) -> tuple[CheckRow, ...]:
    """Return the checks by what they ask, in the order in which they are first met."""
    gathered: dict[str, list[tuple[int | None, str, Check]]] = {}
    for entry in found:
        gathered.setdefault(entry[2].title, []).append(entry)
    return tuple(
        CheckRow(title, worst(check.verdict for _, _, check in entries), _seen(entries))
        for title, entries in gathered.items()
    )


def _seen(entries: list[tuple[int | None, str, Check]]) -> tuple[Seen, ...]:
    """Return what one check saw, doubts first; scenarios in which it saw the same are told together."""
    together: dict[tuple[Verdict, str], list[tuple[int | None, str]]] = {}
    for index, name, check in sorted(entries, key=lambda entry: entry[2].verdict is Verdict.PASSED):
        together.setdefault((check.verdict, check.detail), []).append((index, name))
    return tuple(
        Seen(
            where=tuple(where if verdict is not Verdict.PASSED else where[:_NAMED_MAX]),
            others=max(0, len(where) - _NAMED_MAX) if verdict is Verdict.PASSED else 0,
            verdict=verdict,
            detail=detail,
        )
        for (verdict, detail), where in together.items()
    )


def _kind(one: SelfTestKind) -> KindRow:
    error, bias = (figure(seconds * 1000, "ms") for seconds in (one.error_p95_seconds, one.bias_seconds))
    error_limit, bias_limit = (
        exact(round(seconds * 1000, 1), "ms") for seconds in (one.error_limit_seconds, one.bias_limit_seconds)
    )
    return KindRow(
        kind=one.kind,
        trials=count(one.trials),
        error=f"{error} (≤ {error_limit})",
        bias=f"{bias} (within ± {bias_limit})",
        coverage=f"{figure(one.coverage, 'share')} (≥ {exact(one.coverage_limit, 'share')})",
        verdict=one.verdict,
        detail=one.detail,
    )


def _conditions(self_test: SelfTest) -> str:
    return (
        f"The {self_test.form} self-test took {duration(self_test.duration_seconds)}, with one request every "
        f"{exact(self_test.interval_seconds * 1000, 'ms')} and the seed {self_test.seed}. A server was made to fail "
        "for a known time; the table shows how far the measured time was from it."
    )
