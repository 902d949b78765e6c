"""A storage of buildah's for tests, apart from the user's own."""

import json
import os
import shutil
from pathlib import Path

import pytest

__all__ = ["own_storage"]


def own_storage(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have buildah keep its images below a folder for the time of a test; skip where this user's cannot build."""
    if os.geteuid() != 0:
        pytest.skip("an ordinary user's buildah needs subordinate ids, which a test cannot give")
    assert shutil.which("buildah"), "install buildah: `nox -s tests` does"
    folder.mkdir()
    places = {name: json.dumps(str(folder / name)) for name in ("graph", "run")}
    settings = f'[storage]\ndriver = "vfs"\ngraphroot = {places["graph"]}\nrunroot = {places["run"]}\n'
    (folder / "storage.conf").write_text(settings)
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(folder / "storage.conf"))
