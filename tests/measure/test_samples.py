"""Reading samples: what was written comes back as columns, whatever a crash left at the end of a file."""

import csv
import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flametest.measure.samples import Samples, SamplesError, read_samples
from flametest.model.samples import COLUMNS_WITHOUT_IDS, SAMPLE_COLUMNS, Lane, Outcome, Sample

NANOSECONDS = st.integers(min_value=0, max_value=2**62)
SAMPLES = st.builds(
    Sample,
    lane=st.sampled_from(Lane),
    name=st.sampled_from(["GET /", "GET /hits", 'GET /"quoted", with comma']),
    intended_ns=NANOSECONDS,
    sent_ns=NANOSECONDS,
    done_ns=NANOSECONDS,
    outcome=st.sampled_from(Outcome),
    status=st.integers(min_value=0, max_value=599),
    served_by=st.sampled_from(["", "api-1", "api-2"]),
    error=st.sampled_from(["", "refused", "timeout"]),
    trace_id=st.sampled_from(["", "0af7651916cd43dd8448eb211c80319c", "f" * 32]),
)


def lines(samples: list[Sample]) -> list[str]:
    """Return CSV lines with their line ends, as the prober writes them."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(SAMPLE_COLUMNS)
    writer.writerows(samples)
    return text.getvalue().splitlines(keepends=True)


def rows(samples: Samples) -> list[Sample]:
    return [samples.row(index) for index in range(len(samples))]


def by_sending(samples: list[Sample]) -> list[Sample]:
    return sorted(samples, key=lambda sample: sample.sent_ns)


@given(st.lists(st.lists(SAMPLES, max_size=8), max_size=3))
@settings(deadline=None)
def test_samples_of_several_files_come_back_sorted_by_sending(files: list[list[Sample]]) -> None:
    read = read_samples(*(lines(file) for file in files))
    assert rows(read) == by_sending([sample for file in files for sample in file])


@given(st.lists(SAMPLES, min_size=1, max_size=6), st.data())
@settings(deadline=None)
def test_a_file_cut_off_anywhere_yields_its_whole_lines(samples: list[Sample], data: st.DataObject) -> None:
    text = "".join(lines(samples))
    cut = text[: data.draw(st.integers(min_value=0, max_value=len(text)))]
    whole = max(0, cut.count("\n") - 1)
    assert rows(read_samples(cut.splitlines(keepends=True))) == by_sending(samples[:whole])


def test_a_cut_off_line_without_line_ends_shows_by_its_content() -> None:
    bare = [line.rstrip("\n") for line in lines([sample_at(1), sample_at(2)])]
    assert len(read_samples([*bare, "prober-fresh,GET /,12"])) == 2


def test_a_broken_line_in_the_middle_names_its_line_and_the_remedy() -> None:
    broken = lines([sample_at(1), sample_at(2), sample_at(3)])
    broken[2] = "prober-fresh,GET /,x,1,2,ok,200,api-1,,\n"
    with pytest.raises(SamplesError, match="source 2, line 3: expected the 10 fields") as raised:
        read_samples(lines([]), broken)
    assert raised.value.remedy == "delete that line, or record again"


def test_an_unknown_lane_is_a_broken_line() -> None:
    with pytest.raises(SamplesError, match="line 2"):
        read_samples([*lines([]), "tourist,GET /,1,1,2,ok,200,api-1,,\n"])


def test_a_file_from_before_requests_carried_ids_is_read_all_the_same() -> None:
    older = [",".join(line.rstrip("\n").split(",")[:-1]) + "\n" for line in lines([sample_at(1), sample_at(2)])]
    assert older[0] == ",".join(COLUMNS_WITHOUT_IDS) + "\n"
    assert rows(read_samples(older)) == [sample_at(1), sample_at(2)]
    assert rows(read_samples(lines([sample_at(3)]), older)) == [sample_at(1), sample_at(2), sample_at(3)]


@pytest.mark.parametrize("trace_id", ["0af7651916cd43dd", "é" * 32, "0" * 33])
def test_what_is_no_id_is_a_broken_line(trace_id: str) -> None:
    with pytest.raises(SamplesError, match="line 2"):
        read_samples([*lines([]), f"load,GET /,1,1,2,ok,200,api-1,,{trace_id}\n"])


def test_another_header_is_refused() -> None:
    with pytest.raises(SamplesError, match="expected the header lane,name,intended_ns"):
        read_samples(["time,latency\n", "1,2\n"])


def test_an_empty_file_has_no_samples() -> None:
    assert len(read_samples([], lines([]))) == 0


@given(st.lists(SAMPLES, max_size=20))
@settings(deadline=None)
def test_selections_by_lane_and_outcome_part_the_samples(samples: list[Sample]) -> None:
    columns = Samples.of(samples)
    assert sum(len(columns.lane(lane)) for lane in Lane) == len(samples)
    assert sum(len(columns.outcome(outcome)) for outcome in Outcome) == len(samples)
    assert int(np.count_nonzero(columns.good)) == len(columns.outcome(Outcome.OK))


@given(st.lists(SAMPLES, max_size=20), NANOSECONDS, NANOSECONDS)
@settings(deadline=None)
def test_a_selection_by_time_is_half_open(samples: list[Sample], start_ns: int, end_ns: int) -> None:
    chosen = Samples.of(samples).sent_between(start_ns, end_ns)
    assert rows(chosen) == [one for one in by_sending(samples) if start_ns <= one.sent_ns < end_ns]


def test_columns_cannot_be_written_to() -> None:
    columns = Samples.of([sample_at(1)])
    with pytest.raises(ValueError, match="read-only"):
        columns.sent_ns[0] = 5


def test_a_hundred_thousand_samples_take_less_than_ten_megabytes() -> None:
    columns = read_samples(lines([sample_at(index) for index in range(100_000)]))
    assert len(columns) == 100_000
    assert sum(getattr(columns, name).nbytes for name in ("lane_code", "name_code", "intended_ns", "sent_ns")) < 3e6
    assert columns.sent_ns.nbytes + columns.done_ns.nbytes + columns.served_by_code.nbytes < 3e6


def sample_at(index: int) -> Sample:
    return Sample(Lane.FRESH, "GET /", index, index, index + 5, Outcome.OK, 200, f"api-{index % 3}", "")
