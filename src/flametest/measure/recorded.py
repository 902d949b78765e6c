"""The samples of a whole run, read from its one file in one pass, scenario by scenario.

A run may hold a million samples, so the usual rows (no quotes, every field there) are cut into columns by the
thousand; anything else goes through the reader of CSV, which names the line that is broken.
"""

import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, groupby

from flametest.measure.samples import SampleBuilder, Samples, SamplesError, read_into
from flametest.model.samples import SAMPLE_COLUMNS

__all__ = ["RecordedSamples", "read_scenario_samples"]

_CHUNK_LINES = 50_000
_SCENARIO = "scenario,"  # stands first
_QUOTED = re.compile(r'"(?:[^"]|"")*"')


@dataclass(frozen=True, slots=True)
class RecordedSamples:
    """The samples of several scenarios.

    Attributes:
        by_scenario: those that could be read.
        problems: scenarios whose lines are broken or cut off, and how.
        cut_off: how the file ended in the middle; empty when it is whole.
    """

    by_scenario: Mapping[str, Samples]
    problems: Mapping[str, str]
    cut_off: str

    def of(self, scenario: str) -> Samples:
        """Return the samples of a scenario; none when it has none, or when they cannot be read."""
        return self.by_scenario.get(scenario) or Samples.of(())

    def problem(self, scenario: str) -> str:
        """Return why the samples of a scenario cannot be relied on; empty when they can."""
        if scenario in self.problems:
            return self.problems[scenario]
        return "" if scenario in self.by_scenario else self.cut_off


def read_scenario_samples(lines: Iterable[str], source: str) -> RecordedSamples:
    """Return the samples of a file whose first column is the scenario, before `SAMPLE_COLUMNS`.

    A file that breaks off is read as far as it goes: scenarios whose last line is followed by another scenario's are
    whole, the one in whose lines it breaks off and those that are missing are not.

    Args:
        lines: the lines; reading them may raise EOFError, OSError or zlib.error, as a truncated gzip file does.
        source: the file's name, for messages.
    """
    builders: dict[str, SampleBuilder] = {}
    problems: dict[str, str] = {}
    rows = _Breaking(lines)
    scenario = ""
    for chunk in rows.chunks():
        for written, group in groupby(chunk, key=_scenario_field):
            scenario, found_lines = _unquoted(written, list(group))
            try:
                _add(builders.setdefault(scenario, SampleBuilder()), found_lines, rows.header, f"{source}, {scenario}")
            except SamplesError as error:
                problems.setdefault(scenario, error.message)
    cut_off = f"{source} is cut off: {rows.broken}" if rows.broken else ""
    if cut_off:
        problems[scenario] = cut_off
    found = {name: builder.build() for name, builder in builders.items() if name not in problems}
    return RecordedSamples(found, problems, cut_off)


class _Breaking:
    """Lines that may break off; ``broken`` tells how, once they were read, and ``header`` is the first without the
    scenario.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = iter(lines)
        self.broken = ""
        self.header = ""

    def chunks(self) -> Iterator[list[str]]:
        """Yield the lines after the header in chunks; what came before the break is the last one."""
        chunk: list[str] = []
        try:
            self.header = next(self._lines, "").removeprefix(_SCENARIO)
            for line in self._lines:
                chunk.append(line)
                if len(chunk) == _CHUNK_LINES:
                    yield chunk
                    chunk = []
        except (EOFError, OSError, zlib.error) as error:
            self.broken = str(error)
        yield chunk


def _scenario_field(line: str) -> str:
    """Return a line's first field as it is written: in quotes where the scenario's name has a comma or a quote."""
    quoted = _QUOTED.match(line)
    return quoted.group() if quoted else line[: line.find(",")]


def _unquoted(written: str, lines: list[str]) -> tuple[str, list[str]]:
    """Return a scenario's name, and its lines without quotes around it."""
    if not _QUOTED.fullmatch(written):
        return written, lines
    return written[1:-1].replace('""', '"'), [line[len(written) :] for line in lines]


def _add(builder: SampleBuilder, lines: list[str], header: str, where: str) -> None:
    """Add one scenario's lines.

    Raises:
        SamplesError: one of them is broken.
    """
    text, columns = "".join(lines), header.count(",") + 2  # with the scenario
    fields = text.replace("\n", ",").split(",")
    if '"' not in text and len(fields) == columns * len(lines) + 1:
        try:
            lacking = [[""] * len(lines)] * (len(SAMPLE_COLUMNS) + 1 - columns)
            builder.add_columns([*(fields[column:-1:columns] for column in range(1, columns)), *lacking])
        except (ValueError, KeyError, OverflowError):
            pass  # the slow way says which line it is
        else:
            return
    rows = (line[line.find(",") + 1 :] for line in lines)
    read_into(builder, chain((header,), rows), where)
