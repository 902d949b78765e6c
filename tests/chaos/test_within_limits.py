"""What the hypothesis finds missed before a fault is told with its figure, or why that is not known."""

import logging

import pytest

from flametest.chaos.probes import _keeps
from flametest.measure.figures import Figure
from flametest.model.verdict import Bound, Limit


@pytest.mark.parametrize(
    ("criterion", "level", "held"), [("steady_seconds", logging.ERROR, False), ("max_over_mean", logging.DEBUG, True)]
)
def test_a_figure_that_is_not_known_before_a_fault_is_told_where_it_speaks_against_the_system(
    criterion: str, level: int, held: bool, caplog: pytest.LogCaptureFixture
) -> None:
    limit = Limit(criterion, Bound.AT_MOST, 15.0)
    figure = Figure(None, note="p95 was 442 ms before a fault; 250 ms are required")
    with caplog.at_level(logging.DEBUG, logger="chaostoolkit"):
        assert _keeps(figure, limit, injected=False) is held
    (record,) = caplog.records
    assert record.levelno == level
    assert record.message == (f"{criterion}: at most 15, not known: p95 was 442 ms before a fault; 250 ms are required")
