"""The account of a search is whole on disk after each trial, and gives the same evidence when it is read."""

import os
from pathlib import Path

import pytest

from flametest.model.search import SEARCH_FILE, TrialTold
from flametest.search.errors import SearchError
from flametest.search.evidence import Counts, Evidence, Outcome, Saw
from flametest.search.journal import Journal, Recorded, read_search, saw_of
from flametest.search.letters import Trial
from tests.search.test_report import RESULT


def trial(number: int, key: str, outcome: str) -> TrialTold:
    return TrialTold(number, key, (), 4.0, outcome, 0.5, "told", {"availability": None}, "", 1.8e9, 8.0)


def test_each_trial_is_on_disk_as_soon_as_it_is_noted(tmp_path: Path) -> None:
    journal = Journal(tmp_path, RESULT)

    for number, outcome in enumerate(("breaks", "holds", "inconclusive", "refused"), 2):
        journal.note(trial(number, "a/0", outcome))
        assert read_search(tmp_path) == journal.result

    counts = Evidence.of((one.key, saw_of(one)) for one in read_search(tmp_path).trials).get("a/0")
    assert (counts.breaks, counts.holds, counts.inconclusive, counts.refused) == (1, 1, 1, 1)


def test_a_write_that_fails_leaves_the_former_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path, RESULT)
    journal.note(trial(2, "a/0", "holds"))
    before = (tmp_path / SEARCH_FILE).read_bytes()

    def full(_descriptor: int) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        journal.note(trial(3, "a/0", "holds"))

    assert (tmp_path / SEARCH_FILE).read_bytes() == before


@pytest.mark.parametrize("text", ["", "{}", '{"schema_version": 1}', "[]"])
def test_what_is_no_account_is_refused_with_a_remedy(tmp_path: Path, text: str) -> None:
    (tmp_path / SEARCH_FILE).write_text(text)

    with pytest.raises(SearchError) as refused:
        read_search(tmp_path)

    assert refused.value.remedy


def test_a_folder_without_an_account_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SearchError, match="cannot be read"):
        read_search(tmp_path)


def test_what_is_on_record_answers_each_question_once_and_in_its_order() -> None:
    first, second = Trial.of(["a"]), Trial.of(["b"])
    recorded = Recorded([("a/0", Saw(Outcome.HOLDS)), ("b/0", Saw(Outcome.HOLDS)), ("a/0", Saw(Outcome.BREAKS))])
    evidence = Evidence()
    asking = iter([(first,), (first, second), (first,), (second,)])

    assert recorded.next_new(asking, evidence) == (first,)
    assert evidence.get("a/0") == Counts(breaks=1, holds=1)
    assert evidence.get("b/0") == Counts(holds=1)
    assert recorded.next_new(asking, evidence) == (second,)
    assert recorded.next_new(asking, evidence) == ()
