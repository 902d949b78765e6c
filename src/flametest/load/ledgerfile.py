"""The CSV file of a ledger. Each row is handed to the kernel at once: a write that is not in it was never sent."""

import csv
import io
from pathlib import Path
from types import TracebackType

from flametest.model.writes import ATTEMPT_COLUMNS, Attempt

__all__ = ["LedgerFile"]


class LedgerFile:
    """A new CSV file with `ATTEMPT_COLUMNS` as its header.

    Raises:
        FileExistsError: the file exists; two ledgers do not mix.
        OSError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb", buffering=0)
        self._write(ATTEMPT_COLUMNS)

    def __enter__(self) -> "LedgerFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, attempt: Attempt) -> None:
        """Write a row: before the request is sent, and again when its outcome is known."""
        self._write(attempt)

    def _write(self, row: tuple[object, ...]) -> None:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(row)
        self._file.write(text.getvalue().encode())
