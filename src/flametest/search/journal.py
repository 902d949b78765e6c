"""The account of a search, search.json: whole on disk after each trial, so that it can be stopped at any moment."""

import os
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from flametest.model.search import SEARCH_FILE, SearchResult, TrialTold
from flametest.search.errors import SearchError
from flametest.search.evidence import Evidence, Outcome, Saw

__all__ = ["Journal", "evidence_of", "read_search", "saw_of"]

_RESULT: TypeAdapter[SearchResult] = TypeAdapter(SearchResult)


class Journal:
    """The account of one search in its folder."""

    def __init__(self, folder: Path, result: SearchResult) -> None:
        self.folder = folder
        self.result = result

    def note(self, trial: TrialTold) -> None:
        """Take one more trial, and write everything to disk."""
        self.write(replace(self.result, trials=(*self.result.trials, trial)))

    def write(self, result: SearchResult) -> None:
        """Replace the account; whoever reads it meanwhile sees the former one or this.

        Raises:
            OSError: it cannot be written.
        """
        self.result = result
        beside = self.folder / f"{SEARCH_FILE}.new"
        with beside.open("wb") as file:
            file.write(_RESULT.dump_json(result, indent=1) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self.folder / SEARCH_FILE)


def read_search(folder: Path) -> SearchResult:
    """Return the account of a search.

    Raises:
        SearchError: there is none, or not of this version.
    """
    file = folder / SEARCH_FILE
    try:
        return _RESULT.validate_json(file.read_bytes())
    except OSError as error:
        raise SearchError(f"{file} cannot be read: {error.strerror}", "name the folder of a search") from error
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise SearchError(
            f"{file} is no search of this version: {where}: {problem['msg']}",
            "search from the beginning",
        ) from error


def evidence_of(result: SearchResult) -> Evidence:
    """Return what the trials of a search have shown."""
    return Evidence.of((one.key, saw_of(one)) for one in result.trials)


def saw_of(trial: TrialTold) -> Saw:
    """Return the outcome of a trial."""
    return Saw(Outcome(trial.outcome), trial.strain)
