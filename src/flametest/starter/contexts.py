"""The source of a folder's own images, as far as it is beside the manifests: read, never run.

``images.toml`` names the build context of an image. Without one, a folder with a Dockerfile counts that is called as
the image is, such as ``api/`` for ``shop/api:1.0``. Of a context only what its Dockerfile copies is the image's.
"""

import os
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from flametest.starter.system import SourceFile

__all__ = ["read_source_files"]

_IMAGES_FILE = "images.toml"
_SUFFIXES = (".py", ".js", ".mjs", ".cjs", ".ts", ".go", ".rb", ".php", ".java", ".kt")
_FOREIGN_FOLDERS = ("node_modules", "__pycache__", "venv", "vendor", "dist", "tests", "test")
_FILES_MAX = 300
_FOLDERS_MAX = 2000  # looked at for Dockerfiles
_DEPTH_MAX = 3
_BYTES_MAX = 200_000
_COPY = re.compile(r"^\s*(?:COPY|ADD)\s+((?:--\S+\s+)*)(.+)$", re.IGNORECASE | re.MULTILINE)


def read_source_files(folder: Path, images: Iterable[str]) -> dict[str, tuple[SourceFile, ...]]:
    """Return the source files of those images whose build contexts are beside a folder of manifests."""
    wanted = set(images)
    contexts = dict(_named(folder))
    if wanted - contexts.keys():
        by_folder = {dockerfile.parent.name.lower(): dockerfile for dockerfile in _dockerfiles(folder)}
        for image in wanted - contexts.keys():
            if dockerfile := by_folder.get(_last_name(image)):
                contexts[image] = (dockerfile.parent, dockerfile)
    return {image: files for image in wanted & contexts.keys() if (files := tuple(_files(*contexts[image])))}


def _last_name(image: str) -> str:
    return image.partition("@")[0].rsplit("/", maxsplit=1)[-1].partition(":")[0].lower()


def _named(folder: Path) -> Iterator[tuple[str, tuple[Path, Path]]]:
    """Yield context and Dockerfile of each image of the images.toml of a folder; contexts begin above it."""
    try:
        listed = tomllib.loads((folder / _IMAGES_FILE).read_text(encoding="utf-8")).get("image", [])
    except (OSError, ValueError):
        return
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, dict) and isinstance(one.get("name"), str) and isinstance(one.get("context"), str):
            context = folder.parent / one["context"]
            yield one["name"], (context, context / str(one.get("dockerfile") or "Dockerfile"))


def _dockerfiles(folder: Path) -> Iterator[Path]:
    """Yield the Dockerfiles in and beside a folder of manifests."""
    root = folder.resolve().parent
    for count, (where, names, files) in enumerate(os.walk(root)):
        if count >= _FOLDERS_MAX:
            return
        depth = len(Path(where).relative_to(root).parts)
        names[:] = [] if depth >= _DEPTH_MAX else sorted(one for one in names if _is_own(one))
        if "Dockerfile" in files:
            yield Path(where) / "Dockerfile"


def _files(context: Path, dockerfile: Path) -> Iterator[SourceFile]:
    """Yield the source files that a Dockerfile copies."""
    number = 0
    for path in _copied(context, dockerfile):
        if path.suffix in _SUFFIXES and number < _FILES_MAX:
            try:
                if path.stat().st_size > _BYTES_MAX:
                    continue
                text = path.read_text(encoding="utf-8", errors="replace")
            except OSError:
                continue
            number += 1
            yield SourceFile(str(path.relative_to(context.resolve())), text)


def _copied(context: Path, dockerfile: Path) -> Iterator[Path]:
    try:
        text = dockerfile.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    base = context.resolve()
    for options, words in _COPY.findall(text):
        if "--from" in options:  # from an image, not from the context
            continue
        for name in words.strip("[] ").replace('"', "").replace(",", " ").split()[:-1]:
            for found in sorted(base.glob(name.strip("/"))) if name.strip("./") else [base]:
                if found.is_relative_to(base):
                    yield from (_below(found) if found.is_dir() else [found])


def _below(folder: Path) -> Iterator[Path]:
    for where, names, files in os.walk(folder):
        names[:] = sorted(one for one in names if _is_own(one))
        yield from (Path(where) / name for name in sorted(files))


def _is_own(name: str) -> bool:
    return name not in _FOREIGN_FOLDERS and not name.startswith(".")
