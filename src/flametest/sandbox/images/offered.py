"""Build contexts that were found beside manifests, as a file in the sandbox's state folder.

`flametest.sandbox.launch` writes it while the sandbox runs, the catalogue reads it whenever it has changed. It holds
one JSON object: from the image, as manifests name it, to its context and Dockerfile.
"""

import json
from collections.abc import Mapping
from pathlib import Path

__all__ = ["Offers", "offered_file", "offering"]


def offered_file(state_folder: Path) -> Path:
    """Return where a sandbox's offers stand."""
    return state_folder / "contexts.json"


def offering(path: Path, contexts: Mapping[str, tuple[Path, Path]]) -> str:
    """Return the text of a file that offers contexts in addition to what ``path`` offers."""
    added = {image: [str(context.absolute()), str(file.absolute())] for image, (context, file) in contexts.items()}
    return json.dumps(_read(path) | added, indent=2)


def _read(path: Path) -> dict[str, list[str]]:
    try:
        return dict(json.loads(path.read_text()))
    except (FileNotFoundError, ValueError):
        return {}


class Offers:
    """What is offered now; lives as long as the catalogue."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._known: dict[str, tuple[Path, Path]] = {}

    def find(self, image: str) -> tuple[Path, Path] | None:
        """Return context and Dockerfile of an image, by the name that the manifests use."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        # The file is replaced, not written into, so that a new one is another file.
        if (stamp := (status.st_ino, status.st_mtime_ns)) != self._stamp:
            read = _read(self._path)
            self._known = {name: (Path(context), Path(file)) for name, (context, file) in read.items()}
            self._stamp = stamp
        return self._known.get(image)
