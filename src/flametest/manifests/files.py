"""Which files of a folder are read, in the order in which kubectl walks it, and which are left out by what they are.

A Helm chart, what a kustomization names as its patches, hidden folders and editors' files hold no objects to apply.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from flametest.manifests.documents import decoded, documents
from flametest.manifests.errors import ManifestError
from flametest.manifests.judging import KUSTOMIZATIONS, file_reason, is_chart, patches_of

__all__ = ["Found", "LeftOut", "find_files"]

SUFFIXES = (".yaml", ".yml", ".json")  # as kubectl looks for them in a folder
_CHART = "Chart.yaml"
_FOREIGN_FOLDERS = ("node_modules", "__pycache__", "venv")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that is not applied: a file, a folder or a document, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name} ({self.reason})"


@dataclass(slots=True)
class Found:
    """The files to read, each with the name by which it is told, and what was left out."""

    files: dict[Path, str] = field(default_factory=dict)
    left_out: list[LeftOut] = field(default_factory=list)


def find_files(sources: Sequence[Path]) -> Found:
    """Return the files of folders and those named one by one, each once.

    Raises:
        ManifestError: a source does not exist, or cannot be looked into.
    """
    found, patches = Found(), {}
    for source in sources:
        base = source if len(sources) == 1 and source.is_dir() else None
        for path in _walk(source, found.left_out, base):
            name = _named(path, base)
            if path.name in KUSTOMIZATIONS:
                patches.update(_patches(path, name))
            if reason := file_reason(path.name):
                found.left_out.append(LeftOut(name, reason))
            else:
                found.files.setdefault(path.resolve(), name)
    for path in [one for one in found.files if one in patches]:
        found.left_out.append(LeftOut(found.files.pop(path), f"a part of {patches[path]}; -k applies it"))
    return found


def _walk(source: Path, left_out: list[LeftOut], base: Path | None) -> Iterator[Path]:
    if not source.is_dir():
        if not source.exists():
            raise ManifestError(f"{source} does not exist", "name a file or a folder of manifests")
        yield source
        return
    try:
        entries = sorted(os.scandir(source), key=lambda one: one.name)
    except OSError as error:
        raise ManifestError(f"folder {source} cannot be read: {error}", "make it readable") from error
    for entry in entries:
        path = source / entry.name
        if entry.is_dir():
            if reason := _folder_reason(entry):
                left_out.append(LeftOut(_named(path, base), reason))
            else:
                yield from _walk(path, left_out, base)
        elif _is_of_interest(entry.name):
            yield path


def _folder_reason(entry: "os.DirEntry[str]") -> str:
    if entry.is_symlink():
        return "a link to a folder, which kubectl does not follow either"
    if entry.name.startswith("."):
        return "a hidden folder"
    if entry.name in _FOREIGN_FOLDERS:
        return "a folder of other programs"
    if (chart := Path(entry.path, _CHART)).is_file() and _is_chart(chart):
        return "a Helm chart; render it by `helm template`"
    return ""


def _is_of_interest(name: str) -> bool:
    """Return whether a name is that of a manifest, or of what has been one."""
    return name.endswith(SUFFIXES) or name in KUSTOMIZATIONS or any(f"{suffix}" in name for suffix in SUFFIXES)


def _named(path: Path, base: Path | None) -> str:
    return str(path.relative_to(base)) if base is not None else str(path)


def _is_chart(path: Path) -> bool:
    try:
        return any(is_chart(one.value) for one in documents(decoded(path.read_bytes(), path.name), path.name))
    except (ManifestError, OSError):
        return False


def _patches(path: Path, name: str) -> dict[Path, str]:
    """Return the files that are not objects of their own but parts of a kustomization."""
    try:
        read = documents(decoded(path.read_bytes(), name), name)
    except (ManifestError, OSError):
        return {}
    return {(path.parent / one).resolve(): name for document in read for one in patches_of(document.value)}
