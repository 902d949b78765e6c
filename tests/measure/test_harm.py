"""What users suffer while a fault lasts, and when that is too much."""

import functools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.measure.harm import REQUESTS_MIN, WINDOW_SECONDS, harm_passed
from flametest.measure.objectives import Objectives
from flametest.measure.samples import Samples
from flametest.measure.scenario import ScenarioSpec, measure_scenario
from flametest.model.events import HarmLimitPassed
from flametest.model.harm import HARM_FIGURES, HarmLimit, HarmLimitError, parse_harm_limits, read_variable
from flametest.model.verdict import Verdict
from tests.measure.conftest import SCENARIO, SECOND_NS, Laboratory, stamp

T0 = 30.0


def passed(samples: Samples, *limits: str, now: float, since: float = T0) -> tuple[str, float] | None:
    found = harm_passed(
        samples,
        parse_harm_limits(limits),
        Objectives(),
        since_ns=round(since * SECOND_NS),
        now_ns=round(now * SECOND_NS),
    )
    return None if found is None else (found.limit.figure, found.value)


def test_a_share_is_that_of_the_last_seconds_and_passes_no_limit_before_enough_is_known(lab: Laboratory) -> None:
    samples = lab.samples(lambda moment: 32 <= moment < 36)
    assert passed(samples, "availability=0.5", now=31.9) is None
    assert passed(samples, "availability=0.5", now=33.2) is None
    assert passed(samples, "availability=0.5", now=34.8) is not None
    assert passed(samples, "error_rate=0.5", now=34.8) is not None
    assert passed(samples, "availability=0.5", now=36 + WINDOW_SECONDS) is None
    assert passed(samples, "availability=0.5", now=34.8, since=34.79) is None


def test_what_was_bad_before_the_fault_is_not_held_against_it(lab: Laboratory) -> None:
    samples = lab.samples(lambda moment: moment < T0)
    assert passed(samples, "availability=0.99", "error_rate=0.01", "outage_seconds=0", now=T0 + 2) is None


def test_an_outage_counts_from_the_injection_and_a_longer_one_than_allowed_is_told(lab: Laboratory) -> None:
    samples = lab.samples(lambda moment: 31 <= moment < 33)
    seen = samples.where(samples.done_ns <= round(32.5 * SECOND_NS))
    assert passed(seen, "outage_seconds=2", now=32.5) is None
    figure, value = passed(seen, "outage_seconds=1", now=32.5) or ("", math.nan)
    assert figure == "outage_seconds"
    assert value == pytest.approx(1.5, abs=0.2)


@given(tenths=st.integers(0, 10), limit=st.floats(0, 1), late=st.floats(0, 20))
def test_a_limit_is_passed_exactly_when_the_share_in_the_window_is_worse(
    tenths: int, limit: float, late: float
) -> None:
    samples = _scattered(tenths)
    now_ns = round((T0 + late) * SECOND_NS)
    seen = samples.where(samples.done_ns <= now_ns)
    begin_ns = max(round(T0 * SECOND_NS), now_ns - round(WINDOW_SECONDS * SECOND_NS))
    window = seen.where(seen.done_ns >= begin_ns)
    for figure, bad in (("availability", False), ("error_rate", True)):
        share = float(np.mean(window.bad if bad else window.good)) if len(window) else math.nan
        is_worse = share > limit if bad else share < limit
        found = harm_passed(
            seen, (HarmLimit(figure, limit),), Objectives(), since_ns=round(T0 * SECOND_NS), now_ns=now_ns
        )
        # Two ways of rounding one share may differ in its last digit.
        assert (found is not None) == (is_worse and len(window) >= REQUESTS_MIN) or share == pytest.approx(limit)


@functools.cache
def _scattered(tenths: int) -> Samples:
    """Return a scenario of whose requests so many in ten are bad, one here and one there."""
    return Laboratory().samples(lambda moment: round(moment * 40) % 10 < tenths)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("availability", "'' is no number"),
        ("availability=half", "'half' is no number"),
        ("availability=50", "between 0 and 1"),
        ("availability=nan", "between 0 and 1"),
        ("outage_seconds=-1", "between 0 and 3600"),
        ("p95_ms=5", "expected one of availability, error_rate, outage_seconds"),
    ],
)
def test_what_is_no_harm_limit_is_refused_with_what_is(text: str, told: str) -> None:
    with pytest.raises(HarmLimitError, match=told):
        parse_harm_limits([text])
    with pytest.raises(HarmLimitError, match="FLAMETEST_ABORT_WHEN is"):
        read_variable({"FLAMETEST_ABORT_WHEN": text})


def test_the_last_limit_of_a_figure_holds() -> None:
    limits = parse_harm_limits(["availability=0.5", "outage_seconds=3", "availability=0.7"])
    assert limits == (HarmLimit("availability", 0.7), HarmLimit("outage_seconds", 3.0))
    assert {limit.figure for limit in limits} <= set(HARM_FIGURES)
    assert not HarmLimit("availability", 0.7).passed(0.7)
    assert HarmLimit("availability", 0.7).passed(0.69)
    assert not HarmLimit("error_rate", 0.7).passed(math.nan)


def test_a_scenario_that_was_stopped_fails_and_says_so_first_with_figure_and_limit(lab: Laboratory) -> None:
    harm = HarmLimitPassed(stamp(33.0), SCENARIO, "availability", 0.413, 0.5, 3.0, 240)
    result = measure_scenario(lab.deletion().append(harm), lab.samples(), ScenarioSpec(SCENARIO, "t", "d", "api"))
    assert result.verdict is Verdict.FAILED
    assert result.sentence.startswith(
        "stopped by --abort-when availability=0.5: availability was 0.413 over the last 3.0 s, under 0.5; deleting 1 of"
    )
    assert result.checks[0].name == "harm_limit"
