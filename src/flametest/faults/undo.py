"""The undo journal: what is needed to take a fault back, on disk before the fault is injected.

One file a fault in ``undo/`` of the state folder, readable by its owner only. It is written whole, synced with its
folder, and removed only after healing has succeeded, so that a fault never outlives the knowledge of how to heal it,
whatever kills this process or this machine.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from flametest.faults.errors import UndoError
from flametest.faults.owner import Owner, ProcessName
from flametest.faults.protocol import State
from flametest.model.events import Target
from flametest.model.homes import state_home

__all__ = ["Place", "UndoJournal", "UndoRecord", "identifier", "state_home"]

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Place:
    """The cluster that a fault is in.

    Attributes:
        kubeconfig: file or files, as in KUBECONFIG.
        context: the context that every client is pinned to.
        cluster_uid: uid of the namespace kube-system, by which a cluster is told from its successor.
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
    """

    identifier: str
    fault: str
    title: str
    targets: tuple[Target, ...]
    state: State
    place: Place
    owner: Owner
    lease_until_wall_s: float


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

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the journal alone, so that guardian and command do not heal the same fault at the same time.

        Raises:
            UndoError: the lock cannot be opened.
        """
        try:
            self._make_folder()
            descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UndoError(
                f"undo journal {self.folder} cannot be locked: {error.strerror}", "make it writable"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _make_folder(self) -> None:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _file(self, record: UndoRecord) -> Path:
        return self.folder / f"{record.identifier}.json"


def identifier(wall_ns: int, pid: int, fault: str) -> str:
    """Return a name for a record that sorts by time."""
    return f"{wall_ns:020d}-{pid}-{re.sub(r'[^a-z0-9]+', '-', fault)}"


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
            f"undo record {file} cannot be read: {error}", "heal by hand what it tells of, then remove the file"
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
    )


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
