"""The follower's process: ``python -m flametest.tracing.main RECORD --summary FILE --folder DIR ...``.

It follows the logs of a namespace, looks a few times a second which requests have failed or were slow, and writes the
lines that carry their ids. It runs until SIGTERM, SIGINT, the death of its parent or its own time limit, waits a moment
for the lines of such a request of the last second, and writes its summary, one JSON object. Whatever it measures beside
is more important, so that it takes the processor only when nobody else wants it.
"""

import argparse
import asyncio
import math
import os
import queue
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from flametest.kube import KubeClient, connect
from flametest.kube.errors import KubeError
from flametest.load.program import add_common_arguments, positive, record
from flametest.load.stopping import Stop
from flametest.model.paths import LogLine
from flametest.tracing.following import Following
from flametest.tracing.handle import READING_SECONDS
from flametest.tracing.keeper import Keeper, RawLine, ids_in
from flametest.tracing.kept import kept_row, looked_for_row
from flametest.tracing.redaction import redacted
from flametest.tracing.wanted import WantedRequests

__all__ = ["main"]

_LOOK_SECONDS = 0.25
_WAITING_BYTES_MAX = 64 * 1024 * 1024
_LINES_MAX = 60  # of one request
_QUEUE_LINES_MAX = 100_000
_NICENESS = 10


@dataclass(frozen=True, slots=True)
class _Options:
    records: Path
    summary: Path
    folder: Path
    kubeconfig: str
    context: str
    namespace: str
    slow_ms: float
    seconds_max: float
    parent: int


class _Follower:
    """The running follower; one for its process."""

    def __init__(self, options: _Options, client: KubeClient, file: TextIO) -> None:
        self._options = options
        self._file = file
        self._lines: queue.Queue[RawLine] = queue.Queue(_QUEUE_LINES_MAX)  # a full one slows its readers down
        self._following = Following(client, options.namespace, self._saw)
        self._wanted = WantedRequests(options.folder, options.slow_ms)
        self._keeper = Keeper(_WAITING_BYTES_MAX, _LINES_MAX)
        self._wall_ahead_ns = time.time_ns() - time.monotonic_ns()
        self._unreachable = 0
        self._wanted_until = -math.inf  # by then the lines of the last wanted request are there

    async def run(self) -> dict[str, int]:
        """Follow until told to stop; return the summary."""
        stop = Stop(self._options.parent)
        try:
            self._following.start()
        except KubeError as error:
            print(f"follower of logs: {error}", file=sys.stderr)
            self._unreachable = 1
        await stop.keep_house(_LOOK_SECONDS, self._options.seconds_max, self._look)
        self._look()
        await asyncio.sleep(max(0.0, self._wanted_until - time.monotonic()))
        self._look()
        return {
            "containers": self._following.followed,
            "lines": self._keeper.seen,
            "kept": self._keeper.kept,
            "lost": self._keeper.lost,
            "forbidden": self._following.forbidden,
            "unfollowed": self._following.unfollowed,
            "unreachable": self._unreachable,
        }

    def _saw(self, line: RawLine) -> None:
        """Take a line in a reader's thread."""
        if any(True for _ in ids_in(line.text)):
            self._lines.put(line)

    def _look(self) -> None:
        """Take in what has come, and write what is wanted."""
        for _ in range(self._lines.qsize()):
            line = self._lines.get_nowait()
            self._write(self._keeper.take(line, ids_in(line.text)))
        for trace_id in self._wanted.read():
            self._wanted_until = time.monotonic() + self._following.pause_seconds + READING_SECONDS
            self._file.write(f"{looked_for_row(trace_id)}\n")
            self._write(self._keeper.want(trace_id))
        self._file.flush()

    def _write(self, kept: Iterable[tuple[str, RawLine]]) -> None:
        for trace_id, line in kept:
            at_ns = line.wall_ns - self._wall_ahead_ns
            row = LogLine(trace_id, line.pod, line.container, at_ns, redacted(line.text))
            self._file.write(f"{kept_row(row)}\n")


def main(arguments: list[str] | None = None) -> int:
    """Follow until told to stop; return the exit code: 0, or 2 when an argument cannot be used."""
    options = _parse(arguments)
    os.nice(_NICENESS)
    return record("follower of logs", lambda: _follow(options), options.summary)


def _follow(options: _Options) -> dict[str, int]:
    with connect(options.kubeconfig, options.context) as client, options.records.open("x", encoding="utf-8") as file:
        return asyncio.run(_Follower(options, client, file).run())


def _parse(arguments: list[str] | None) -> _Options:
    parser = argparse.ArgumentParser(prog="python -m flametest.tracing.main", description=(__doc__ or "").strip())
    parser.add_argument("records", type=Path, help="file of kept lines to write; must not exist")
    parser.add_argument("--folder", type=Path, required=True, help="record folder, whose samples are read")
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--context", required=True)
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--slow-ms", type=positive, required=True, help="what takes longer is wanted as well")
    add_common_arguments(parser)
    return _Options(**vars(parser.parse_args(arguments)))


if __name__ == "__main__":
    sys.exit(main())
