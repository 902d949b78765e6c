"""When a load counts as offered: by the requests of a second, or of half of one where these are enough to tell."""

from pathlib import Path

import pytest

from flametest.load.rate import AchievedRate, window_seconds
from flametest.load.samplefile import SampleFile
from flametest.model.samples import Lane, Outcome, Sample

SECOND_NS = 1_000_000_000


def rate_of(folder: Path, moments: list[float], seconds: float) -> list[float]:
    """Return the rate that is told after each request, sent at these moments."""
    file = SampleFile(folder / "samples.csv")
    achieved = AchievedRate(folder / "samples.csv", seconds=seconds)
    told = []
    for moment in moments:
        at = round(moment * SECOND_NS)
        file.append(Sample(Lane.LOAD, "GET /", at, at, at + 1000, Outcome.OK, 200, "", ""))
        file.flush()
        told.append(achieved.per_second())
    file.close()
    return told


@pytest.mark.parametrize(("per_second", "seconds"), [(0, 1.0), (5, 1.0), (50, 1.0), (99, 1.0), (100, 0.5), (1000, 0.5)])
def test_half_a_second_tells_a_rate_of_which_it_holds_fifty_requests(per_second: float, seconds: float) -> None:
    assert window_seconds(per_second) == seconds


@pytest.mark.parametrize("seconds", [0.5, 1.0])
def test_a_rate_is_told_in_requests_a_second_once_the_file_spans_the_time(tmp_path: Path, seconds: float) -> None:
    told = rate_of(tmp_path, [100 + number / 100 for number in range(151)], seconds)
    spans = round(seconds * 100)
    assert set(told[:spans]) == {0.0}
    assert set(told[spans:]) == {100.0}


@pytest.mark.parametrize("seconds", [0.5, 1.0])
def test_a_load_that_slows_down_is_told_to(tmp_path: Path, seconds: float) -> None:
    quick = [number / 100 for number in range(101)]
    slow = [1 + number / 20 for number in range(1, 41)]
    assert rate_of(tmp_path, [*quick, *slow], seconds)[-1] == 20.0


def test_nothing_is_told_of_a_file_that_does_not_exist(tmp_path: Path) -> None:
    assert AchievedRate(tmp_path / "missing.csv").per_second() == 0.0
