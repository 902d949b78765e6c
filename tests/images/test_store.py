"""The store: archives in, roots out, everything whole or not at all."""

import os
import signal
import subprocess
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from flametest.sandbox.errors import SandboxError
from flametest.sandbox.images import ImageStore, StoredImage
from flametest.sandbox.images.copying import load_archive
from flametest.sandbox.images.reference import parse_reference
from flametest.sandbox.images.stored import image_of
from flametest.sandbox.images.unpacking import unpack
from tests.images.building import Entry, TestImage, layer, layer_of_holes, oci_archive, write_docker_archive

SMALL = TestImage((layer(Entry("hello", b"hello\n")),), {"User": "7", "Cmd": ["/hello"]})
OTHER = TestImage((*SMALL.layers, layer(Entry("more", b"more\n"))))


def load(store: ImageStore, folder: Path, image: TestImage, name: str = "test/image:1") -> StoredImage:
    (found,) = load_archive(store, write_docker_archive(folder / f"{abs(hash(name))}.tar", {name: image}))
    return found


def test_an_archive_of_docker_is_loaded_under_its_names(store: ImageStore, tmp_path: Path) -> None:
    archive = write_docker_archive(tmp_path / "app:1, Ann's.tar", {"test/one:1": SMALL, "test/two": OTHER})
    assert [image.name for image in load_archive(store, archive)] == [
        "docker.io/test/one:1",
        "docker.io/test/two:latest",
    ]
    assert [image.name for image in store.images()] == ["docker.io/test/one:1", "docker.io/test/two:latest"]
    found = store.find(parse_reference("test/one:1"))
    assert found is not None
    assert found.configuration["Cmd"] == ["/hello"]


def test_an_image_for_other_processors_says_so(store: ImageStore, tmp_path: Path, one_user: bool) -> None:
    foreign = load(store, tmp_path, TestImage(SMALL.layers, {"Cmd": ["/hello"]}, architecture="s390x"))
    root = unpack(store, foreign, one_user=one_user)
    assert "is for the architecture s390x" in image_of("test/image:1", foreign, root).notice
    own = replace(foreign, architecture="")
    assert image_of("test/image:1", own, root).notice == ""


def test_an_oci_archive_and_a_folder_are_loaded(store: ImageStore, tmp_path: Path) -> None:
    archive = oci_archive(tmp_path / "b.tar", SMALL, "test/three:3")
    assert [image.name for image in load_archive(store, archive)] == ["docker.io/test/three:3"]
    with tarfile.open(archive) as file:
        file.extractall(tmp_path / "folder", filter="data")
    (found,) = load_archive(store, tmp_path / "folder", "other:4")
    assert found.name == "docker.io/library/other:4"
    assert len({image.digest for image in store.images()}) == 1


