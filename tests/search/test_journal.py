"""The account of a search is whole on disk after each trial, and gives the same evidence when it is read."""

import os
from pathlib import Path

import pytest

from flametest.model.search import SEARCH_FILE, TrialTold
from flametest.search.errors import SearchError
from flametest.search.journal import Journal, evidence_of, read_search
from tests.search.test_report import RESULT


def trial(number: int, key: str, outcome: str) -> TrialTold:
    return TrialTold(number, key, (), 4.0, outcome, 0.5, "told", {"availability": None}, "", 1.8e9, 8.0)


def test_each_trial_is_on_disk_as_soon_as_it_is_noted(tmp_path: Path) -> None:
    journal = Journal(tmp_path, RESULT)

    for number, outcome in enumerate(("breaks", "holds", "inconclusive", "refused"), 2):
        journal.note(trial(number, "a/0", outcome))
        assert read_search(tmp_path) == journal.result

    counts = evidence_of(read_search(tmp_path)).get("a/0")
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
