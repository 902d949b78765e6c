"""The account of a search, search.json: whole on disk after each trial, so that it can be stopped at any moment."""

import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from flametest.model.search import SEARCH_FILE, SearchResult, TrialTold
from flametest.search.errors import SearchError
from flametest.search.evidence import Evidence, Outcome, Saw
from flametest.search.letters import Trial

__all__ = ["Journal", "Recorded", "read_search", "saw_of"]

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


class Recorded:
    """The outcomes of an earlier search, each of which answers one question of the search that goes on.

    What is tried next follows from the outcomes so far, in their order. So a search that asks again for what is on
    record, and is told the same, comes to where it was; known all at once, the later ones would change earlier choices.
    """

    def __init__(self, seen: Iterable[tuple[str, Saw]] = ()) -> None:
        self._left: dict[str, deque[Saw]] = {}
        for key, saw in seen:
            self._left.setdefault(key, deque()).append(saw)

    @classmethod
    def of(cls, result: SearchResult) -> "Recorded":
        """Return the outcomes of a search's trials."""
        return cls((one.key, saw_of(one)) for one in result.trials)

    def next_new(self, asking: Iterator[tuple[Trial, ...]], evidence: Evidence) -> tuple[Trial, ...]:
        """Return the next trials that are not on record; those that are go into the evidence. None at the end."""
        for trials in asking:
            if new := tuple(one for one in trials if not self._answer(one, evidence)):
                return new
        return ()

    def _answer(self, trial: Trial, evidence: Evidence) -> bool:
        left = self._left.get(trial.key)
        if not left:
            return False
        evidence.add(trial.key, left.popleft())
        return True


def saw_of(trial: TrialTold) -> Saw:
    """Return the outcome of a trial."""
    return Saw(Outcome(trial.outcome), trial.strain)
