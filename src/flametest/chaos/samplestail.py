"""The samples of a record folder while it grows: each look reads what was written since the last one."""

import csv
from pathlib import Path

from flametest.measure.samples import SampleBuilder, Samples

__all__ = ["SamplesTail"]


class SamplesTail:
    """Follows the sample files of one record folder, those that appear later included."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._builder = SampleBuilder()
        self._read: dict[Path, int] = {}

    def samples(self) -> Samples:
        """Return all samples that were written so far."""
        for path in sorted(self._folder.glob("samples-*.csv")):
            self._follow(path)
        return self._builder.build()

    def _follow(self, path: Path) -> None:
        start = self._read.get(path, 0)
        with path.open("rb") as file:
            file.seek(start)
            new = file.read()
        whole = new[: new.rfind(b"\n") + 1]
        self._read[path] = start + len(whole)
        rows = list(csv.reader(whole.decode("utf-8", errors="replace").splitlines(keepends=True)))
        for row in rows if start else rows[1:]:  # the first one is the header
            try:
                self._builder.add([row])
            except (ValueError, KeyError, OverflowError):
                continue  # the report tells of a record that is broken
