"""Layout of the charts: scales, ticks, thinning, paths and colours."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.report.palette import GROUNDS, SWATCHES, TEXT_COLOURS, Swatch, contrast, swatch
from flametest.report.svg.canvas import line_path
from flametest.report.svg.scales import Linear, Logarithmic, linear_ticks, logarithmic_ticks, spread, time_ticks
from flametest.report.svg.thinning import runs, thin, worst_of_each

finite = st.floats(min_value=-1e6, max_value=1e6)


@pytest.mark.parametrize("ground", GROUNDS, ids=lambda one: one.role)
@pytest.mark.parametrize("text", TEXT_COLOURS, ids=lambda one: one.role)
def test_text_has_the_contrast_that_wcag_aa_asks_for(text: Swatch, ground: Swatch) -> None:
    assert contrast(text.light, ground.light) >= 4.5
    assert contrast(text.dark, ground.dark) >= 4.5


@pytest.mark.parametrize("role", ["ready", "running", "pending", "terminating"])
def test_shapes_have_the_contrast_that_wcag_aa_asks_for(role: str) -> None:
    shape, surface = swatch(role), swatch("surface")
    assert shape is not None
    assert surface is not None
    assert contrast(shape.light, surface.light) >= 3
    assert contrast(shape.dark, surface.dark) >= 3


def test_text_on_a_badge_can_be_read() -> None:
    ink, surface, page, stone = (swatch(role) for role in ("ink", "surface", "page", "stone"))
    assert ink is not None
    for ground in (surface, page, stone):
        assert ground is not None
        assert min(contrast(ink.light, ground.light), contrast(ink.dark, ground.dark)) >= 4.5


def test_roles_that_share_a_light_colour_share_the_dark_one() -> None:
    pairs = {(one.light, one.dark) for one in SWATCHES}
    assert len(pairs) == len({light for light, _ in pairs})


def test_the_contrast_of_black_on_white_is_21() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)


@given(st.lists(st.tuples(finite, finite), min_size=1, max_size=400), st.integers(min_value=4, max_value=100))
def test_thinning_keeps_the_ends_the_lowest_and_the_highest_and_makes_nothing_up(
    points: list[tuple[float, float]], points_max: int
) -> None:
    kept = thin(points, points_max)
    assert len(kept) <= max(4, points_max)
    remaining = iter(points)
    assert all(any(point is one for one in remaining) for point in kept)
    heights = [y for _, y in kept]
    assert (min(heights), max(heights)) == (min(y for _, y in points), max(y for _, y in points))
    assert (kept[0], kept[-1]) == (points[0], points[-1])


@given(st.lists(st.floats(min_value=0, max_value=1e6), max_size=300), st.integers(min_value=1, max_value=50))
def test_the_rows_behind_a_chart_hold_the_worst_bin(badness: list[float], rows_max: int) -> None:
    kept = worst_of_each(badness, rows_max)
    assert len(kept) <= rows_max
    assert kept == sorted(set(kept))
    if badness:
        assert max(badness[index] for index in kept) == max(badness)


def test_thinning_leaves_jumps_where_they_were() -> None:
    plateau = [(float(x), 40.0 if 200 <= x < 212 else 0.0 + x % 2) for x in range(480)]
    kept = thin(plateau, 60)
    assert len(kept) <= 60
    assert {(199.0, 1.0), (200.0, 40.0), (211.0, 40.0), (212.0, 0.0)} <= set(kept)


def test_a_line_breaks_where_nothing_was_measured() -> None:
    assert runs([(0, 1.0), (1, None), (2, 3.0), (3, 4.0), (4, None)]) == [[(0, 1.0)], [(2, 3.0), (3, 4.0)]]
    assert runs([(0, None)]) == []


@given(
    st.lists(
        st.tuples(st.floats(min_value=0, max_value=1000), st.floats(min_value=0, max_value=1000)),
        min_size=2,
        max_size=60,
    )
)
def test_a_path_leads_to_where_its_points_are(points: list[tuple[float, float]]) -> None:
    path = line_path(sorted(points))
    start, _, steps = path[1:].partition("l")
    number = re.compile(r"-?(?:\d+\.\d|\.\d|\d+)")
    numbers = [float(one) for one in number.findall(steps)]
    x, y = (float(one) for one in number.findall(start))
    ends = itertools.accumulate(zip(numbers[::2], numbers[1::2], strict=True), lambda a, b: (a[0] + b[0], a[1] + b[1]))
    *_, (dx, dy) = ends
    last = sorted(points)[-1]
    if len({(round(px * 10), round(py * 10)) for px, py in points}) > 1:
        assert (x + dx, y + dy) == (pytest.approx(last[0], abs=0.11), pytest.approx(last[1], abs=0.11))


@given(st.lists(finite, max_size=20), st.floats(min_value=0, max_value=100))
def test_labels_keep_their_order_and_stay_inside(wanted: list[float], gap: float) -> None:
    places = spread(wanted, gap, 0, 500)
    assert all(-1e-6 <= place <= 500 + 1e-6 for place in places)
    order = sorted(range(len(wanted)), key=lambda index: wanted[index])
    room = min(gap, 500 / max(1, len(wanted) - 1))
    assert all(places[right] - places[left] >= room - 1e-6 for left, right in itertools.pairwise(order))


@given(st.floats(min_value=1e-3, max_value=1e7))
def test_linear_ticks_start_at_zero_and_cover_the_greatest_value(high: float) -> None:
    ticks = linear_ticks(high)
    assert ticks[0] == 0
    assert ticks[-1] >= high * 0.999
    assert 2 <= len(ticks) <= 7


@pytest.mark.parametrize(("low", "high"), [(0.5, 2), (3, 80), (1, 1000), (0.2, 12_000)])
def test_logarithmic_ticks_are_round_and_inside(low: float, high: float) -> None:
    ticks = logarithmic_ticks(low, high)
    assert len(ticks) >= 2
    assert all(low <= tick <= high for tick in ticks)
    assert all(f"{tick:e}"[0] in "125" for tick in ticks)


@pytest.mark.parametrize(("start", "end"), [(-20, 60), (-0.5, 2), (0, 3600), (-10, 100_000)])
def test_time_ticks_hold_the_injection(start: float, end: float) -> None:
    ticks = time_ticks(start, end, 10)
    assert 0 in ticks
    assert all(start - 1e-6 <= tick <= end + 1e-6 for tick in ticks)
    assert 2 <= len(ticks) <= 12


def test_scales_hold_what_is_outside_at_their_edge() -> None:
    assert [Linear(0, 10, 100, 0)(value) for value in (-1, 0, 5, 10, 11)] == [100, 100, 50, 0, 0]
    assert [Logarithmic(1, 100, 0, 10)(value) for value in (0, 1, 10, 100, 1e9)] == pytest.approx([0, 0, 5, 10, 10])
