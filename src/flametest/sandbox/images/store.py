"""The store of real images: by digest, below one folder, shared by all sandboxes of a user.

    blobs/sha256/...      layers, configurations and manifests, each once
    images/HEX/           an OCI layout that names one manifest; its blobs are a link to those of all
    roots/HEX/rootfs      the unpacked file system, made when it is first used; beside it ``image.json``
    roots/HEX-MAP/rootfs  the same for an ordinary user with ids of others: owners are right for one map of ids only
    builds/KEY.json       which digest was built from what; see `builds`
    environments/HEX/     Python packages of one image or more; see `environments`
    references.json       which digest a name stands for
    partial/NAME/         what is being made; left behind by a process that was killed, removed by the next
    lock                  held while references.json or partial/ changes

Everything appears whole, by a rename, or not at all. Whoever runs from a root or an environment holds the file ``lock``
in it, so that it is not removed meanwhile. OCI layout: https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

import contextlib
import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flametest.sandbox import idmaps
from flametest.sandbox.errors import SandboxError
from flametest.sandbox.images.reference import Reference
from flametest.sandbox.removal import remove_tree

__all__ = ["ImageStore", "StoredImage", "bytes_below"]

_ALGORITHM = "sha256"


@dataclass(frozen=True, slots=True)
class StoredImage:
    """An image of the store.

    Attributes:
        name: the full name that it was found by.
        digest: of its manifest, with the algorithm.
        size_bytes: of its compressed layers.
        created: when it was built, as its configuration tells; empty when that does not.
        configuration: the ``config`` of the image's configuration: Env, Entrypoint, Cmd, User, ...
        architecture: the processors that its programs are for, by Go's name, such as ``amd64``; empty when not told.
    """

    name: str
    digest: str
    size_bytes: int
    created: str
    configuration: Mapping[str, Any]
    architecture: str = ""

    @property
    def hexadecimal(self) -> str:
        """Return the digest without the algorithm, which names files."""
        return self.digest.partition(":")[2]


class ImageStore:
    """The images below one folder; every method may be called by several processes at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()

    @property
    def blobs(self) -> Path:
        """Return the folder that all layouts share."""
        return self.folder / "blobs"

    @property
    def layouts(self) -> Path:
        """Return the folder of all OCI layouts."""
        return self.folder / "images"

    def layout(self, image: StoredImage) -> Path:
        """Return the OCI layout of an image."""
        return self.layouts / image.hexadecimal

    def root(self, image: StoredImage) -> Path:
        """Return where the image's file system is once it is unpacked in the calling process's user namespace."""
        return self.folder / "roots" / "-".join(filter(None, (image.hexadecimal, idmaps.fingerprint())))

    def _roots(self, number: str) -> tuple[Path, ...]:
        """Return every unpacked file system of an image, which has one for each map of ids."""
        return tuple(place for place in _entries(self.folder / "roots") if _number(place) == number)

    def images(self) -> tuple[StoredImage, ...]:
        """Return every name with the image that it stands for, sorted by name."""
        found = (self.image(name, digest) for name, digest in sorted(self._references().items()))
        return tuple(image for image in found if image is not None)

    def find(self, reference: Reference) -> StoredImage | None:
        """Return the image of a name, or None; by digest whatever name it came under."""
        references = self._references()
        digest = references.get(str(reference)) or references.get(reference.fetched)
        if digest is None and reference.digest and reference.digest in references.values():
            digest = reference.digest
        return None if digest is None else self.image(str(reference), digest)

    @contextlib.contextmanager
    def partial(self) -> Iterator[Path]:
        """Yield a new folder for what is being made; it is removed afterwards, unless it was moved to its place.

        Raises:
            SandboxError: the store cannot be written.
        """
        try:
            self._prepare()
            with self._locked():
                self._remove_abandoned()
                folder = Path(tempfile.mkdtemp(prefix="", dir=self.folder / "partial"))
                owner = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
                fcntl.flock(owner, fcntl.LOCK_EX)
        except OSError as error:
            raise _unusable(self.folder, error) from error
        try:
            yield folder
        finally:
            remove_tree(folder)
            os.close(owner)

    def adopt(self, layout: Path, names: tuple[str, ...]) -> tuple[StoredImage, ...]:
        """Take a finished OCI layout, whose blobs are in `blobs` already, under each of ``names``.

        Raises:
            SandboxError: the layout is not whole, or the store cannot be written.
        """
        try:
            digest = str(json.loads((layout / "index.json").read_text())["manifests"][0]["digest"])
            algorithm, _, number = digest.partition(":")
            if algorithm != _ALGORITHM or not (self.blobs / algorithm / number).is_file():
                raise ValueError(f"its manifest {digest} is not there")
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise SandboxError(f"the copied image is not whole: {error}", "try again") from error
        place = self.layouts / number
        try:
            with self._locked():
                if not place.exists():
                    shutil.rmtree(layout / "blobs", ignore_errors=True)
                    (layout / "blobs").symlink_to("../../blobs")
                    layout.rename(place)
                self._write_references(self._references() | dict.fromkeys(names, digest))
        except OSError as error:
            raise _unusable(self.folder, error) from error
        found = (self.image(name, digest) for name in names)
        return tuple(image for image in found if image is not None)

    def put_root(self, unpacked: Path, image: StoredImage) -> Path:
        """Move an unpacked file system to its place and return that; of two that were made at once the first stays."""
        place = self.root(image)
        with self._locked():
            if not place.exists():
                (unpacked / "lock").touch()
                unpacked.rename(place)
        return place

    @contextlib.contextmanager
    def using(self, root: Path) -> Iterator[None]:
        """Keep a root, or an environment, from being removed while the block runs."""
        descriptor = os.open(root / "lock", os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)

    def prune(self, *, names: bool) -> tuple[int, tuple[str, ...]]:
        """Remove what is not used, and return how many bytes were freed and which names are gone.

        Args:
            names: also forget the names of images that no sandbox runs, and remove the environments of images that
                none runs; else remove only what no name stands for.
        """
        if not self.folder.is_dir():
            return 0, ()
        before = bytes_below(self.folder)
        with self._locked():
            being_made = self._remove_abandoned()
            references = self._references()
            kept = {digest for digest in references.values() if not names or self._in_use(digest)}
            gone = tuple(sorted(name for name, digest in references.items() if digest not in kept))
            self._write_references({name: digest for name, digest in references.items() if digest in kept})
            numbers = {digest.partition(":")[2] for digest in kept}
            for place in (*_entries(self.layouts), *_entries(self.folder / "roots")):
                number = _number(place)
                if number not in numbers and not self._in_use(f"{_ALGORITHM}:{number}"):
                    remove_tree(place)
                elif number not in numbers:
                    numbers.add(number)
            for place in _entries(self.folder / "environments") if names else ():
                if place.is_dir() and not any(map(_is_held, (place / "lock", place.with_suffix(".lock")))):
                    remove_tree(place)
            needed = set().union(*(self._blobs_of(number) for number in numbers))
            for blob in _entries(self.blobs / _ALGORITHM):
                # What is being copied now has blobs that no manifest names yet.
                if blob.name not in needed and not being_made:
                    blob.unlink(missing_ok=True)
        return before - bytes_below(self.folder), gone

    def image(self, name: str, digest: str) -> StoredImage | None:
        """Return the image of a digest, under a name of the caller's; None when it is not here, or not whole."""
        try:
            manifest = self._blob(digest)
            configuration = self._blob(manifest["config"]["digest"])
            size = sum(int(layer["size"]) for layer in manifest["layers"])
            created = str(configuration.get("created") or "")
            architecture = str(configuration.get("architecture") or "")
            return StoredImage(name, digest, size, created, configuration.get("config") or {}, architecture)
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return None  # not whole, as after a file was removed by hand: as if it were not there

    def _blob(self, digest: str) -> Any:
        return json.loads((self.blobs / _ALGORITHM / digest.partition(":")[2]).read_text())

    def _blobs_of(self, number: str) -> set[str]:
        """Return the names of all blobs of a manifest, itself included."""
        try:
            manifest = self._blob(f"{_ALGORITHM}:{number}")
            digests = [manifest["config"]["digest"], *(layer["digest"] for layer in manifest["layers"])]
        except (OSError, ValueError, LookupError, TypeError):
            return {number}
        return {number, *(str(digest).partition(":")[2] for digest in digests)}

    def _in_use(self, digest: str) -> bool:
        return any(_is_held(root / "lock") for root in self._roots(digest.partition(":")[2]))

    def _references(self) -> dict[str, str]:
        try:
            found = json.loads((self.folder / "references.json").read_text())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise _unusable(self.folder, error) from error
        return {str(name): str(digest) for name, digest in found.items()}

    def _write_references(self, references: Mapping[str, str]) -> None:
        draft = self.folder / "references.draft"
        draft.write_text(json.dumps(dict(sorted(references.items())), indent=1))
        draft.replace(self.folder / "references.json")

    def _prepare(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("blobs/sha256", "images", "roots", "partial"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the store alone, for moments only: nothing is fetched or unpacked meanwhile."""
        self._prepare()
        with (self.folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _remove_abandoned(self) -> bool:
        """Remove what processes have left behind that were killed; return whether others are at work."""
        at_work = False
        for folder in _entries(self.folder / "partial"):
            descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                at_work = True
            else:
                remove_tree(folder)
            finally:
                os.close(descriptor)
        return at_work


def _number(place: Path) -> str:
    """Return the digest of the image that a folder of the store belongs to, without the algorithm."""
    return place.name.partition("-")[0]


def _is_held(lock: Path) -> bool:
    try:
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _entries(folder: Path) -> tuple[Path, ...]:
    return tuple(folder.iterdir()) if folder.is_dir() else ()


def bytes_below(folder: Path) -> int:
    """Return what the files below a folder take on the disk."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(parent, name)).st_blocks * 512
    return total


def _unusable(folder: Path, error: Exception) -> SandboxError:
    return SandboxError(
        f"the image store {folder} cannot be used: {error}", "make room there and make it yours, or set FLAMETEST_HOME"
    )
