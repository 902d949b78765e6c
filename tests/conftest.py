"""How tests are divided among workers, when they run side by side (``pytest --numprocesses N --dist loadfile``)."""

import os
from pathlib import PurePosixPath
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

pytest_plugins = ["pytester"]

_SHARING = frozenset({"end_to_end", "faults"})
"""Folders whose tests share one deployed system, which takes longer to make than any of them."""

_LONGEST = "faults"
_APART = "test_faults_on_sandbox.py"  # long enough for a worker, and a system, of its own

# What base images the machine has must not decide what a test does: those that build say so.
os.environ["FLAMETEST_BUILD"] = "never"

settings.register_profile("side by side", deadline=None)  # an example waits for other workers, too
settings.load_profile("side by side")


class FolderScheduling(LoadFileScheduling):  # type: ignore[misc] # the base has no types
    """Keeps the tests of a file on one worker, and so those of a folder that shares more."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        folder = PurePosixPath(file).parent
        return str(folder) if folder.name in _SHARING and not file.endswith(_APART) else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FolderScheduling | None:
    """Return how tests are divided, where files are to be kept together."""
    return FolderScheduling(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, so that no worker is left with it when the others are done."""
    items.sort(key=lambda item: (item.get_closest_marker("sandbox") is None, item.path.parent.name != _LONGEST))
