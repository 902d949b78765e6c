"""Roots of real images, up to the mount itself: what is mounted, and what is made beforehand."""

import errno
import os
import stat
from pathlib import Path

import pytest

from flametest.sandbox import namespaces
from flametest.sandbox.agent.imageroot import ImageRoots
from flametest.sandbox.agent.logs import LogFile
from flametest.sandbox.agent.runtime import ContainerOptions, PodSandbox
from flametest.sandbox.images import Bind, Image


class Mounts:
    """Stands for the kernel: notes the options of each overlay, and shows the image itself in its place."""

    def __init__(self, refused: str = "") -> None:
        self.options: list[str] = []
        self._refused = refused

    def __call__(self, source: str, target: str, kind: str = "", flags: int = 0, data: str = "") -> None:
        self.options.append(data)
        if self._refused and self._refused in data.split(","):
            raise OSError(errno.EINVAL, f"mount {kind} on {target}")
        lower = data.removeprefix("lowerdir=").split(",")[0]
        os.rmdir(target)
        os.symlink(lower, target)


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """Return an image with a volume that is empty and one that is not."""
    rootfs = tmp_path / "image" / "rootfs"
    for name in ("data", "empty", "full"):
        (rootfs / name).mkdir(parents=True)
    (rootfs / "empty").chmod(0o1770)
    (rootfs / "full" / "file").write_text("of the image")
    return Image("test:1", root=str(tmp_path / "image"), volumes=("/data", "/empty", "/full"))


def made(roots: ImageRoots, image: Image, folder: Path, name: str, *mounts: Bind) -> dict[str, str]:
    """Make a read-only root and return its mounts, target to source."""
    log = LogFile(str(folder / f"{name}.log"), lambda: 0.0, 1000)
    pod = PodSandbox("uid", "host", str(folder), "", "", "")
    container = ContainerOptions(name, "uid", "main", image, ("run",), log, mounts=mounts, read_only_root=True)
    words = roots.arguments(pod, container, [])
    return {words[at + 2]: words[at + 1] for at, word in enumerate(words) if word == "--bind"}


def test_a_layer_is_not_written_to_the_disk_before_it_is_unmounted(
    tmp_path: Path, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Mounts()
    monkeypatch.setattr(namespaces, "mount", kernel)
    made(ImageRoots(str(tmp_path), one_user=True), image, tmp_path, "one")
    (options,) = kernel.options
    assert "volatile" in options.split(",")


def test_a_kernel_that_writes_every_layer_is_asked_once(
    tmp_path: Path, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Mounts(refused="volatile")
    monkeypatch.setattr(namespaces, "mount", kernel)
    roots = ImageRoots(str(tmp_path), one_user=True)
    for name in ("one", "two"):
        made(roots, image, tmp_path, name)
    assert ["volatile" in options.split(",") for options in kernel.options] == [True, False, False]


def test_volumes_of_the_image_are_copied_with_their_attributes_but_where_the_pod_mounts_its_own(
    tmp_path: Path, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(namespaces, "mount", Mounts())
    own = tmp_path / "own"
    own.mkdir()
    mounts = made(ImageRoots(str(tmp_path), one_user=True), image, tmp_path, "one", Bind(str(own), "/data/", False))
    assert mounts["/data"] == str(own)
    assert stat.S_IMODE(os.stat(mounts["/empty"]).st_mode) == 0o1770
    assert Path(mounts["/full"], "file").read_text() == "of the image"
    assert len(os.listdir(Path(mounts["/full"]).parent)) == 2
