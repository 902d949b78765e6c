"""The CSV file of samples, written while they come. One writer a file; whoever reads it meanwhile sees whole rows.

Rows are kept until `SampleFile.flush`, which hands them to the kernel in one write: a reader never meets half of a
flush, and a crash loses what came since the last one.
"""

import csv
import io
from pathlib import Path
from types import TracebackType

from flametest.model.samples import SAMPLE_COLUMNS, Sample

__all__ = ["FLUSH_SECONDS", "SampleFile"]

FLUSH_SECONDS = 0.1  # how often writers flush; readers may count on 0.2 s


class SampleFile:
    """A new CSV file with `SAMPLE_COLUMNS` as its header.

    Raises:
        FileExistsError: the file exists; samples of two recordings do not mix.
        OSError: it cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb", buffering=0)
        self._rows = io.StringIO()
        self._writer = csv.writer(self._rows, lineterminator="\n")
        self._writer.writerow(SAMPLE_COLUMNS)
        self.flush()

    def __enter__(self) -> "SampleFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def append(self, sample: Sample) -> None:
        """Keep a sample for the next flush."""
        self._writer.writerow(sample)

    def flush(self) -> None:
        """Write what was kept."""
        if text := self._rows.getvalue():
            self._file.write(text.encode())
            self._rows.seek(0)
            self._rows.truncate()

    def close(self) -> None:
        """Flush and close; a second call does nothing."""
        if not self._file.closed:
            self.flush()
            self._file.close()
