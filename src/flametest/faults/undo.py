"""The undo journal: what is needed to take a fault back, on disk before the fault is injected.

One file a fault in ``undo/`` of the state folder, readable by its owner only. It is written whole, synced with its
folder, and removed only after healing has succeeded, so that a fault never outlives the knowledge of how to heal it,
whatever kills this process or this machine.

Two locks, both of the kernel's, so that they end with the process that holds them. The journal's own is held for a look
and a write, never while anything else is waited for. A record's claim is held by the one process that heals it, for as
long as that takes: whoever hangs there hangs alone.
"""

import fcntl
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from flametest.faults.errors import UndoError
from flametest.faults.owner import Owner, ProcessName
from flametest.faults.protocol import State
from flametest.model.events import Target
from flametest.model.homes import state_home

__all__ = ["Place", "UndoJournal", "UndoRecord", "identifier", "state_home"]

_FORMAT = 1  # later fields have defaults, so that older records stay readable
LOCK_SECONDS_MAX = 10.0
POLL_SECONDS = 0.05
_TIME_DIGITS = 20


@dataclass(frozen=True, slots=True)
class Place:
    """The cluster that a fault is in.

    Attributes:
        kubeconfig: file or files, as in KUBECONFIG.
        context: the context that every client is pinned to.
        cluster_uid: uid of the namespace kube-system, by which a cluster is told from its successor; empty where the
            user may not read it.
    """

    kubeconfig: str
    context: str
    cluster_uid: str


@dataclass(frozen=True, slots=True)
class UndoRecord:
    """One injection, and how to take it back.

    Attributes:
        identifier: names the file; unique.
        fault: the fault's name in the catalogue.
        title: what it does, for people.
        targets: what it acts on.
        state: what healing needs.
        place: the cluster.
        owner: whose injection it is.
        lease_until_wall_s: when the guardian heals it though its owner lives, in seconds since the epoch.
        namespaces: the uids of the targets' namespaces, by name; empty in records of older versions.
    """

    identifier: str
    fault: str
    title: str
    targets: tuple[Target, ...]
    state: State
    place: Place
    owner: Owner
    lease_until_wall_s: float
    namespaces: Mapping[str, str] = field(default_factory=dict)

    @property
    def since_wall_s(self) -> float | None:
        """Return when it was written, in seconds since the epoch; None for an identifier of another form."""
        first = self.identifier.partition("-")[0]
        return int(first) / 1e9 if len(first) == _TIME_DIGITS and first.isdecimal() else None

    def lives(self, wall_s: float) -> bool:
        """Return whether its owner still runs and has to heal it itself."""
        return self.owner.lives() and wall_s < self.lease_until_wall_s


