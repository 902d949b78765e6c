"""The record folder of one experiment: its history, appended event by event, and the samples beside it.

`Record` is made by the recorder and closed by it. Each event is one write to a file opened for appending, so that
events of several threads, and of a load generator in another process, do not mix.
"""

import errno
import os
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

from flametest.chaos.errors import RecorderError
from flametest.load.growing import GrowingFile
from flametest.measure.samples import SampleBuilder, Samples, read_into, read_samples
from flametest.model.events import Event
from flametest.model.history import History, encode
from flametest.model.samples import SAMPLE_COLUMNS

__all__ = ["HISTORY_FILE", "GrowingRecord", "GrowingSamples", "Record", "lone_folder", "read_history", "read_record"]

HISTORY_FILE = "history.jsonl"
_SAMPLES = "samples-*.csv"
_HEADER = ",".join(SAMPLE_COLUMNS) + "\n"


class Record:
    """The folder, open for appending.

    Raises:
        RecorderError: the folder cannot be made or written to.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._descriptor = os.open(folder / HISTORY_FILE, flags, 0o644)
        except OSError as error:
            raise RecorderError(
                f"record folder {folder} cannot be written to: {error.strerror}",
                "make it writable, or name another by FLAMETEST_RECORD_DIR",
            ) from error

    def append(self, event: Event) -> None:
        """Append an event and hand it to the kernel at once.

        Raises:
            OSError: the file cannot be written to, such as on a full disk.
        """
        line = f"{encode(event)}\n".encode()
        if os.write(self._descriptor, line) < len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        """Close the history; nothing can be appended any more."""
        os.close(self._descriptor)


class GrowingSamples:
    """The samples of a record folder, read again and again while they grow, files that appear later included."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[Path, GrowingFile] = {}
        self._builder = SampleBuilder()

    def read(self) -> Samples:
        """Return all samples that were written so far, but for lines that are not whole yet; parses only what is new.

        Raises:
            SamplesError: a line cannot be read; the next reading goes on behind what was read.
            OSError: a file cannot be read.
        """
        for path in sorted(self._folder.glob(_SAMPLES)):
            is_new = path not in self._files
            file = self._files.setdefault(path, GrowingFile(path))
            if lines := file.lines():
                read_into(self._builder, lines if is_new else [_HEADER, *lines], path.name)
            elif is_new:
                del self._files[path]  # its header comes with its first lines
        return self._builder.build()


class GrowingRecord:
    """A record folder that is read again and again while it grows; each reading parses only what is new."""

    def __init__(self, folder: Path) -> None:
        self._history = GrowingFile(folder / HISTORY_FILE)
        self._events: list[Event] = []
        self._samples = GrowingSamples(folder)

    def read(self) -> tuple[History, Samples]:
        """Return what `read_record` returns, but for lines that are not whole yet.

        Raises:
            HistoryError: a line of the history cannot be read.
            SamplesError: a line of the samples cannot be read.
            OSError: a file cannot be read.
        """
        self._events.extend(History.from_lines(self._history.lines()))
        return History(self._events), self._samples.read()


def lone_folder(scenario: str, wall_s: float) -> Path:
    """Return the folder for a lone ``chaos run`` that begins at ``wall_s``, relative to the working directory."""
    moment = datetime.fromtimestamp(wall_s).astimezone()
    return Path("reports", "experiments", f"{scenario}-{moment:%Y-%m-%dT%H-%M-%S}")


def read_record(folder: Path) -> tuple[History, Samples]:
    """Return the history and all samples of a record folder, as far as they have grown.

    Raises:
        HistoryError: a line of the history cannot be read.
        SamplesError: a line of the samples cannot be read.
        OSError: the history is missing.
    """
    history = read_history(folder)
    with ExitStack() as files:
        sources = [files.enter_context(path.open(newline="")) for path in sorted(folder.glob(_SAMPLES))]
        return history, read_samples(*sources)


def read_history(folder: Path) -> History:
    """Return the history of a record folder, as far as it has grown.

    Raises:
        HistoryError: a line cannot be read.
        OSError: it is missing.
    """
    with (folder / HISTORY_FILE).open(encoding="utf-8") as lines:
        return History.from_lines(lines)
