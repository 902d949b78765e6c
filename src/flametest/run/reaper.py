"""The reaper: ends sandboxes whose owner has died without doing so, as by SIGKILL.

A sandbox lives on its own, and one that belongs to a test session, or to a run that has several, is of no use to
anybody afterwards. The reaper is a process of a session of its own. It gives the guardian time to heal first, so that
no undo record is left without its cluster, and ends with its sandboxes.

    python -m flametest.run.reaper OWNER SANDBOX ...
"""

import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from flametest.clusters import ClusterOptions, provide
from flametest.faults.owner import ProcessName
from flametest.faults.undo import UndoJournal
from flametest.model.homes import state_home

__all__ = ["Reaper"]

LOOK_SECONDS = 5.0
HEALING_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 5.0
POLL_SECONDS = 0.2


class Reaper:
    """The owner's side: starts it beside its sandboxes, and ends it with them."""

    def __init__(self, sandboxes: Sequence[str], owner: ProcessName) -> None:
        command = [sys.executable, "-m", "flametest.run.reaper", str(owner), *sandboxes]
        nowhere = subprocess.DEVNULL
        self._process = subprocess.Popen(
            command,
            stdin=nowhere,
            stdout=nowhere,
            stderr=nowhere,
            cwd="/",
            env={**os.environ, "FLAMETEST_HOME": str(state_home(os.environ))},  # which may be relative
            start_new_session=True,
        )

    def stop(self) -> None:
        """End it; nobody is left to look after the sandboxes."""
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def leave(self) -> None:
        """Leave it to itself: it ends soon after the owner, who is another process."""
        self._process.returncode = 0  # without this the interpreter warns of a forgotten child


def _reap(sandboxes: Sequence[str], owner: ProcessName) -> None:
    state = state_home(os.environ)
    clusters = [provide("sandbox", ClusterOptions(sandbox=name, state=state)) for name in sandboxes]
    while owner.lives():
        _wait(owner.pid)
    found = [access for cluster in clusters if (access := cluster.find()) is not None]
    end = time.monotonic() + HEALING_SECONDS_MAX
    while time.monotonic() < end and any(_is_being_healed(access.kubeconfig) for access in found):
        time.sleep(POLL_SECONDS)
    for cluster in clusters:
        cluster.down()


def _is_being_healed(kubeconfig: Path) -> bool:
    records, _ = UndoJournal(state_home(os.environ)).records()
    return any(one.place.kubeconfig == str(kubeconfig) for one in records)


def _wait(pid: int) -> None:
    """Wait until a process ends, or for the next look."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        time.sleep(POLL_SECONDS)
        return
    try:
        select.select([descriptor], [], [], LOOK_SECONDS)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    _owner = ProcessName.parse(sys.argv[1])
    assert _owner is not None
    with suppress(KeyboardInterrupt):
        _reap(sys.argv[2:], _owner)
