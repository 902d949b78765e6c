"""Log files of containers."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from flametest.sandbox.agent.logs import LINE_BYTES_MAX, LogFile, parse_line
from flametest.sandbox.podaccess import LogOptions

NOW = 1_767_225_600.0


def clock() -> float:
    return NOW


def on_disk(path: str) -> bytes:
    return Path(path).read_bytes()


async def read(log: LogFile, options: LogOptions | None = None) -> bytes:
    return b"".join([piece async for piece in log.read(options or LogOptions())])


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "0.log")


@given(data=st.lists(st.binary(max_size=50), max_size=10))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_what_was_written_is_read_back(data: list[bytes], tmp_path_factory: pytest.TempPathFactory) -> None:
    log = LogFile(str(tmp_path_factory.mktemp("log") / "0.log"), clock)
    for piece in data:
        log.write(1, piece)
    log.close()
    text = b"".join(data)
    ended = text if text.endswith(b"\n") or not text else text + b"\n"
    assert asyncio.run(read(log)) == ended


async def test_lines_on_disk_bear_time_stream_and_whether_they_are_whole(path: str) -> None:
    log = LogFile(path, clock)
    log.write(1, b"out\nmo")
    log.write(2, b"err\n")
    log.write(1, b"re\n")
    log.close()
    stamp = "2026-01-01T00:00:00.000000000Z"
    assert on_disk(path).decode() == f"{stamp} stdout F out\n{stamp} stderr F err\n{stamp} stdout F more\n"


async def test_a_long_line_is_kept_in_pieces_and_read_as_one(path: str) -> None:
    log = LogFile(path, clock)
    line = b"x" * (LINE_BYTES_MAX * 2 + 5) + b"\n"
    log.write(1, line)
    log.close()
    kinds = [parsed.text.endswith(b"\n") for raw in on_disk(path).splitlines() if (parsed := parse_line(raw))]
    assert kinds == [False, False, True]
    assert await read(log) == line


async def test_the_tail_the_limit_and_the_times_are_as_asked(path: str) -> None:
    log = LogFile(path, clock)
    log.write(1, b"1\n2\n3\n")
    log.close()
    assert await read(log, LogOptions(tail_lines=2)) == b"2\n3\n"
    assert await read(log, LogOptions(tail_lines=0)) == b""
    assert await read(log, LogOptions(limit_bytes=3)) == b"1\n2"
    assert await read(log, LogOptions(timestamps=True, tail_lines=1)) == b"2026-01-01T00:00:00.000000000Z 3\n"
    assert await read(log, LogOptions(since_seconds=1)) == b""
    assert await read(log, LogOptions(since_time=int(NOW))) == b"1\n2\n3\n"
    assert await read(log, LogOptions(since_time=int(NOW) + 1)) == b""


@given(
    lines=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3 * LINE_BYTES_MAX)), max_size=30),
    since=st.integers(-1, 60),
    bytes_max=st.sampled_from((60_000, 10_000_000)),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_a_time_leaves_out_just_what_is_older(
    lines: list[tuple[int, int]], since: int, bytes_max: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    now = NOW
    log = LogFile(str(tmp_path_factory.mktemp("log") / "0.log"), lambda: now, bytes_max)
    for later, length in lines:
        now += later
        log.write(1, b"x" * length + b"\n")
    log.close()
    wanted = datetime.fromtimestamp(NOW + since, UTC).strftime("%Y-%m-%dT%H:%M:%S").encode()
    everything = asyncio.run(read(log, LogOptions(timestamps=True))).splitlines(keepends=True)
    found = asyncio.run(read(log, LogOptions(timestamps=True, since_time=int(NOW) + since)))
    assert found == b"".join(line for line in everything if line >= wanted)


async def test_a_follower_sees_what_comes_and_ends_with_the_container(path: str) -> None:
    log = LogFile(path, clock)
    log.write(1, b"before\n")
    seen: list[bytes] = []
    first = asyncio.Event()

    async def follow() -> None:
        async for piece in log.read(LogOptions(follow=True)):
            seen.append(piece)
            first.set()

    task = asyncio.create_task(follow())
    await first.wait()
    log.write(1, b"after\n")
    log.write(1, b"last words")
    log.close()
    await task
    assert b"".join(seen) == b"before\nafter\nlast words\n"


async def test_a_full_log_makes_room_and_keeps_the_newest(path: str) -> None:
    log = LogFile(path, clock, bytes_max=1000)
    for number in range(100):
        log.write(1, f"line {number:03}\n".encode())
    log.close()
    text = (await read(log)).decode().splitlines()
    assert text[-1] == "line 099"
    assert 20 < len(text) < 50
    assert sum(file.stat().st_size for file in Path(path).parent.iterdir()) <= 2000


async def test_a_follower_is_not_lost_when_the_log_makes_room(path: str) -> None:
    log = LogFile(path, clock, bytes_max=500)
    seen = bytearray()

    async def follow() -> None:
        async for piece in log.read(LogOptions(follow=True)):
            seen.extend(piece)

    task = asyncio.create_task(follow())
    for number in range(60):
        log.write(1, f"{number}\n".encode())
        # The follower keeps up: it gets a turn after every line.
        for _ in range(6):
            await asyncio.sleep(0)
    log.close()
    await task
    assert seen.decode().split() == [str(number) for number in range(60)]
