"""The plan of a self-test: every cell as often as promised, windows apart, phases drawn and repeatable."""

from collections import Counter

import pytest

from flametest.measure.selftest import TRIALS_MIN
from flametest.run.selftest_plan import FULL, SHORT, Form, at_once, further, plan_tracks

INTERVAL = 0.05


@pytest.mark.parametrize("form", [SHORT, FULL])
def test_every_cell_is_there_as_often_as_promised(form: Form) -> None:
    tracks = plan_tracks(form, 1, INTERVAL)
    counts = Counter((one.label, one.nominal) for track in tracks if not track.is_stopped for one in track.sections)
    for kind in form.kinds:
        for length in form.lengths:
            assert counts[kind.value, length] == form.repeats
    assert sum(count for (label, _), count in counts.items() if label == "null") == form.nulls
    assert sum(track.is_stopped for track in tracks) == form.stopped


def test_the_full_form_has_two_hundred_outages_and_takes_a_few_minutes() -> None:
    assert len(FULL.kinds) * len(FULL.lengths) * FULL.repeats >= 200
    assert max(track.end_seconds for track in plan_tracks(FULL, 1, INTERVAL)) < 240


def test_the_short_form_takes_a_few_seconds() -> None:
    assert max(track.end_seconds for track in plan_tracks(SHORT, 1, INTERVAL)) < 6


@pytest.mark.parametrize("form", [SHORT, at_once(SHORT, 3)])
def test_further_outages_are_enough_to_judge_each_kind_and_take_less_than_half_a_minute(form: Form) -> None:
    more = further(form)
    assert (more.kinds, more.lengths) == (form.kinds, form.lengths)
    assert len(more.lengths) * more.repeats >= TRIALS_MIN
    assert more.tracks >= form.tracks
    assert max(track.end_seconds for track in plan_tracks(more, 1, INTERVAL)) < 30


@pytest.mark.parametrize("form", [SHORT, FULL, further(SHORT)])
def test_windows_lie_within_their_sections_and_sections_follow_one_another(form: Form) -> None:
    for track in plan_tracks(form, 2, INTERVAL):
        at = 0.0
        for section in track.sections:
            assert section.start_seconds == at
            for window in section.windows:
                assert section.injected_seconds < window.start_seconds
                if section.label != "never":
                    assert window.start_seconds + window.seconds < section.end_seconds
            at = section.end_seconds


def test_phases_and_lengths_are_drawn_and_repeated_by_their_seed() -> None:
    first, again, other = (plan_tracks(FULL, seed, INTERVAL) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    remainders = {round(one.seconds % INTERVAL, 6) for track in first for one in track.windows}
    assert len(remainders) > 100