def test_an_image_is_found_by_its_digest_whatever_it_is_called(store: ImageStore, tmp_path: Path) -> None:
    image = load(store, tmp_path, SMALL)
    found = store.find(parse_reference(f"test/image@{image.digest}"))
    assert found is not None
    assert found.digest == image.digest
    assert store.find(parse_reference(f"test/image@sha256:{'0' * 64}")) is None


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b broken"])
def test_what_is_no_archive_is_refused(store: ImageStore, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(SandboxError, match="no archive of images"):
        load_archive(store, tmp_path / "x.tar")
    with pytest.raises(SandboxError, match="no folder of an image"):
        load_archive(store, tmp_path)


def test_an_image_without_a_name_needs_one(store: ImageStore, tmp_path: Path) -> None:
    archive = write_docker_archive(tmp_path / "a.tar", {"": SMALL})
    with pytest.raises(SandboxError, match="has no name"):
        load_archive(store, archive)
    assert load_archive(store, archive, "named:1")[0].name == "docker.io/library/named:1"
    with pytest.raises(SandboxError, match="invalid reference format"):
        load_archive(store, archive, "UPPER:1")


def test_an_archive_that_lacks_a_layer_leaves_nothing(store: ImageStore, tmp_path: Path) -> None:
    whole = write_docker_archive(tmp_path / "a.tar", {"test/one:1": OTHER})
    with tarfile.open(whole) as source, tarfile.open(tmp_path / "b.tar", "w") as cut:
        for member in source.getmembers()[1:]:
            cut.addfile(member, source.extractfile(member))
    with pytest.raises(SandboxError, match="cannot be loaded"):
        load_archive(store, tmp_path / "b.tar")
    assert store.images() == ()
    assert not list((store.folder / "partial").iterdir())


def test_an_image_is_unpacked_once(store: ImageStore, tmp_path: Path, one_user: bool) -> None:
    image = load(store, tmp_path, OTHER)
    with ThreadPoolExecutor(4) as pool:
        roots = set(pool.map(lambda _: unpack(store, image, one_user=one_user), range(4)))
    (root,) = roots
    assert (root / "rootfs" / "hello").read_text() == "hello\n"
    assert (root / "rootfs" / "more").read_text() == "more\n"
    assert not list((store.folder / "partial").iterdir())


def test_what_does_not_fit_on_the_disk_is_given_up(store: ImageStore, tmp_path: Path, one_user: bool) -> None:
    image = load(store, tmp_path, SMALL)
    with pytest.raises(SandboxError, match="does not fit"):
        unpack(store, image, one_user=one_user, free_bytes_min=1 << 62)
    assert not store.root(image).exists()
    assert not list((store.folder / "partial").iterdir())


def test_a_file_of_holes_is_given_up_before_it_fills_the_disk(
    store: ImageStore, tmp_path: Path, one_user: bool
) -> None:
    holes = layer_of_holes(tmp_path, 10 << 30)
    assert len(holes) < 100_000
    image = load(store, tmp_path, TestImage((holes,)))
    with pytest.raises(SandboxError, match=r"is given up: \d+ bytes of layers have grown to \d+ MiB"):
        unpack(store, image, one_user=one_user, growth_bytes_min=16 << 20)
    assert not store.root(image).exists()
    assert not list((store.folder / "partial").iterdir())


def test_pruning_keeps_what_has_a_name_and_what_runs(store: ImageStore, tmp_path: Path, one_user: bool) -> None:
    kept, replaced = load(store, tmp_path, SMALL), load(store, tmp_path, OTHER, "test/other:1")
    root = unpack(store, replaced, one_user=one_user)
    load(store, tmp_path, SMALL, "test/other:1")
    with store.using(root):
        store.prune(names=False)
        assert root.is_dir()
    freed, gone = store.prune(names=False)
    assert freed > 0
    assert gone == ()
    assert not root.exists()
    assert unpack(store, kept, one_user=one_user).is_dir()
    assert store.prune(names=True)[1] == ("docker.io/test/image:1", "docker.io/test/other:1")
    assert store.images() == ()
    assert [path for path in store.folder.rglob("*") if path.is_file()] == [
        store.folder / "lock",
        store.folder / "references.json",
    ]


LOADING = """
import sys
from pathlib import Path
from flametest.sandbox.images import ImageStore
with ImageStore(Path(sys.argv[1])).partial() as folder:
    (folder / "half").write_text("half")
    print(flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_process_left_is_removed_by_the_next(store: ImageStore, tmp_path: Path) -> None:
    command = [sys.executable, "-c", LOADING, str(store.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        load(store, tmp_path, SMALL)
        assert len(list((store.folder / "partial").iterdir())) == 1  # it still works there
        process.send_signal(signal.SIGKILL)
        process.communicate()
    load(store, tmp_path, OTHER)
    assert not list((store.folder / "partial").iterdir())


def test_a_store_that_cannot_be_written_says_so(store: ImageStore, tmp_path: Path) -> None:
    store.folder.parent.mkdir()
    store.folder.write_text("a file")
    with pytest.raises(SandboxError, match="cannot be used"):
        load(store, tmp_path, SMALL)


def test_the_store_is_for_its_owner_only(store: ImageStore, tmp_path: Path) -> None:
    load(store, tmp_path, SMALL)
    assert os.stat(store.folder).st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "entry",
    [
        Entry("../escaped", b"x"),
        Entry("a/../../../escaped", b"x"),
        Entry("/escaped", b"x"),
        Entry("way/escaped", b"x"),
        Entry("far/escaped", b"x"),
        Entry("hard", kind=tarfile.LNKTYPE, link="../../../secret"),
        Entry("device", kind=tarfile.CHRTYPE, mode=0o666),
        Entry("program", b"x", mode=0o6755),
        Entry(".wh..", b""),
        Entry(".wh...", b""),
        Entry("../.wh.secret", b""),
        Entry("way/.wh.secret", b""),
        Entry("way/.wh..wh..opq", b""),
        Entry(".wh.", b""),
        Entry("/.wh..wh..opq", b""),
        Entry("etc/../way/.wh.secret", b""),
        Entry("way", mode=0o777, kind=tarfile.DIRTYPE),
        Entry("hard", kind=tarfile.LNKTYPE, link="way/secret"),
        Entry("hard", kind=tarfile.LNKTYPE, link="far/secret"),
    ],
    ids=lambda entry: f"{entry.name}:{entry.kind.decode()}:{entry.link}",
)
def test_a_hostile_layer_changes_nothing_outside(
    store: ImageStore, tmp_path: Path, one_user: bool, entry: Entry
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    (tmp_path / "secret").write_text("secret")
    first = layer(
        Entry("etc", mode=0o755, kind=tarfile.DIRTYPE),
        Entry("way", kind=tarfile.SYMTYPE, link=str(outside)),
        Entry("far", kind=tarfile.SYMTYPE, link="../../../../../../../../../.." + str(outside)),
    )
    image = load(store, tmp_path, TestImage((first, layer(entry))))
    before = sorted(outside.rglob("*"))
    begun = time.time()
    try:
        root = unpack(store, image, one_user=one_user) / "rootfs"
    except SandboxError:
        root = None
    assert sorted(outside.rglob("*")) == before
    assert (outside / "secret").read_text() == (tmp_path / "secret").read_text() == "secret"
    assert [path for path in tmp_path.rglob("escaped") if not path.is_relative_to(store.folder / "roots")] == []
    assert not list((store.folder / "partial").iterdir())
    assert os.stat(outside).st_mtime < begun
    if root is not None and os.path.lexists(root / "hard"):
        assert (root / "hard").read_text() != "secret"
