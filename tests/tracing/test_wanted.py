"""Which requests are wanted: failed and slow ones, bounded by what they have in common, while files grow."""

from pathlib import Path

from flametest.load.samplefile import SampleFile
from flametest.model.paths import LogLine
from flametest.model.samples import Lane, Outcome, Sample
from flametest.model.writes import ATTEMPT_COLUMNS
from flametest.tracing.kept import kept_row, looked_for_row, read_kept
from flametest.tracing.wanted import WantedRequests

SECOND = 1_000_000_000


def sample(number: int, outcome: Outcome, *, at_s: float = 1.0, took_s: float = 0.01, name: str = "GET /") -> Sample:
    sent, status = round(at_s * SECOND), 200 if outcome is Outcome.OK else 503
    done = sent + round(took_s * SECOND)
    return Sample(Lane.LOAD, name, sent, sent, done, outcome, status, "", "", f"{number:032x}")


def test_failed_and_slow_requests_are_wanted_once_as_they_come(tmp_path: Path) -> None:
    wanted = WantedRequests(tmp_path, 500)
    assert list(wanted.read()) == []
    with SampleFile(tmp_path / "samples-load.csv") as file:
        file.append(sample(1, Outcome.OK))
        file.append(sample(2, Outcome.FAILED))
        file.flush()
        assert list(wanted.read()) == [f"{2:032x}"]
        file.append(sample(3, Outcome.OK, took_s=0.6))
        file.append(sample(4, Outcome.UNKNOWN))
        file.flush()
        assert list(wanted.read()) == [f"{3:032x}", f"{4:032x}"]
    assert list(wanted.read()) == []


def test_of_many_that_ended_alike_a_few_in_each_second_are_wanted(tmp_path: Path) -> None:
    wanted = WantedRequests(tmp_path, 500)
    with SampleFile(tmp_path / "samples-load.csv") as file:
        for number in range(400):
            file.append(sample(number, Outcome.FAILED, at_s=1 + number / 100))
        file.append(sample(999, Outcome.FAILED, at_s=1.5, name="GET /other"))
    assert len(list(wanted.read())) == 4 * 3 + 1


def test_a_write_that_failed_is_wanted_once_its_outcome_is_known(tmp_path: Path) -> None:
    rows = [
        ",".join(ATTEMPT_COLUMNS),
        f"k,1,{{}},1,1,0,unknown,0,,,{'a' * 32}",
        f"k,1,{{}},1,1,9,unknown,503,,status,{'a' * 32}",
        f"l,1,{{}},1,1,9,refused,409,,sold_out,{'b' * 32}",
    ]
    (tmp_path / "ledger.csv").write_text("\n".join(rows) + "\n")
    assert list(WantedRequests(tmp_path, 500).read()) == ["a" * 32]


def test_what_was_kept_is_read_back_but_for_a_line_that_a_crash_cut_off() -> None:
    line = LogLine("a" * 32, "api-1", "api", 5, 'a "line" ü')
    rows = [f"{looked_for_row('a' * 32)}\n", f"{kept_row(line)}\n", kept_row(line)[:20]]
    found = read_kept(rows)
    assert (found.examined, found.lines) == (frozenset({"a" * 32}), (line,))
