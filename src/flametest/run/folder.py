"""The folder of one run: what is written while it goes on, and how it is read back.

    run.json            what was asked for: written first, so that a run that crashed can still be analysed
    history.jsonl       every event, append-only
    samples.csv.gz      every request; the first column is the scenario
    limits.toml         the limits at the time of the run
    ledger.toml         the ledger of writes at the time of the run, where one was kept
    selftest.json       what the self-test before the run found
    scenarios/NAME/     journal and logs of one scenario, its load generator's account of itself, its ledger of writes
                        and what was read back of them, log lines of its failed and slow requests; while it runs also
                        its raw history and samples; with several trials a folder each below it, and a folder `alone`
                        for what was repeated alone
    logs/               logs of the pods
    result.json, report.html, junit.xml, summary.md, metrics.prom

A scenario's recorder and load generator are processes of their own and write raw files; `RunFolder.fold` moves
those into the two files of the run when the scenario ends, and again, harmlessly, before an analysis.
"""

import gzip
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from flametest.ledger import LEDGER_FILE, LOOKS_FILE
from flametest.measure.compare import MARGIN_RATIO
from flametest.measure.durability import WriteRecord
from flametest.measure.ledger import LedgerError, read_attempts, read_looks
from flametest.measure.recorded import RecordedSamples, read_scenario_samples
from flametest.model.events import Event, Stamp
from flametest.model.history import History, HistoryError, decode, encode
from flametest.model.paths import KeptLogs
from flametest.model.result import Result
from flametest.model.samples import SAMPLE_COLUMNS
from flametest.model.writes import Audit
from flametest.run.project import ProjectError
from flametest.tracing import KEPT_LINES_FILE, read_kept

__all__ = ["RAW_HISTORY", "RAW_SAMPLES", "RunFolder", "RunInputs", "append_event", "read_result", "stamp"]


Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class RunInputs:
    """What an analysis needs beside history and samples.

    Attributes:
        run_id: names the run and its folder.
        scenarios: names of the scenarios, in their order.
        limits: the overrides of the command line, as it was written.
        versions: component and version, in display order.
        trials: how often each scenario was to be repeated.
        baseline: folder of the run that it is compared with; empty for none.
        margin_ratio: how far it may be worse than the baseline.
    """

    run_id: str
    cluster: str
    cluster_note: str
    namespace: str
    url: str
    suite: str
    seed: int
    command: str
    manifests_digest: str
    scenarios: tuple[str, ...]
    limits: tuple[str, ...]
    versions: tuple[tuple[str, str], ...]
    trials: int = 1
    baseline: str = ""
    margin_ratio: float = MARGIN_RATIO


_INPUTS: TypeAdapter[RunInputs] = TypeAdapter(RunInputs)
_RESULT: TypeAdapter[Result] = TypeAdapter(Result)
_AUDIT: TypeAdapter[Audit] = TypeAdapter(Audit)
_AUDIT_FILE = "audit.json"
RAW_HISTORY, RAW_SAMPLES = "history.jsonl", "samples-*.csv"
"""What is in a scenario's folder while it is recorded, and no longer when it has ended."""

_ROOM = "make room on that disk, or name another folder with --out"
_HEADER = ",".join(SAMPLE_COLUMNS) + "\n"


def read_result(path: Path) -> Result:
    """Read a result.json.

    Raises:
        ProjectError: the file is missing or is no result of this version.
    """
    try:
        return _RESULT.validate_json(path.read_bytes())
    except OSError as error:
        raise ProjectError(f"{path} cannot be read: {error.strerror}", "name the folder of a finished run") from error
    except ValidationError as error:
        problem = error.errors()[0]
        where = ".".join(str(part) for part in problem["loc"])
        raise ProjectError(f"{path} is no result of this version: {where}: {problem['msg']}") from error


