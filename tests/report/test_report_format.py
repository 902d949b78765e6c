"""Figures become text without losing what a reader must not miss."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.model.verdict import Bound, Limit
from flametest.report.format import (
    count,
    duration,
    exact,
    figure,
    limit_text,
    moment,
    plain,
    sentence,
    shortened,
    signed_seconds,
)

NBSP = "\N{NO-BREAK SPACE}"


def said(text: str) -> str:
    return text.replace(NBSP, " ")


@pytest.mark.parametrize(
    ("value", "unit", "uncertainty", "expected"),
    [
        (12.44, "s", 0.1, "12.4 ± 0.1 s"),
        (4.1268, "s", 0.052, "4.13 ± 0.05 s"),
        (8.9204, "s", 0.0007, "8.92 ± 0.01 s"),
        (0.0421, "s", 0.0007, "0.042 ± 0.001 s"),
        (0.2804, "s", 0.0007, "0.28 ± 0.01 s"),
        (0.0002, "s", 0.0021, "0 ± 0.002 s"),
        (5.41, "s", 1.24, "5.4 ± 1.2 s"),
        (1.0412, "ratio", 0.0312, "1.04 ± 0.03"),
        (150.2, "s", 12.0, "150 ± 12 s"),
        (0.25, "s", None, "0.25 s"),
        (61.24, "s", None, "61.2 s"),
        (0.9436, "share", None, "94.36 %"),
        (1.0, "share", None, "100 %"),
        (0.999996, "share", None, "99.9996 %"),
        (4.0e-7, "share", None, "under 0.01 %"),
        (0.0, "s", None, "0 s"),
        (1.0432, "ratio", None, "1.04"),
        (31204.0, "count", None, "31,204"),
        (1004.2, "ms", None, "1,004 ms"),
        (-3.5, "s", None, "−3.50 s"),
        (float("nan"), "s", None, "not measured"),
    ],
)
def test_a_figure_has_the_decimals_that_its_error_allows(
    value: float, unit: str, uncertainty: float | None, expected: str
) -> None:
    assert said(figure(value, unit, uncertainty=uncertainty)) == expected


@given(st.floats(min_value=0, max_value=1e5), st.floats(min_value=1e-9, max_value=1e4))
def test_no_figure_has_more_digits_than_its_error_supports(value: float, error: float) -> None:
    written = said(figure(value, "s", uncertainty=error)).removesuffix(" s").replace(",", "")
    shown, shown_error = written.split(" ± ")
    decimals = len(shown_error.partition(".")[2])
    assert decimals <= 3
    assert shown == "0" or len(shown.partition(".")[2]) == decimals
    assert float(shown_error) > 0
    # The decimals end at the error's first digit, or its second where that is a 1.
    assert float(shown_error) < 20 or "." not in shown_error
    assert abs(float(shown) - value) <= 0.5 * 10**-decimals + 1e-9 * value


def test_a_figure_that_misses_its_limit_is_not_rounded_onto_it() -> None:
    limit = Limit("outage_seconds", Bound.AT_MOST, 10.0)
    assert said(figure(10.004, "s", uncertainty=0.1, limit=limit)) == "10.004 ± 0.1 s"
    assert said(figure(9.996, "s", uncertainty=0.1, limit=limit)) == "10.0 ± 0.1 s"


def test_a_limit_says_which_side_is_good() -> None:
    assert said(limit_text(Limit("outage_seconds", Bound.AT_MOST, 10.0), "s")) == "≤ 10 s"
    assert said(limit_text(Limit("availability", Bound.AT_LEAST, 0.995), "share")) == "≥ 99.5 %"


def test_what_was_set_is_shown_without_needless_zeros() -> None:
    assert said(exact(60.0, "s")) == "60 s"
    assert said(exact(0.05, "s")) == "0.05 s"


def test_moments_carry_their_sign() -> None:
    assert [said(signed_seconds(value)) for value in (-20.0, 0.0, 1.94)] == ["−20 s", "0 s", "+1.94 s"]
    assert [moment(value) for value in (-20.0, 0.0, 0.5)] == ["−20", "0", "+0.5"]


def test_durations_over_a_minute_are_minutes() -> None:
    assert [said(duration(value)) for value in (4.2, 161.0)] == ["4.2 s", "2 min 41 s"]


def test_counts_are_grouped() -> None:
    assert count(31204) == "31,204"


@given(st.text())
def test_plain_text_can_be_stored_and_holds_no_control_character(text: str) -> None:
    cleaned = plain(text)
    cleaned.encode()
    assert not any(ord(character) < 32 and character not in "\t\n" for character in cleaned)


@given(st.text(min_size=1), st.integers(min_value=4, max_value=40))
def test_a_shortened_name_fits_and_keeps_both_ends(text: str, length: int) -> None:
    short = shortened(text, length)
    assert len(short) <= length
    assert short[0] == plain(text)[0]
    assert short[-1] == plain(text)[-1]


def test_a_sentence_begins_with_a_capital_ends_with_a_stop_and_keeps_units_at_their_figures() -> None:
    assert sentence("felt for 1.5 s (± 0.1 s)") == f"Felt for 1.5{NBSP}s (±{NBSP}0.1{NBSP}s)."
    assert [sentence(text) for text in ("Done.", "Why?", "")] == ["Done.", "Why?", ""]
