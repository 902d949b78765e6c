"""The CSV files of a ledger. Each row is handed to the kernel at once: a write that is not in it was never sent."""

import csv
import io
from pathlib import Path
from types import TracebackType

__all__ = ["RecordFile"]


class RecordFile:
    """A new CSV file with ``columns`` as its header.

    Raises:
        FileExistsError: the file exists; two ledgers do not mix.
        OSError: it cannot be written.
    """

    def __init__(self, path: Path, columns: tuple[str, ...]) -> None:
        self._file = path.open("xb", buffering=0)
        self.append(columns)

    def __enter__(self) -> "RecordFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def append(self, row: tuple[object, ...]) -> None:
        """Write a row: before a request is sent, and again when its outcome is known."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(row)
        self._file.write(text.getvalue().encode())
