"""What users may ask a system for, from wherever it is described: the running entry, the manifests' folder, the source.

The first source that describes a POST counts: what runs is surer than a file, and a file than the source.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from flametest.manifests import ManifestError
from flametest.manifests.documents import decoded, documents
from flametest.model.routes import TRUSTED_HERE, Trust
from flametest.starter.answers import served_document
from flametest.starter.fastapi import operations_in_source
from flametest.starter.openapi import Operation, operations_of
from flametest.starter.paths import served_by
from flametest.starter.topology import Topology

__all__ = ["find_operations"]

_NAMES = ("openapi.json", "openapi.yaml", "openapi.yml")
_BYTES_MAX = 8_000_000


def find_operations(
    topology: Topology, url: str, folder: Path | None, trust: Trust = TRUSTED_HERE
) -> tuple[Operation, ...]:
    """Return the GET and POST operations by which users reach a system.

    Args:
        topology: the system.
        url: of its running entry, which is asked for its document; empty where none runs.
        folder: of manifests, in or beside which a document may lie; None for none.
        trust: whose certificates the entry may show.
    """
    for found in _described(topology, url, folder, trust):
        if any(one.method == "POST" for one in found):
            return found
    return ()


def _described(topology: Topology, url: str, folder: Path | None, trust: Trust) -> Iterator[tuple[Operation, ...]]:
    if url:
        document, path = served_document(url, trust)
        yield operations_of(document, f"GET {path} of the entry")
    for file in _files(folder) if folder is not None else ():
        yield operations_of(_content(file), file.name)
    yield tuple(_in_source(topology))


def _files(folder: Path) -> Iterator[Path]:
    home = folder if folder.is_dir() else folder.parent
    for place in (home, home.resolve().parent):
        yield from (file for name in _NAMES if (file := place / name).is_file())


def _content(file: Path) -> Any:
    try:
        if file.stat().st_size > _BYTES_MAX:
            return None
        found = documents(decoded(file.read_bytes(), file.name), file.name)
        return found[0].value if found else None
    except (OSError, ManifestError):
        return None


def _in_source(topology: Topology) -> Iterable[Operation]:
    """Yield what the source of images answers, as far as users' requests for it get there."""
    for image, files in topology.system.sources.items():
        for one in operations_in_source(files):
            answering = served_by(topology, one.path)
            if any(image in {container.image for container in workload.containers} for workload in answering):
                yield one