class UndoJournal:
    """The records below one state folder."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "undo"

    def write(self, record: UndoRecord) -> None:
        """Write a record and return when it would survive a loss of power.

        Raises:
            UndoError: it could not be written; nothing may be injected then.
        """
        try:
            self._make_folder()
            partial = self.folder / f".{record.identifier}.partial"
            text = json.dumps({"format": _FORMAT} | asdict(record), indent=1)
            try:
                descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
                with open(descriptor, "w", encoding="utf-8") as file:
                    file.write(text)
                    file.flush()
                    os.fsync(descriptor)
                partial.replace(self._file(record))
            finally:
                partial.unlink(missing_ok=True)
            _sync_folder(self.folder)
        except OSError as error:
            raise UndoError(
                f"the undo record of {record.title!r} cannot be written to {self.folder}: {error.strerror}; "
                "nothing was injected",
                "make room there and make it writable, or name another folder by FLAMETEST_HOME",
            ) from error

    def remove(self, record: UndoRecord) -> None:
        """Remove a record whose fault is healed; one that is gone already is no error.

        Raises:
            UndoError: it could not be removed.
        """
        try:
            self._file(record).unlink(missing_ok=True)
            _sync_folder(self.folder)
        except OSError as error:
            raise UndoError(f"undo record {self._file(record)} cannot be removed: {error.strerror}") from error

    def has(self, record: UndoRecord) -> bool:
        """Return whether a record is still there."""
        return self._file(record).exists()

    def records(self) -> tuple[tuple[UndoRecord, ...], tuple[UndoError, ...]]:
        """Return all records, the newest first, and an error for each file that cannot be read.

        What was injected last is healed first. One broken file must not keep the others from being healed.
        """
        records, errors = [], []
        for file in sorted(self.folder.glob("*.json"), reverse=True):
            try:
                record = _read(file)
            except UndoError as error:
                errors.append(error)
            else:
                records += [record] if record is not None else []
        return tuple(records), tuple(errors)

    def version(self) -> int:
        """Return a number that changes when a record is written or removed."""
        try:
            return self.folder.stat().st_mtime_ns
        except OSError:
            return 0

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the journal alone for a look and a write; nothing may be waited for meanwhile.

        Raises:
            UndoError: the lock cannot be opened, or another process does not give it back.
        """
        try:
            self._make_folder()
            descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UndoError(
                f"undo journal {self.folder} cannot be locked: {error.strerror}; nothing was injected",
                "make it writable, or name another folder by FLAMETEST_HOME",
            ) from error
        try:
            if not _locked_within(descriptor, LOCK_SECONDS_MAX):
                raise UndoError(
                    f"undo journal {self.folder} is locked by {_holder(descriptor)}; nothing was injected",
                    "continue that process, or end it",
                )
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def claimed(self, record: UndoRecord, patience_seconds: float = 0.0) -> Iterator[bool]:
        """Claim a record for this caller alone; yields False when it is gone, since somebody else has healed it.

        Raises:
            UndoError: another one heals it, and has not come to an end within ``patience_seconds``.
        """
        end = time.monotonic() + patience_seconds
        descriptor = self._opened(record)
        try:
            while descriptor is not None:
                if not _locked_within(descriptor, max(0.0, end - time.monotonic())):
                    raise UndoError(
                        f"{_holder(descriptor)} is healing it, and has not finished within {patience_seconds:g} s",
                        "wait for that process, or end it",
                    )
                if not self._is_outdated(descriptor, record):
                    break
                os.close(descriptor)
                descriptor = self._opened(record)
            yield descriptor is not None and self.has(record)
        finally:
            if descriptor is not None:
                os.close(descriptor)

    def read(self, record: UndoRecord) -> UndoRecord:
        """Return a record as it is on disk now; as it was given when it is gone or cannot be read."""
        try:
            return _read(self._file(record)) or record
        except UndoError:
            return record

    def _opened(self, record: UndoRecord) -> int | None:
        try:
            return os.open(self._file(record), os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UndoError(f"undo record {self._file(record)} cannot be opened: {error.strerror}") from error

    def _is_outdated(self, descriptor: int, record: UndoRecord) -> bool:
        """Return whether a record was written again since its file was opened."""
        try:
            return os.stat(self._file(record)).st_ino != os.fstat(descriptor).st_ino
        except FileNotFoundError:
            return False

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _file(self, record: UndoRecord) -> Path:
        return self.folder / f"{record.identifier}.json"


def identifier(wall_ns: int, pid: int, fault: str) -> str:
    """Return a name for a record that sorts by time."""
    return f"{wall_ns:0{_TIME_DIGITS}d}-{pid}-{re.sub(r'[^a-z0-9]+', '-', fault)}"


def _read(file: Path) -> UndoRecord | None:
    """Return a record, or None when it was removed meanwhile."""
    try:
        raw = json.loads(file.read_text(encoding="utf-8"))
        if raw["format"] != _FORMAT:
            raise ValueError(f"format {raw['format']!r} is of another version")
        return _record(raw)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UndoError(
            f"undo record {file} cannot be read: {error}", "heal by hand what it describes, then remove the file"
        ) from error


def _record(raw: Mapping[str, Any]) -> UndoRecord:
    owner, runner = raw["owner"]["process"], raw["owner"]["runner"]
    return UndoRecord(
        identifier=str(raw["identifier"]),
        fault=str(raw["fault"]),
        title=str(raw["title"]),
        targets=tuple(Target(**target) for target in raw["targets"]),
        state=dict(raw["state"]),
        place=Place(**raw["place"]),
        owner=Owner(ProcessName(**owner), ProcessName(**runner) if runner else None),
        lease_until_wall_s=float(raw["lease_until_wall_s"]),
        namespaces=dict(raw.get("namespaces") or {}),
    )


def _locked_within(descriptor: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= end:
                return False
        time.sleep(POLL_SECONDS)


def _holder(descriptor: int) -> str:
    """Return which process holds the lock of an open file, as far as the kernel tells; see proc_locks(5)."""
    inode = str(os.fstat(descriptor).st_ino)
    try:
        locks = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    except OSError:
        locks = []
    pids = [one[4] for one in locks if len(one) > 5 and one[1] == "FLOCK" and one[5].endswith(f":{inode}")]
    return f"process {pids[0]}" if pids else "another process"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
