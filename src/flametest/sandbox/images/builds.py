"""Which images of a project have been built: for one sandbox by name, and in the store by what they were built from.

A sandbox's own record says which of the project's images it runs as built ones: `flametest up` writes it, the agent
reads it for every pod. All other images of the project are read from their Dockerfiles.

    builds/KEY.json     in the store: one build; KEY stands for context, Dockerfile and base images
"""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from flametest.sandbox.images.catalogue import normal_reference
from flametest.sandbox.images.reference import Reference
from flametest.sandbox.images.store import ImageStore, StoredImage

__all__ = ["Build", "brought", "build_of", "builds_by_digest", "read_builds", "remember_build", "write_builds"]


@dataclass(frozen=True, slots=True)
class Build:
    """How an image came about.

    Attributes:
        digest: of its manifest.
        dockerfile: the file that it was built from.
        builder: what built it.
        bases: the base images, as the Dockerfile names them.
    """

    digest: str
    dockerfile: str
    builder: str
    bases: tuple[str, ...]


def read_builds(file: Path) -> dict[str, str]:
    """Return the digest of each image that a sandbox runs as a built one, by ``name:tag``; none without a record."""
    try:
        return {str(name): str(digest) for name, digest in json.loads(file.read_text()).items()}
    except (OSError, ValueError, AttributeError):
        return {}


def write_builds(file: Path, made: Mapping[str, str]) -> None:
    """Add to a sandbox's record the digests of images by their names; an empty digest is for one that is read."""
    added = {":".join(normal_reference(name)): digest for name, digest in made.items()}
    _write(file, {name: digest for name, digest in (read_builds(file) | added).items() if digest})


def build_of(store: ImageStore, key: str, name: str) -> StoredImage | None:
    """Return, under a name, what was built from just this before and is in the store still; else None."""
    build = _read(_file(store, key))
    return None if build is None else store.image(name, build.digest)


def brought(store: ImageStore, reference: Reference) -> StoredImage | None:
    """Return the image of a reference that the store has from an archive or a registry; None for none, or a build."""
    stored = store.find(reference)
    return None if stored is None or stored.digest in builds_by_digest(store) else stored


def remember_build(store: ImageStore, key: str, build: Build) -> None:
    """Remember what was built from what."""
    _write(_file(store, key), asdict(build))


def builds_by_digest(store: ImageStore) -> dict[str, Build]:
    """Return how the images of the store were built that were built here, by their digests."""
    found = (_read(file) for file in (store.folder / "builds").glob("*.json"))
    return {build.digest: build for build in found if build is not None}


def _file(store: ImageStore, key: str) -> Path:
    return store.folder / "builds" / f"{key}.json"


def _read(file: Path) -> Build | None:
    try:
        content = json.loads(file.read_text())
        return Build(content["digest"], content["dockerfile"], content["builder"], tuple(content["bases"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _write(file: Path, content: object) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_suffix(f".{os.getpid()}")
    draft.write_text(json.dumps(content, indent=1))
    draft.replace(file)
