"""The handle of a process of its own that records into a folder until it is ended, and then says what it has done.

A process of its own, because the threads and garbage collection of the run that owns it would delay its requests, and
so that a run that dies takes no record with it. Its side is `flametest.load.program`.
"""

import json
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import ClassVar, Generic, Self, TypeVar

from flametest.load.child import Child
from flametest.load.errors import LoadError

__all__ = ["Recording", "RecordingProcess"]

NOTHING_MORE: Mapping[str, str] = MappingProxyType({})

_STOP_MARGIN_SECONDS = 5.0

Summary = TypeVar("Summary")


@dataclass(frozen=True, slots=True)
class Recording:
    """What such a process is called, the program that it is, and its files: what it records, its summary, its log."""

    title: str
    module: str
    records: str
    summary: str
    log: str


class RecordingProcess(ABC, Generic[Summary]):
    """A process that records into ``folder``, which exists; ``environment`` is added to this process' own.

    As a context manager it starts on entry, if it was not started before, and ends on every way out. `stop` returns
    what it says of itself.
    """

    recording: ClassVar[Recording]

    def __init__(self, folder: Path, environment: Mapping[str, str] = NOTHING_MORE) -> None:
        self.records_file = folder / self.recording.records
        self._folder = folder
        self._environment = environment
        self._log = folder / self.recording.log
        self._child: Child | None = None

    @abstractmethod
    def _arguments(self) -> Sequence[object]:
        """Return what it is told beside its files; raises LoadError for what cannot be used."""

    @abstractmethod
    def _summarize(self, content: dict[str, int]) -> Summary:
        """Return the summary from the content of its file; raises TypeError where it is none."""

    @property
    @abstractmethod
    def _seconds_to_finish(self) -> float:
        """Return how long what it has sent may take."""

    def __enter__(self) -> Self:
        if self._child is None:
            self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._child is not None:
            self._end()

    def start(self) -> None:
        """Start the process.

        Raises:
            LoadError: an option cannot be used, the folder has records already, or the process cannot be started.
        """
        arguments = self._arguments()
        if self.records_file.exists():
            raise LoadError(f"{self.records_file} exists already", "record into a new folder")
        files = (self.records_file, "--summary", self._folder / self.recording.summary, "--parent", os.getpid())
        command = [sys.executable, "-m", self.recording.module, *map(str, arguments), *map(str, files)]
        self._child = Child(self.recording.title, command, self._log, self._environment)

    def check(self) -> None:
        """Do nothing while it records.

        Raises:
            LoadError: it died; the message has its last words.
        """
        if self._child is not None:
            self._child.check()

    def stop(self) -> Summary:
        """End it, let what it has sent be answered, and return its summary; everything is then written.

        Raises:
            LoadError: it was not running any more, or ended without a summary.
        """
        if self._child is None:
            raise LoadError(f"{self.recording.title} was not started")
        try:
            self.check()
        finally:
            code = self._end()
        try:
            return self._summarize(json.loads((self._folder / self.recording.summary).read_text()))
        except (OSError, ValueError, TypeError) as error:
            raise LoadError(
                f"{self.recording.title} ended with code {code} and no summary", f"see {self._log}"
            ) from error

    def _end(self) -> int:
        assert self._child is not None
        child, self._child = self._child, None
        return child.stop(self._seconds_to_finish + _STOP_MARGIN_SECONDS)
