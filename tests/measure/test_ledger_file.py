"""A ledger is read back as it was written; an open request is unknown, and a crash costs no more than its last row."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.measure.ledger import LedgerError, read_attempts, read_looks
from flametest.model.writes import ATTEMPT_COLUMNS, LOOK_COLUMNS, Attempt, Look, LookOutcome, WriteOutcome

HEADER = ",".join(ATTEMPT_COLUMNS) + "\n"
OPENED = "k-1,1,{},10,11,0,unknown,0,,,\n"
ANSWERED = "k-1,1,{},10,11,20,acknowledged,201,5,,\n"


def test_the_last_row_of_an_attempt_counts() -> None:
    (attempt,) = read_attempts([HEADER, OPENED, "k-2,1,{},12,12,0,unknown,0,,,\n", ANSWERED])[:1]
    assert attempt == Attempt("k-1", 1, "{}", 10, 11, 20, WriteOutcome.ACKNOWLEDGED, 201, "5", "")


def test_a_request_that_was_open_when_the_ledger_died_is_unknown() -> None:
    (attempt,) = read_attempts([HEADER, OPENED])
    assert attempt.outcome is WriteOutcome.UNKNOWN
    assert attempt.done_ns == 0


@given(st.integers(0, len(OPENED + ANSWERED)))
def test_a_ledger_cut_off_anywhere_is_read_as_far_as_it_is_whole(cut: int) -> None:
    attempts = read_attempts((HEADER + (OPENED + ANSWERED)[:cut]).splitlines(keepends=True))
    assert [one.outcome for one in attempts] in ([], [WriteOutcome.UNKNOWN], [WriteOutcome.ACKNOWLEDGED])
    assert len(attempts) == (cut >= len(OPENED))


@given(st.integers(1, len(ANSWERED) - 1))
def test_a_line_that_is_written_while_it_is_read_counts_once_it_is_whole(cut: int) -> None:
    growing = [HEADER, OPENED, ANSWERED[:cut], ANSWERED[cut:]]
    assert [one.outcome for one in read_attempts(growing)] == [WriteOutcome.UNKNOWN]


def test_an_empty_ledger_has_no_attempts() -> None:
    assert read_attempts([]) == read_attempts([HEADER]) == ()


@pytest.mark.parametrize(
    "lines",
    [["a,b\n"], [HEADER, "k,1,1\n"], [HEADER, OPENED.replace("unknown", "perhaps")], [HEADER, "k" + ",x" * 10 + "\n"]],
)
def test_a_broken_ledger_is_refused_and_not_read_as_an_empty_one(lines: list[str]) -> None:
    with pytest.raises(LedgerError, match="ledger"):
        read_attempts(lines)


@given(st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=30), st.booleans())
def test_looks_are_read_back_as_they_were_written(key: str, is_found: bool) -> None:
    outcome = LookOutcome.FOUND if is_found else LookOutcome.MISSING
    look = Look(key, 5, 9, outcome, 404, "")
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([LOOK_COLUMNS, look])
    text.seek(0)
    assert read_looks(text) == (look,)


def test_a_ledger_from_before_requests_carried_ids_is_read_all_the_same() -> None:
    header = ",".join(ATTEMPT_COLUMNS[:-1]) + "\n"
    (attempt,) = read_attempts([header, "k-1,1,{},10,11,20,acknowledged,201,5,\n"])
    assert (attempt.id, attempt.trace_id) == ("5", "")


def test_the_file_of_another_version_is_refused() -> None:
    with pytest.raises(LedgerError, match="expected the header"):
        read_attempts(["key,number,event_id\n"])
