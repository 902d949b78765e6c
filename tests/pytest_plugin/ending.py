"""What sessions of tests may not leave behind, and how they are ended while a fault lasts."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.patience import PATIENCE_SECONDS

__all__ = ["left_behind", "started", "wait_until"]


def left_behind(state: Path) -> list[str]:
    """Return what is in the state folder that should not be there after a session: its sandboxes, and undo records."""
    return sorted(str(path) for folder in ("sandboxes/session-*", "undo/*.json") for path in state.glob(folder))


def started(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    """Start a pytest in a project."""
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    return subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def wait_until(what: str, holds: Callable[[], bool], process: "subprocess.Popen[str] | None" = None) -> None:
    """Wait until something holds; a process that ends before it does is an error."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        assert process is None or process.poll() is None, process.communicate()[0]
        assert time.monotonic() < end, f"waited {PATIENCE_SECONDS:g} s for: {what}"
        time.sleep(0.1)
