"""A store of images for each test, and the programs that it needs."""

import os
import shutil
from pathlib import Path

import pytest

from flametest.sandbox.images import ImageStore
from tests.images.building import base_layer


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    """Return an empty store, below a folder whose name programs that copy and build images could misread."""
    missing = [name for name in ("skopeo", "umoci") if shutil.which(name) is None]
    assert not missing, f"install {missing}: `nox -s tests` does"
    return ImageStore(tmp_path / "Ann's: stores,_ü__" / "images")


@pytest.fixture(scope="session")
def base() -> bytes:
    """Return a layer with a shell and tools."""
    return base_layer()


@pytest.fixture
def one_user() -> bool:
    """Return whether files can belong to this user only."""
    return os.geteuid() != 0
