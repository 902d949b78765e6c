"""Stock Locust with the project's load test, as a run uses it and as anybody may."""

import ast
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from flametest.load import LoadError, LoadOptions, Locust
from flametest.measure.samples import Samples, read_samples
from tests.patience import PATIENCE_SECONDS

USERS, RATE_PER_USER = 10, 5.0


def options(target: Any, locustfile: Path, **changes: Any) -> LoadOptions:
    """Return a load of fifty requests a second."""
    base: dict[str, Any] = {"users": USERS, "rate_per_user": RATE_PER_USER, "url": target.url}
    return LoadOptions(**(base | {"locustfile": locustfile} | changes))


def recorded(folder: Path) -> Samples:
    """Return what Locust's export wrote."""
    with (folder / "samples-load.csv").open(newline="") as file:
        return read_samples(file)


def achieved_per_second(samples: Samples) -> float:
    """Return the rate between the first second and the last, of what was meant for that time and was sent."""
    # When it was sent depends on how busy this machine is; whether it was, on the load test.
    meant = np.sort(samples.intended_ns)
    low, high = meant[0] + 500_000_000, meant[-1] - 500_000_000
    return float(((meant >= low) & (meant < high)).sum() / ((high - low) / 1e9))


@pytest.fixture
def prepared(target: Any, locustfile: Path, tmp_path: Path) -> Iterator[tuple[Locust, Path]]:
    """A Locust that was prepared, and has imported its load test; and its folder."""
    folder, imported, own = tmp_path / "record", tmp_path / "imported", tmp_path / "telling.py"
    folder.mkdir()
    own.write_text(f"{locustfile.read_text()}\n\nimport pathlib\n\npathlib.Path({str(imported)!r}).touch()\n")
    locust = Locust(options(target, own), folder)
    locust.prepare()
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not imported.exists():
            assert time.monotonic() < deadline, "the load test was not imported"
            time.sleep(0.02)
        yield locust, folder
    finally:
        locust.stop()


def test_one_that_is_prepared_sends_nothing_until_it_is_started(target: Any, prepared: tuple[Locust, Path]) -> None:
    locust, folder = prepared
    assert not target.requests
    with locust:
        locust.wait_until_offered()
    assert len(target.requests) == len(recorded(folder)) > 0


def test_one_that_is_prepared_and_never_started_ends_and_leaves_no_samples(
    target: Any, prepared: tuple[Locust, Path]
) -> None:
    locust, folder = prepared
    locust.stop()
    assert not target.requests
    assert not (folder / "samples-load.csv").exists()


def test_the_offered_rate_is_reached_and_kept_with_every_request_exported(
    target: Any, tmp_path: Path, locustfile: Path
) -> None:
    with Locust(options(target, locustfile), tmp_path) as locust:
        locust.wait_until_offered()
        threading.Event().wait(1.5)
        locust.check()
    samples = recorded(tmp_path)
    assert samples.good.all()
    assert set(samples.names) == {
        "GET /",
        "GET /hits",
        "GET /visits",
        "POST /visits",
        "GET /shop",
        "GET /shop/api/events",
    }
    assert samples.pods == ("target",)
    assert len(target.requests) == len(samples)
    assert achieved_per_second(samples) == pytest.approx(USERS * RATE_PER_USER, rel=0.05)
    # The starts of all users interleave evenly: no bursts.
    gaps_ms = np.diff(np.sort(samples.intended_ns)) / 1e6
    assert gaps_ms.max() <= 2.7 * 1000 / (USERS * RATE_PER_USER)


def test_a_slow_system_is_asked_as_often_as_a_quick_one(target: Any, tmp_path: Path, locustfile: Path) -> None:
    target.mode, target.delay_seconds = "slow", 0.9
    with Locust(options(target, locustfile), tmp_path) as locust:
        locust.wait_until_offered()
        threading.Event().wait(1.0)
    samples = recorded(tmp_path)
    assert achieved_per_second(samples) == pytest.approx(USERS * RATE_PER_USER, rel=0.06)
    # A loop that waits for answers would be late by ever more; a busy machine is now and then.
    assert np.median(samples.sent_ns - samples.intended_ns) < 0.5e9
    assert samples.latency_ms.min() >= 900


def test_requests_to_a_system_that_is_away_are_offered_and_recorded_too(
    target: Any, tmp_path: Path, locustfile: Path
) -> None:
    target.refuse()
    with Locust(options(target, locustfile), tmp_path) as locust:
        locust.wait_until_offered()
    samples = recorded(tmp_path)
    assert samples.bad.all()
    assert samples.errors == ("refused",)


def test_a_load_test_that_cannot_be_read_is_explained(target: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("this is no Python\n")
    with Locust(options(target, broken), tmp_path) as locust, pytest.raises(LoadError, match="SyntaxError"):
        locust.wait_until_offered()


def test_a_load_that_ended_by_itself_is_noticed(target: Any, tmp_path: Path, locustfile: Path) -> None:
    short = options(target, locustfile, seconds_max=1, rate_per_user=0.1)
    with (
        Locust(short, tmp_path) as locust,
        pytest.raises(LoadError, match=r"ended by itself before .*: its run time was over"),
    ):
        locust.wait_until_offered()


def test_a_load_test_that_does_not_reach_its_rate_is_said_to(
    target: Any, tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    lazy = tmp_path / "lazy.py"
    lazy.write_text(
        "from locust import FastHttpUser, constant\n"
        "class Lazy(FastHttpUser):\n"
        "    wait_time = constant(0.4)\n"
        "    tasks = [lambda user: user.client.get('/, and so on')]\n"
    )
    with Locust(options(target, lazy, users=2), tmp_path) as locust:
        wait_until(lambda: len(target.requests) >= 8, 50)
        with pytest.raises(LoadError, match=r"did not offer 10 requests a second within 1 s, but \d"):
            locust.wait_until_offered(timeout_seconds=1)
    samples = recorded(tmp_path)
    assert samples.names == ("GET /, and so on",)
    assert (samples.intended_ns == samples.sent_ns).all()


def test_a_load_test_that_is_missing_is_named(target: Any, tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"nowhere\.py does not exist"):
        Locust(options(target, tmp_path / "nowhere.py"), tmp_path).start()


def test_the_load_test_runs_with_stock_locust_and_knows_nothing_of_flametest(
    target: Any, tmp_path: Path, locustfile: Path, wait_until: Callable[..., None]
) -> None:
    modules = {
        name.name.split(".")[0]
        for node in ast.walk(ast.parse(locustfile.read_text()))
        if isinstance(node, ast.Import)
        for name in node.names
    }
    assert "flametest" not in modules
    command = [sys.executable, "-m", "locust", "-f", str(locustfile), "--headless", "--host", target.url]
    command += ["-u", "2", "-r", "2", "-t", "60s", "--rate-per-user", "10"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FLAMETEST_")}
    begun = time.monotonic()
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as locust:
        wait_until(lambda: len(target.requests) >= 20, 50)
        locust.terminate()
        said, _ = locust.communicate(timeout=PATIENCE_SECONDS)
    assert locust.returncode == 0, said
    assert "Aggregated" in said
    assert len(target.requests) <= 2 * (10 * (time.monotonic() - begun) + 1)
    assert not list(tmp_path.iterdir())