class RunFolder:
    """One run's folder, open for appending; several threads may record into it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._appending = threading.Lock()
        self._history = path / "history.jsonl"
        self._samples = path / "samples.csv.gz"

    @staticmethod
    def check(path: Path) -> None:
        """Make sure, as far as can be told without making anything, that `create` will do.

        Raises:
            ProjectError: it exists and holds something, or the folder that it would be in is not to be written to.
        """
        there = next(one for one in (path, *path.parents) if os.path.lexists(one))
        if not there.is_dir():
            raise ProjectError(f"the folder {path} cannot be made: {there} is no folder", "name another with --out")
        if not os.access(there, os.W_OK | os.X_OK):
            raise ProjectError(
                f"the folder {path} cannot be made: {there} cannot be written to", "name another with --out"
            )
        if there == path and any(path.iterdir()):
            raise ProjectError(f"the folder {path} is not empty", "name a new folder with --out")

    @classmethod
    def create(cls, path: Path, inputs: RunInputs) -> "RunFolder":
        """Make a new run's folder.

        Raises:
            ProjectError: it exists and holds something, or cannot be made.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
            if any(path.iterdir()):
                raise ProjectError(f"the folder {path} is not empty", "name a new folder with --out")
            (path / "run.json").write_bytes(_INPUTS.dump_json(inputs, indent=1))
        except OSError as error:
            raise ProjectError(
                f"the folder {path} cannot be made: {error.strerror}", "name another with --out"
            ) from error
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """Return the folder of an earlier run.

        Raises:
            ProjectError: it is none.
        """
        if not (path / "run.json").is_file():
            raise ProjectError(f"{path} is not the folder of a run", "name a folder under reports/")
        return cls(path.resolve())

    def inputs(self) -> RunInputs:
        """Return what the run was asked for."""
        try:
            return _INPUTS.validate_json((self.path / "run.json").read_bytes())
        except ValidationError as error:
            raise ProjectError(f"{self.path / 'run.json'} was not written by this version") from error

    def restrict(self, scenarios: tuple[str, ...]) -> None:
        """Leave only these scenarios in what the run was asked for, to analyse a copy of one that still goes on."""
        inputs = replace(self.inputs(), scenarios=scenarios)
        (self.path / "run.json").write_bytes(_INPUTS.dump_json(inputs, indent=1))

    def scenario(self, name: str) -> Path:
        """Return the folder of a scenario, made if need be."""
        folder = self.path / "scenarios" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def has_scenario(self, name: str) -> bool:
        """Return whether a scenario, or one trial of it, has a folder."""
        return (self.path / "scenarios" / name).is_dir()

    def note(self, event: Event) -> None:
        """Append an event to the history and hand it to the kernel at once."""
        with self._appending:
            append_event(self._history, event)

    def fold(self, name: str) -> None:
        """Move the raw history and samples of a scenario, or of one trial of it, into the files of the run.

        An experiment does not know that it is repeated: its events get the name of the trial here.
        """
        with self._appending:
            self._fold(name, self.scenario(name))

    def _fold(self, name: str, folder: Path) -> None:
        raw = folder / RAW_HISTORY
        if raw.exists():
            with self._history.open("a", encoding="utf-8") as target:
                target.writelines(_renamed(line, name) for line in _whole_lines(raw))
            raw.unlink()
        for samples in sorted(folder.glob(RAW_SAMPLES)):
            fresh = not self._samples.exists()
            with gzip.open(self._samples, "at", newline="", compresslevel=6, encoding="utf-8") as target:
                if fresh:
                    target.write(f"scenario,{_HEADER}")
                target.writelines(f"{_field(name)},{line}" for line in _rows(samples))
            samples.unlink()

    def history(self) -> History:
        """Return the whole history.

        Raises:
            ProjectError: a line cannot be read.
        """
        try:
            with self._history.open(encoding="utf-8") as lines:
                return History.from_lines(lines)
        except FileNotFoundError:
            return History()
        except HistoryError as error:
            raise ProjectError(f"{self._history}: {error}", "the file was changed; restore it") from error

    def samples(self) -> RecordedSamples:
        """Return the samples of all scenarios, as far as they can be read; what cannot is told there."""
        try:
            with gzip.open(self._samples, "rt", newline="", encoding="utf-8", errors="replace") as lines:
                return read_scenario_samples(lines, self._samples.name)
        except FileNotFoundError:
            return RecordedSamples({}, {}, "")

    def write_audit(self, name: str, audit: Audit) -> None:
        """Keep what was read back of a scenario's writes."""
        (self.scenario(name) / _AUDIT_FILE).write_bytes(_AUDIT.dump_json(audit, indent=1) + b"\n")

    def writes(self, name: str) -> WriteRecord:
        """Return a scenario's ledger and what was read back; both are empty when none was kept.

        Raises:
            ProjectError: one of them cannot be read.
        """
        folder = self.scenario(name)
        attempts = _ledger_rows(folder / LEDGER_FILE, read_attempts)
        looks = _ledger_rows(folder / LOOKS_FILE, read_looks)
        try:
            audit = _AUDIT.validate_json((folder / _AUDIT_FILE).read_bytes())
        except FileNotFoundError:
            audit = None
        except ValidationError as error:
            raise ProjectError(f"{folder / _AUDIT_FILE} was not written by this version") from error
        return WriteRecord(attempts, audit, looks)

    def kept_logs(self, name: str) -> KeptLogs:
        """Return the log lines of a scenario's failed and slow requests; none where logs were not followed.

        Raises:
            ProjectError: they cannot be read.
        """
        path = self.scenario(name) / KEPT_LINES_FILE
        try:
            with path.open(encoding="utf-8") as lines:
                return read_kept(lines)
        except FileNotFoundError:
            return KeptLogs()
        except ValueError as error:
            raise ProjectError(f"{path}: {error}", "remove the file, and go without paths") from error

    def write_result(self, result: Result) -> None:
        """Write result.json."""
        (self.path / "result.json").write_bytes(_RESULT.dump_json(result) + b"\n")

    def result(self) -> Result:
        """Return what `write_result` wrote."""
        return read_result(self.path / "result.json")

    def write(self, name: str, text: str) -> Path:
        """Write one of the renderings and return its path."""
        path = self.path / name
        path.write_text(text, encoding="utf-8")
        return path

    def point_latest(self, reports: Path) -> None:
        """Make ``latest`` in ``reports`` point at this run, when the run lies there."""
        if self.path.parent != reports.resolve():
            return
        fresh = reports / f".latest-{os.getpid()}"
        with suppress(FileNotFoundError):
            fresh.unlink()
        fresh.symlink_to(self.path.name)
        fresh.replace(reports / "latest")


