"""Real images for `scripts.bench`: made here, from files of this machine, so that no registry is needed."""

import shutil
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from flametest.sandbox.idmaps import has_other_users
from flametest.sandbox.images import ImageStore
from flametest.sandbox.images.copying import SKOPEO, load_archive
from flametest.sandbox.images.unpacking import UMOCI, unpack, unpack_early
from tests.images.building import BASE, Entry, TestImage, base_layer, layer, write_docker_archive

__all__ = ["copy_and_unpack", "missing_programs", "small_image"]

_BYTES = 100_000_000


def missing_programs() -> list[str]:
    """Return the programs that real images need and that are not installed."""
    return [name for name in (SKOPEO, UMOCI) if shutil.which(name) is None]


def copy_and_unpack(store: ImageStore) -> tuple[float, float]:
    """Return how many seconds an image of 100 MB takes to be copied into the store, and to be unpacked there.

    Its files are those of Python's standard library, so as many and as small as images have them.
    """
    with tempfile.TemporaryDirectory() as folder:
        image = TestImage((layer(*_files()),))
        archive = write_docker_archive(Path(folder, "image.tar"), {"bench/library:1": image})
        begun = time.monotonic()
        (stored,) = load_archive(store, archive)
        copied = time.monotonic()
        unpack(store, stored, one_user=not has_other_users())
        return copied - begun, time.monotonic() - copied


def small_image(store: ImageStore) -> str:
    """Put an image with a shell into the store, and return its name."""
    name = "bench/small:1"
    with tempfile.TemporaryDirectory() as folder:
        archive = write_docker_archive(Path(folder, "image.tar"), {name: TestImage((base_layer(),), BASE)})
        (stored,) = load_archive(store, archive)
    unpack_early(store, stored)
    return name


def _files() -> Iterator[Entry]:
    library = Path(sysconfig.get_path("stdlib"))
    left = _BYTES
    copy = 0
    while True:
        copy += 1
        for path in sorted(library.rglob("*")):
            if path.is_symlink() or not path.is_file():
                continue
            data = path.read_bytes()[:left]
            yield Entry(f"copy{copy}/{path.relative_to(library)}", data)
            left -= len(data)
            if not left:
                return
