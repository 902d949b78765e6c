"""Places in read-only volumes for what is mounted below them, as the kubelet makes them for its volumes.

A volume at /etc/app and another at /etc/app/certs need a folder ``certs`` in the first one, which nothing can make any
more where that is read-only.
Source: https://github.com/kubernetes/kubernetes/blob/v1.34.0/pkg/volume/util/nested_volumes.go
"""

import contextlib
import os

from flametest.sandbox.agent.runtime import ContainerOptions
from flametest.sandbox.images import Bind

__all__ = ["make_nested_places"]


def make_nested_places(container: ContainerOptions) -> None:
    """Make a folder, or an empty file, for each mount of a container that lies below a read-only volume of it.

    No link is followed: where there is one on the way, or where it cannot be made, nothing is; the start tells.
    """
    inner = (*container.mounts, *(bind for bind in container.image.binds if bind.stays))
    for bind in inner:
        outer = _volume_above(bind.target, container.mounts)
        if outer is not None and outer.read_only:
            with contextlib.suppress(OSError):
                _make(outer.source, bind.target[len(outer.target.rstrip("/")) + 1 :], folder=os.path.isdir(bind.source))


def _volume_above(target: str, mounts: tuple[Bind, ...]) -> Bind | None:
    above = [one for one in mounts if target.startswith(one.target.rstrip("/") + "/") and target != one.target]
    return max(above, key=lambda one: len(one.target), default=None)


def _make(volume: str, path: str, *, folder: bool) -> None:
    *parents, name = path.split("/")
    at = os.open(volume, os.O_PATH | os.O_DIRECTORY)
    try:
        for part in [*parents, *([name] if folder else [])]:
            with contextlib.suppress(FileExistsError):
                os.mkdir(part, 0o755, dir_fd=at)
            below = os.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = below
        if not folder:
            os.close(os.open(name, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644, dir_fd=at))
    finally:
        os.close(at)