def stamp() -> Stamp:
    """Return the present moment on both clocks."""
    return Stamp(time.monotonic_ns(), time.time())


def append_event(path: Path, event: Event) -> None:
    """Append an event to a history file; one write, so that lines of several processes do not mix.

    Raises:
        ProjectError: it cannot be written, such as on a full disk.
    """
    line = f"{encode(event)}\n".encode()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            written = os.write(descriptor, line)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ProjectError(f"{path} cannot be written: {error.strerror}", _ROOM) from error
    if written < len(line):
        raise ProjectError(f"{path} cannot be written: there is no more room", _ROOM)


def _ledger_rows(path: Path, read: Callable[[Iterable[str]], tuple[Row, ...]]) -> tuple[Row, ...]:
    """Return the rows of a ledger's file; none where there is none.

    Raises:
        ProjectError: it cannot be read.
    """
    try:
        with path.open(newline="") as lines:
            return read(lines)
    except FileNotFoundError:
        return ()
    except LedgerError as error:
        raise ProjectError(f"{path}: {error.message}", error.remedy) from error


def _renamed(line: str, name: str) -> str:
    """Return a line of a history with ``name`` as its scenario; one that cannot be read stays, to be told of later."""
    try:
        event = decode(line)
    except HistoryError:
        return line
    return line if event.scenario == name else f"{encode(replace(event, scenario=name))}\n"


def _whole_lines(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8") as lines:
        yield from takewhile(lambda line: line.endswith("\n"), lines)


def _field(name: str) -> str:
    """Return a name as a field of CSV, see RFC 4180."""
    return '"' + name.replace('"', '""') + '"' if any(one in name for one in ',"') else name


def _rows(path: Path) -> Iterator[str]:
    lines = _whole_lines(path)
    next(lines, None)  # the header, which the run's file does not repeat
    yield from lines
