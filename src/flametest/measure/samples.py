"""Samples as columns: every request of a scenario in a few numpy arrays, so that a million of them stay cheap.

`read_samples` reads the CSV lines that the prober and Locust append while they run, whole or cut off by a crash.
Columns are sorted by the time of sending and cannot be changed; a selection is a new `Samples`.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flametest.model.errors import FlametestError
from flametest.model.samples import COLUMNS_WITHOUT_IDS, SAMPLE_COLUMNS, Lane, Outcome, Sample

__all__ = ["SampleBuilder", "Samples", "SamplesError", "read_into", "read_samples"]

_CHUNK_ROWS = 50_000
_LANES = tuple(Lane)
_OUTCOMES = tuple(Outcome)
_LANE_CODES: dict[str, int] = {lane.value: code for code, lane in enumerate(_LANES)}
_OUTCOME_CODES: dict[str, int] = {outcome.value: code for code, outcome in enumerate(_OUTCOMES)}
_TRACE_ID = np.dtype("S32")
_GOOD = _OUTCOME_CODES[Outcome.OK]

Mask = NDArray[np.bool_]


class SamplesError(FlametestError):
    """A file of samples that cannot be read; the message names the source and the line."""


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """Requests, one an entry of each column, sorted by the time of sending.

    Attributes:
        lane_code: index into `Lane`, in the order of its definition.
        name_code: index into ``names``.
        intended_ns: when the schedule wanted the request sent (monotonic).
        sent_ns: when it was sent in fact.
        done_ns: when its outcome was known.
        outcome_code: index into `Outcome`, in the order of its definition.
        status: HTTP status; 0 without an answer.
        served_by_code: index into ``pods``.
        error_code: index into ``errors``.
        trace_id: the ids that requests carried, as ASCII; empty for none.
        names: the distinct request names.
        pods: the distinct pods that answered; may hold the empty name for requests without an answer.
        errors: the distinct classes of error; may hold the empty one.
    """

    lane_code: NDArray[np.uint8]
    name_code: NDArray[np.int32]
    intended_ns: NDArray[np.int64]
    sent_ns: NDArray[np.int64]
    done_ns: NDArray[np.int64]
    outcome_code: NDArray[np.uint8]
    status: NDArray[np.int16]
    served_by_code: NDArray[np.int32]
    error_code: NDArray[np.int32]
    trace_id: NDArray[np.bytes_]
    names: tuple[str, ...]
    pods: tuple[str, ...]
    errors: tuple[str, ...]

    def __post_init__(self) -> None:
        """Make the columns read-only."""
        for _, column in self._columns():
            column.flags.writeable = False

    def __len__(self) -> int:
        return len(self.sent_ns)

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> "Samples":
        """Return ``samples`` as columns."""
        builder = SampleBuilder()
        builder.add([tuple(str(value) for value in sample) for sample in samples])
        return builder.build()

    @property
    def good(self) -> Mask:
        """Return which requests were answered well."""
        return np.equal(self.outcome_code, _GOOD)

    @property
    def bad(self) -> Mask:
        """Return which requests were not: failed or unknown."""
        return np.not_equal(self.outcome_code, _GOOD)

    @property
    def latency_ms(self) -> NDArray[np.float64]:
        """Return milliseconds from the intended start to the outcome, which leaves no wait out."""
        return (self.done_ns - self.intended_ns) / 1e6

    @property
    def send_lag_seconds_max(self) -> float:
        """Return the worst distance between intended and sent, in seconds; 0 without a sample."""
        return max(0.0, float((self.sent_ns - self.intended_ns).max()) / 1e9) if len(self) else 0.0

    def where(self, mask: Mask | slice) -> "Samples":
        """Return the samples that ``mask`` (one truth value a sample, or a slice) selects."""
        columns: dict[str, Any] = {name: column[mask] for name, column in self._columns()}
        return replace(self, **columns)

    def lane(self, lane: Lane) -> "Samples":
        """Return the samples of one lane."""
        return self.where(self.lane_code == _LANE_CODES[lane])

    def outcome(self, outcome: Outcome) -> "Samples":
        """Return the samples with one outcome."""
        return self.where(self.outcome_code == _OUTCOME_CODES[outcome])

    def sent_between(self, start_ns: int, end_ns: int) -> "Samples":
        """Return the samples sent in [start, end)."""
        first, last = np.searchsorted(self.sent_ns, [start_ns, end_ns], side="left")
        return self.where(slice(int(first), max(int(first), int(last))))

    def row(self, index: int) -> Sample:
        """Return one sample as the record it was read from."""
        return Sample(
            lane=_LANES[self.lane_code[index]],
            name=self.names[self.name_code[index]],
            intended_ns=int(self.intended_ns[index]),
            sent_ns=int(self.sent_ns[index]),
            done_ns=int(self.done_ns[index]),
            outcome=_OUTCOMES[self.outcome_code[index]],
            status=int(self.status[index]),
            served_by=self.pods[self.served_by_code[index]],
            error=self.errors[self.error_code[index]],
            trace_id=self.trace_id[index].decode(),
        )

    def _columns(self) -> Iterator[tuple[str, NDArray[Any]]]:
        return ((field.name, getattr(self, field.name)) for field in fields(self)[: len(SAMPLE_COLUMNS)])


def read_samples(*sources: Iterable[str]) -> Samples:
    """Return the samples of all ``sources``, each the lines of one CSV file with `SAMPLE_COLUMNS` as its header.

    A last line that was cut off in the middle (the writer was killed) is left out. An empty source has no samples.

    Raises:
        SamplesError: the header differs, or another line is broken; the message has the source's and line's number.
    """
    builder = SampleBuilder()
    for number, source in enumerate(sources, start=1):
        read_into(builder, source, f"samples, source {number}")
    return builder.build()


class _Vocabulary(dict[str, int]):
    """Codes of strings, given in the order in which they are met."""

    def __missing__(self, word: str) -> int:
        self[word] = code = len(self)
        return code


def _ascii(text: str) -> bytes:
    """Return an id as it is kept.

    Raises:
        ValueError: it is none.
    """
    if len(text) not in (0, _TRACE_ID.itemsize):
        raise ValueError(f"expected an id of {_TRACE_ID.itemsize} characters, found {text[:40]!r}")
    return text.encode("ascii")


class SampleBuilder:
    """Collects chunks of text rows as columns; more may be added after a `build`."""

    def __init__(self) -> None:
        self._names, self._pods, self._errors = _Vocabulary(), _Vocabulary(), _Vocabulary()
        self._chunks: list[tuple[NDArray[Any], ...]] = []
        self._columns: tuple[tuple[Callable[[str], Any], Any], ...] = (
            (_LANE_CODES.__getitem__, np.uint8),
            (self._names.__getitem__, np.int32),
            (int, np.int64),
            (int, np.int64),
            (int, np.int64),
            (_OUTCOME_CODES.__getitem__, np.uint8),
            (int, np.int16),
            (self._pods.__getitem__, np.int32),
            (self._errors.__getitem__, np.int32),
            (_ascii, _TRACE_ID),
        )

    def add(self, rows: Sequence[Sequence[str]]) -> None:
        """Add text rows, each with the fields of `SAMPLE_COLUMNS`; ValueError or KeyError when one is broken."""
        if rows:
            self.add_columns(list(zip(*rows, strict=True)))

    def add_columns(self, texts: Sequence[Sequence[str]]) -> None:
        """Add rows given as the columns of `SAMPLE_COLUMNS`; raises as `add` does."""
        chunk = tuple(
            np.fromiter(map(parse, text), dtype, count=len(text))
            for text, (parse, dtype) in zip(texts, self._columns, strict=True)
        )
        self._chunks.append(chunk)

    def build(self) -> Samples:
        """Return everything that was added, sorted by the time of sending."""
        empty = tuple(np.empty(0, dtype) for _, dtype in self._columns)
        columns = [np.concatenate(parts) for parts in zip(empty, *self._chunks, strict=True)]
        self._chunks = [tuple(columns)] if len(columns[0]) else []  # one chunk, so that the next build joins few
        order = np.argsort(columns[SAMPLE_COLUMNS.index("sent_ns")], kind="stable")
        lane, name, intended, sent, done, outcome, status, served_by, error, ids = (one[order] for one in columns)
        return Samples(
            lane_code=lane,
            name_code=name,
            intended_ns=intended,
            sent_ns=sent,
            done_ns=done,
            outcome_code=outcome,
            status=status,
            served_by_code=served_by,
            error_code=error,
            trace_id=ids,
            names=tuple(self._names),
            pods=tuple(self._pods),
            errors=tuple(self._errors),
        )


def read_into(builder: SampleBuilder, source: Iterable[str], where: str) -> None:
    """Add the samples of one source, the lines of a CSV file with its header, to ``builder``; see `read_samples`."""
    lines = _WholeLines(source)
    reader = csv.reader(lines)
    header = next(reader, None)
    if header is None:
        return
    if tuple(header) not in (SAMPLE_COLUMNS, COLUMNS_WITHOUT_IDS):
        is_cut_off = ",".join(SAMPLE_COLUMNS).startswith(",".join(header)) and lines.bare
        if is_cut_off and next(reader, None) is None:
            return
        raise SamplesError(
            f"{where}: expected the header {','.join(SAMPLE_COLUMNS)}, found {','.join(header)[:120]!r}",
            "name a file that the prober or the load runner wrote",
        )
    lacking = SAMPLE_COLUMNS[len(header) :]
    before = reader.line_num
    while rows := [row + [""] * len(lacking) for row in islice(reader, _CHUNK_ROWS)]:
        try:
            builder.add(rows)
        except (ValueError, KeyError, OverflowError):
            _add_singly(builder, rows, lines, f"{where}, line", before)
        before = reader.line_num


def _add_singly(builder: SampleBuilder, rows: list[list[str]], lines: "_WholeLines", where: str, before: int) -> None:
    """Add rows one by one, to name the broken one or to leave out a cut-off end that no line end gave away."""
    for offset, row in enumerate(rows):
        try:
            builder.add([row])
        except (ValueError, KeyError, OverflowError) as error:
            if lines.exhausted and lines.bare and offset == len(rows) - 1:
                return
            raise SamplesError(
                f"{where} {before + offset + 1}: expected the {len(SAMPLE_COLUMNS)} fields {','.join(SAMPLE_COLUMNS)}, "
                f"found {','.join(row)[:120]!r}",
                "delete that line, or record again",
            ) from error


class _WholeLines:
    """Lines of one source without a last one that lacks the line end which those before it have.

    Attributes:
        exhausted: the source has no more lines.
        bare: its lines came without line ends, so that a cut-off last line shows by its content only.
    """

    def __init__(self, source: Iterable[str]) -> None:
        self._source = iter(source)
        self.exhausted = False
        self.bare = False

    def __iter__(self) -> Iterator[str]:
        previous = next(self._source, None)
        if previous is None:
            self.exhausted = True
            return
        self.bare = not previous.endswith("\n")
        for line in self._source:
            yield previous
            previous = line
        self.exhausted = True
        if self.bare or previous.endswith("\n"):
            yield previous
