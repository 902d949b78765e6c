"""Unpacks stored images by umoci: layer upon layer, white-outs applied, nothing followed out of the root.

The process that unpacks is the cluster's, whose process namespace ends umoci with it.

Where there is one id only, every file belongs to that one; else to its owner in the image. umoci resolves each path
inside the new root, so a layer with ``..`` or with links that point elsewhere writes nothing outside of it.
"""

import json
import os
import re
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from flametest.sandbox import idmaps
from flametest.sandbox.errors import SandboxError
from flametest.sandbox.images.store import ImageStore, StoredImage, bytes_below

__all__ = ["FREE_BYTES_MIN", "GROWTH_BYTES_MIN", "UMOCI", "unpack", "unpack_early"]

UMOCI = "umoci"
FREE_BYTES_MIN = 1 << 30
"""What unpacking leaves free on the disk: an image larger than what is left is given up."""
GROWTH_BYTES_MIN = 1 << 30
"""What any image may grow to; a larger one may grow to `_GROWTH_MAX` times its compressed size."""

_GROWTH_MAX = 100
"""Real images grow to 2 to 10 times their size; one of holes or zeros, to many thousand times."""

_REFUSED_OWNER = re.compile(r"lchown \S*?/root/rootfs/(\S+): invalid argument$")
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class _Room:
    """How much an image may take.

    Attributes:
        free_bytes_min: what is to stay free on the disk.
        bytes_max: what it may grow to.
    """

    free_bytes_min: int
    bytes_max: int

    def check(self, folder: Path, image: StoredImage, free_bytes_before: int) -> None:
        """Look at what has been unpacked.

        Raises:
            SandboxError: it is too much.
        """
        free = shutil.disk_usage(folder).free
        if free < self.free_bytes_min:
            raise SandboxError(
                f"image {image.name} does not fit: less than {self.free_bytes_min >> 20} MiB are free on the disk",
                "make room, or `flametest images prune`",
            )
        # Counting takes a while, so only where that much can have been written.
        if free_bytes_before - free > self.bytes_max and (size := bytes_below(folder)) > self.bytes_max:
            raise SandboxError(
                f"image {image.name} is given up: {image.size_bytes} bytes of layers have grown to {size >> 20} MiB",
                "leave out of it what consists of holes or zeros",
            )


def unpack(
    store: ImageStore,
    image: StoredImage,
    *,
    one_user: bool,
    free_bytes_min: int = FREE_BYTES_MIN,
    growth_bytes_min: int = GROWTH_BYTES_MIN,
) -> Path:
    """Return the folder in which ``rootfs`` is the image's file system, unpacked now unless it was before.

    Args:
        store: where the image is.
        image: of the store.
        one_user: files can belong to the calling user only.
        free_bytes_min: give up before less than this is free.
        growth_bytes_min: let any image grow to this, however small its layers are.

    Raises:
        SandboxError: it cannot be unpacked, the disk is full, or it grows out of all proportion; nothing is left of it.
    """
    place = store.root(image)
    if place.is_dir():
        return place
    program = shutil.which(UMOCI)
    if program is None:
        raise SandboxError("the program umoci, which unpacks images, is not installed", "install the package umoci")
    with store.partial() as folder:
        unpacked = folder / "root"
        unpacked.mkdir()
        options, layout = ["--rootless"] if one_user else [], store.layout(image)
        command = [
            program,
            "raw",
            "unpack",
            *options,
            "--image",
            f"{os.path.relpath(layout, folder)}:image",  # a colon would end the path
            str(unpacked / "rootfs"),
        ]
        _run(command, image, folder, _Room(free_bytes_min, max(growth_bytes_min, _GROWTH_MAX * image.size_bytes)))
        (unpacked / "image.json").write_text(json.dumps({"digest": image.digest, "config": dict(image.configuration)}))
        return store.put_root(unpacked, image)


def unpack_early(store: ImageStore, image: StoredImage) -> None:
    """Unpack an image as soon as it is in the store, as container runtimes do, so that no pod waits for it.

    Only root can: for an ordinary user the ids of the files are those of the sandbox, which unpacks it when it is used.

    Raises:
        SandboxError: it cannot be unpacked.
    """
    if os.geteuid() == 0 and shutil.which(UMOCI):
        unpack(store, image, one_user=not idmaps.has_other_users())


def _run(command: list[str], image: StoredImage, folder: Path, room: _Room) -> None:
    free_bytes_before = shutil.disk_usage(folder).free
    room.check(folder, image, free_bytes_before)
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        while process.poll() is None:
            room.check(folder, image, free_bytes_before)
            time.sleep(_LOOK_SECONDS)
    finally:
        process.kill()
        process.wait()
    if process.returncode != 0:
        words = log.read_text(errors="replace").strip().splitlines()
        killed = process.returncode < 0 or not words
        cause = f"umoci was ended ({process.returncode})" if killed else words[-1]
        if not idmaps.is_initial() and (refused := _REFUSED_OWNER.search(cause)):
            message = f"image {image.name} cannot be unpacked: the ids to which /{refused[1]} belongs are not there"
            raise SandboxError(message, f"remedy: {idmaps.remedy()}")
        raise SandboxError(f"image {image.name} cannot be unpacked: {cause}")
