"""A text file that another process appends whole lines to: each look reads only what is new."""

import os
from pathlib import Path

__all__ = ["GrowingFile"]


class GrowingFile:
    """Follows ``path``, which may not exist yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0

    def lines(self) -> list[str]:
        """Return the whole lines that were added since the last call, each with its line end; none without the file.

        Raises:
            UnicodeDecodeError: they are not UTF-8.
            OSError: the file cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                if os.fstat(file.fileno()).st_size <= self._offset:
                    return []
                file.seek(self._offset)
                text = file.read()
        except FileNotFoundError:
            return []
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [f"{line}\n" for line in whole.decode().split("\n")[:-1]]
