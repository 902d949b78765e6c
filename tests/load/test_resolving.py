"""Lookups of names do not wait for one another, so that an outage of a resolver is as long as it was."""

import asyncio
import json
import random
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flametest.load import resolving
from flametest.load.resolving import LookupLimitError, ResolvingLoop, bound_lookups
from tests.patience import PATIENCE_SECONDS

DRIVER = Path(__file__).with_name("silent_resolver.py")
ISOLATE = (
    "unshare",
    "--user",
    "--map-root-user",
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
)
SILENCES = (0.4, 1.3, 3.0, 6.5)


@pytest.mark.measured
def test_a_silent_resolver_is_an_outage_whose_bracket_holds_the_truth(tmp_path: Path) -> None:
    seed = random.randrange(2**31)  # of the phases of the silences: a bracket holds the truth in whichever it is
    done = subprocess.run(
        [*ISOLATE, sys.executable, str(DRIVER), str(tmp_path), str(seed), *map(str, SILENCES)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["truth"] for one in told] == list(SILENCES)
    for one in told:
        low, high = one["bracket"]
        assert low <= one["truth"] <= high, f"{told}, seed {seed}"
        assert high - low < 0.9, "a bracket that holds everything says nothing"


class SilentResolver:
    """Stands in for the C library: lookups wait until `answers` is set, each counted when it begins."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.begun = threading.Semaphore(0)

    def getaddrinfo(self, host: str, *_: Any) -> list[Any]:
        """Look a name up."""
        self.begun.release()
        if host == "silent.test":
            self.answers.wait(30)
        if host == "unknown.test":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 80))]


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[SilentResolver]:
    resolver = SilentResolver()
    monkeypatch.setattr(socket, "getaddrinfo", resolver.getaddrinfo)
    yield resolver
    resolver.answers.set()


def in_loop(main: Any, lookups_max: int = resolving.LOOKUPS_MAX) -> Any:
    with asyncio.Runner(loop_factory=lambda: ResolvingLoop(lookups_max)) as runner:
        return runner.run(main())


async def abandoned(count: int, silent: SilentResolver) -> None:
    """Begin lookups that are given up while they wait."""
    loop = asyncio.get_running_loop()
    tasks = [asyncio.ensure_future(loop.getaddrinfo("silent.test", 80)) for _ in range(count)]
    for _ in range(count):
        while not silent.begun.acquire(blocking=False):
            await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_lookups_that_hang_do_not_keep_others_waiting(silent: SilentResolver) -> None:
    async def main() -> Any:
        await abandoned(100, silent)
        return await asyncio.wait_for(asyncio.get_running_loop().getaddrinfo("good.test", 80), 30)

    assert in_loop(main)[0][4] == ("127.0.0.1", 80)


def test_more_lookups_than_are_bounded_are_refused_and_one_that_ends_makes_room(silent: SilentResolver) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        await abandoned(2, silent)
        with pytest.raises(LookupLimitError):
            await loop.getaddrinfo("good.test", 80)
        silent.answers.set()
        while True:
            try:
                await loop.getaddrinfo("good.test", 80)
            except LookupLimitError:
                await asyncio.sleep(0)
            else:
                return

    in_loop(main, lookups_max=2)


def test_a_name_that_does_not_exist_is_the_errors_own(silent: SilentResolver) -> None:
    async def main() -> None:
        with pytest.raises(socket.gaierror):
            await asyncio.get_running_loop().getaddrinfo("unknown.test", 80)

    in_loop(main)


def test_no_thread_to_be_had_is_no_answer_of_the_system(
    silent: SilentResolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def main() -> None:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        for _ in range(3):  # and no room is lost by it
            with pytest.raises(LookupLimitError, match="new thread"):
                await asyncio.get_running_loop().getaddrinfo("good.test", 80)
        monkeypatch.undo()

    in_loop(main, lookups_max=1)


@pytest.mark.parametrize(
    ("before", "after"), [(None, "timeout:2 attempts:1"), ("rotate timeout:9", "rotate timeout:9 timeout:2 attempts:1")]
)
def test_a_server_is_given_up_with_the_request_that_asks_it(before: str | None, after: str) -> None:
    environment = {} if before is None else {"RES_OPTIONS": before}
    bound_lookups(1.2, environment)
    assert environment == {"RES_OPTIONS": after}
