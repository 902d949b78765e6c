"""The report says for how long a scenario was observed, and what was left undecided."""

from flametest.measure.observed import observed_enough
from flametest.model.events import Phase, PhaseObserved
from flametest.model.history import History, decode, encode
from flametest.model.verdict import Verdict
from tests.measure.conftest import SCENARIO, stamp


def observed(seconds: float, phase: Phase, *undecided: str) -> PhaseObserved:
    return PhaseObserved(stamp(seconds), SCENARIO, phase, seconds, 12.5, ("steady_seconds",), undecided)


def test_a_record_without_a_word_of_it_has_no_such_check() -> None:
    assert observed_enough(History()) == ()


def test_it_tells_how_long_was_observed_and_what_was_decided() -> None:
    history = History([observed(3.5, Phase.BASELINE), observed(9.8, Phase.RECOVERY)])
    ((name, _, rule),) = observed_enough(history)
    assert name == "observed_enough"
    assert rule() == (Verdict.PASSED, "3.5 s before the fault: decided; 9.8 s after recovery: decided")


def test_what_is_undecided_is_named_and_the_last_of_several_holds_counts() -> None:
    history = History(
        [
            observed(3.0, Phase.BASELINE, "healthy_before"),
            observed(5.0, Phase.RECOVERY, "steady_seconds"),
            observed(12.5, Phase.RECOVERY, "availability"),
        ]
    )
    ((_, _, rule),) = observed_enough(history)
    assert rule()[1] == (
        "3.0 s before the fault: undecided within 5 % error, and judged by what was seen: health; "
        "12.5 s after recovery: undecided within 5 % error, and judged by what was seen: availability"
    )


def test_it_is_written_and_read() -> None:
    event = observed(3.0, Phase.BASELINE, "healthy_before")
    assert decode(encode(event)) == event
