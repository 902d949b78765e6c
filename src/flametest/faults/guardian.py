"""The guardian: a process that heals when nobody else can any more.

It is started before the first fault of an experiment, in a session of its own, so that neither a closed terminal nor a
signal to the experiment's process group reaches it. It heals what its owner has injected when the owner has died, when
the run that waits for the owner has died, or when the lease of a fault is over. It ends when it is told to, when its
owner is gone and nothing is left to heal, or after `LIFE_SECONDS_MAX`. What it does stands in ``guardian.log``.

    python -m flametest.faults.guardian HOME OWNER RUNNER
"""

import logging
import os
import select
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from flametest.faults.errors import GuardianError
from flametest.faults.owner import Owner, ProcessName
from flametest.faults.undo import UndoJournal, UndoRecord

__all__ = ["Guardian", "due", "guard"]

READY = b"ready\n"
START_SECONDS_MAX = 15.0
STOP_SECONDS_MAX = 5.0
LIFE_SECONDS_MAX = 6 * 3600.0
RETRY_SECONDS_MAX = 600.0  # for how long healing is tried again after the owner has died
LOOK_SECONDS = 1.0
PAUSE_SECONDS_MAX = 8.0  # between tries of what could not be healed, so that others get to heal it
ABANDONED_SECONDS = 10.0  # an experiment whose run has died ends by itself and heals; this is its time for that

logger = logging.getLogger("flametest.guardian")


class Guardian:
    """The owner's side: starts the guardian once, and ends it when nothing is left to heal."""

    def __init__(self, home: Path, owner: Owner) -> None:
        self._home = home
        self._owner = owner
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it unless it runs; returns when it watches.

        Raises:
            GuardianError: it did not start.
        """
        if self._process is not None and self._process.poll() is None:
            return
        try:
            self._process = self._spawn()
        except OSError as error:
            raise GuardianError(f"the guardian cannot be started: {error}; nothing was injected") from error
        assert self._process.stdout is not None
        readable, _, _ = select.select([self._process.stdout], [], [], START_SECONDS_MAX)
        if not readable or self._process.stdout.readline() != READY:
            self.stop()
            raise GuardianError(
                f"the guardian did not start within {START_SECONDS_MAX:g} s; nothing was injected",
                f"see {self._home / 'guardian.log'}",
            )

    def stop(self) -> None:
        """End it; nothing may be left to heal."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()

    def _spawn(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "flametest.faults.guardian", str(self._home), str(self._owner.process)]
        command.append(str(self._owner.runner) if self._owner.runner else "")
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self._home / "guardian.log").open("ab") as log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, cwd="/", start_new_session=True
            )


def due(record: UndoRecord, *, owner_lives: bool, wall_s: float) -> bool:
    """Return whether the guardian has to heal a record now."""
    return not owner_lives or wall_s >= record.lease_until_wall_s


def guard(journal: UndoJournal, owner: Owner) -> None:
    """Watch until nothing is left to do; see the module's head."""
    begin = time.monotonic()
    died: float | None = None
    abandoned: float | None = None
    told: set[str] = set()
    pause_seconds = LOOK_SECONDS
    while time.monotonic() - begin < LIFE_SECONDS_MAX:
        now = time.monotonic()
        abandoned = (abandoned or now) if owner.abandoned() else None
        lives = owner.process.lives() and (abandoned is None or now - abandoned < ABANDONED_SECONDS)
        own = [one for one in journal.records()[0] if one.owner.process == owner.process]
        ripe = [one for one in own if due(one, owner_lives=lives, wall_s=time.time())]
        _heal(ripe, journal, told)
        died = None if lives else (died or now)
        left = [one for one in own if journal.has(one)]
        if died is not None and (not left or now - died > RETRY_SECONDS_MAX):
            return
        failed = any(one in left for one in ripe)
        pause_seconds = min(2 * pause_seconds, PAUSE_SECONDS_MAX) if failed else LOOK_SECONDS
        _wait(owner.process.pid if lives else None, pause_seconds)


def _heal(records: list[UndoRecord], journal: UndoJournal, told: set[str]) -> None:
    """Heal records, and log what became of each, a failure once only."""
    if not records:
        return
    from flametest.faults.healing import Bounds, heal_all  # noqa: PLC0415 (the official client, seldom needed)

    for healing in heal_all(journal, records, bounds=Bounds()):
        line = f"{'healed' if healing.healed else 'NOT healed'}: {healing.title}: {healing.evidence}"
        if line not in told:
            logger.warning(line)
            told.add(line)


def _wait(pid: int | None, seconds: float) -> None:
    """Wait for the next look, or until a process ends."""
    descriptor = None
    with suppress(OSError):
        descriptor = os.pidfd_open(pid) if pid is not None else None
    if descriptor is None:
        time.sleep(seconds)
        return
    try:
        select.select([descriptor], [], [], seconds)
    finally:
        os.close(descriptor)


def _main(home: str, owner: str, runner: str) -> None:
    process = ProcessName.parse(owner)
    assert process is not None
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s guardian of {process.pid}: %(message)s")
    os.write(1, READY)
    # From here on the pipe is nobody's: its reader may be gone long before this process.
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 1)
    guard(UndoJournal(Path(home)), Owner(process, ProcessName.parse(runner)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
