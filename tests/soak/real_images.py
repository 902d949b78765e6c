"""The real images of a soak: two in the sandbox's store, and one that pods pull again from a registry each time."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from flametest.sandbox.images import ImageStore
from flametest.sandbox.images.copying import load_archive
from tests.images.building import BASE, TestImage, base_layer, server_from_nothing, write_docker_archive
from tests.images.registry import serving

__all__ = ["SHELL", "USER", "RealImages", "real_images"]

SHELL, USER = "soak/shell:1", "soak/user:1"
"""Images with a shell: one runs as root, one as another user."""


@dataclass(frozen=True)
class RealImages:
    """What pods may run: the store has `SHELL` and `USER`, a registry ``pulled``, which is a server without a shell."""

    store: ImageStore
    pulled: str


@contextmanager
def real_images(store: ImageStore) -> Iterator[RealImages]:
    """Load the images into a store, and serve the registry until the block ends."""
    base = base_layer()
    images = {SHELL: TestImage((base,), BASE), USER: TestImage((base,), {**BASE, "User": "redis"})}
    with tempfile.TemporaryDirectory() as folder:
        load_archive(store, write_docker_archive(Path(folder) / "images.tar", images))
    with serving() as registry:
        registry.add("soak/server", "1", server_from_nothing())
        yield RealImages(store, f"{registry.address}/soak/server:1")
