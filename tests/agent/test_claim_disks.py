"""Claims with a file system of their own: their size, what hinders them, and that they go."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flametest.sandbox.agent import claimdisks
from flametest.sandbox.agent.claimdisks import OWN_FILESYSTEM, mount_own, own_size

MIB = 1024 * 1024


def claim(**annotations: str) -> dict[str, Any]:
    return {"metadata": {"uid": "u", "annotations": annotations}, "status": {"capacity": {"storage": "16Mi"}}}


def test_only_a_claim_that_says_so_gets_one() -> None:
    assert own_size(claim()) == 0
    assert own_size({"metadata": {}, "status": {}}) == 0
    assert own_size(claim(**{OWN_FILESYSTEM: "false"})) == 0
    assert own_size(claim(**{OWN_FILESYSTEM: "true"})) == 16 * MIB


@pytest.mark.parametrize(
    ("size", "change", "told"),
    [
        (MIB, {}, "it asks for 1048576 bytes, and a file system of its own has"),
        (1024**4, {}, "a file system of its own has"),
        (16 * MIB, {"privileged": lambda: False}, "only root may mount a file system of its own"),
        (16 * MIB, {"_program": lambda _: None}, "mkfs.ext4 and mount are not installed"),
        (16 * MIB, {"BYTES_LEFT_MIN": 2**62}, "bytes are free on the machine's disk, too few"),
    ],
)
def test_what_hinders_it_is_told_and_leaves_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, change: dict[str, Any], told: str
) -> None:
    monkeypatch.setattr(claimdisks, "privileged", lambda: True)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(os.path, "exists", lambda _: True)
    monkeypatch.setattr(claimdisks, "_program", lambda name: name)
    for name, value in change.items():
        monkeypatch.setattr(claimdisks, name, value)
    folder = tmp_path / "claim"
    assert told in mount_own(str(folder), size)
    assert folder.stat().st_mode & 0o777 == 0o777
    assert mount_own(str(folder), size) == ""  # what it has become it stays
    assert [one.name for one in tmp_path.iterdir()] == ["claim"]


# In a mount namespace of its own, so that this machine's mounts stay as they are.
PROGRAM = """
import os, sys
from flametest.sandbox.agent.claimdisks import mount_own, remove
folder, size = sys.argv[1], int(sys.argv[2])
print(mount_own(folder, size) or "mounted", os.listdir(folder))
found = os.statvfs(folder)
print(found.f_blocks * found.f_frsize <= size, os.stat(folder).st_mode & 0o777 == 0o777)
try:
    with open(folder + "/file", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, found.f_bavail * found.f_frsize)
except OSError:
    pass  # the last block was needed for the books of this very file
try:
    open(folder + "/more", "w").write("x" * 8192)
except OSError as error:
    print(error.strerror)
print(os.stat(folder + ".image").st_blocks * 512 < size // 4)
remove(folder)
print(os.path.exists(folder), os.path.exists(folder + ".image"))
"""


@pytest.mark.skipif(
    os.geteuid() != 0 or not os.path.exists("/dev/loop-control") or shutil.which("unshare") is None,
    reason="mounting takes root and a loop device",
)
def test_it_has_the_size_of_the_claim_can_be_full_and_takes_of_the_disk_what_is_written(tmp_path: Path) -> None:
    command = ["unshare", "--mount", sys.executable, "-c", PROGRAM, str(tmp_path / "claim"), str(64 * MIB)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        "mounted []",
        "True True",
        "No space left on device",
        "True",
        "False False",
    ]
    attached = subprocess.run(["losetup", "-a"], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) not in attached
