"""The follower's end: it waits for the lines of requests that were found bad just now, and for nothing else."""

import asyncio
import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flametest.model.samples import SAMPLE_COLUMNS, Lane, Outcome, Sample
from flametest.tracing import main as subject
from flametest.tracing.handle import READING_SECONDS

GOOD = Sample(Lane.FRESH, "GET", 1, 2, 3, Outcome.OK, 200, "web-1", "", "a" * 32)
BAD = Sample(Lane.FRESH, "GET", 1, 2, 3, Outcome.FAILED, 503, "web-1", "status", "b" * 32)


class _Stop:
    def __init__(self, _: int) -> None:
        pass

    async def keep_house(self, _: float, __: float, look: Callable[[], None]) -> None:
        look()


@pytest.mark.parametrize(("last", "waits"), [(GOOD, False), (BAD, True)], ids=["none was bad", "the last was bad"])
def test_it_waits_for_lines_only_where_a_request_was_just_found_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: Sample, waits: bool
) -> None:
    rows = [",".join(SAMPLE_COLUMNS), ",".join(map(str, GOOD)), ",".join(map(str, last))]
    (tmp_path / "samples-prober.csv").write_text("\n".join([*rows, ""]))
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    following = SimpleNamespace(start=lambda: None, followed=1, forbidden=0, unfollowed=0, pause_seconds=3.0)
    monkeypatch.setattr(subject, "Following", lambda *_: following)
    monkeypatch.setattr(subject, "Stop", _Stop)
    monkeypatch.setattr(asyncio, "sleep", sleep)
    client: Any = None
    options = subject._Options(tmp_path, tmp_path, tmp_path, "", "", "", 500.0, 60.0, 0)
    asyncio.run(subject._Follower(options, client, io.StringIO()).run())
    (seconds,) = slept
    assert (0 < seconds <= 3.0 + READING_SECONDS) if waits else seconds == 0
