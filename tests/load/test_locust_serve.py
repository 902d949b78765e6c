"""Stock Locust with what it loads in a pod, asked for its samples; its clock is another one, in a time namespace."""

import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flametest.kube.errors import ApiUnreachableError
from flametest.load.collector import Collector
from flametest.model.samples import Sample
from tests.addresses import free_port

LOAD = Path(__file__).parents[2] / "src" / "flametest" / "load"
AHEAD_SECONDS = 5_000


class Direct:
    """Asks a process on this machine in the place of an API server that passes requests on to a pod."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}"

    def text(self, path: str, query: dict[str, str]) -> str:
        return self.ask("GET", f"{path}?{urllib.parse.urlencode(query)}")

    def ask(self, method: str, path: str) -> str:
        request = urllib.request.Request(self._base + path, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                raise ApiUnreachableError(f"answered with {error.code}") from error
        except OSError as error:
            raise ApiUnreachableError(str(error)) from error


@pytest.fixture
def api(target: Any, tmp_path: Path, locustfile: Path) -> Iterator[Direct]:
    """Locust, whose monotonic clock is ahead of this process' by more than an hour."""
    apart = ["unshare", "--fork", "--kill-child", "--time", "--monotonic", str(AHEAD_SECONDS)]
    if shutil.which("unshare") is None or subprocess.run([*apart, "true"], capture_output=True, check=False).returncode:
        pytest.skip("a time namespace cannot be made here")
    port = free_port()
    files = ",".join(map(str, (locustfile, LOAD / "locust_export.py", LOAD / "locust_serve.py")))
    environment = {
        "FLAMETEST_LOAD_KEY": "secret",
        "FLAMETEST_LOAD_PORT": str(port),
        "FLAMETEST_LOAD_SAMPLES": str(tmp_path / "samples.csv"),
    }
    command = [*apart, sys.executable, "-m", "locust", "-f", files, "--headless"]
    command += ["--host", target.url, "-u", "4", "-r", "4"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(command, env=os.environ | environment, stdout=log, stderr=log)
    try:
        yield Direct(port)
    finally:
        process.kill()
        process.wait()


def test_samples_of_another_clock_come_whole_and_in_this_processs_time(api: Any, target: Any) -> None:
    kept: list[Sample] = []
    collector = Collector(api, "/secret/samples", "locust-worker-0", kept.extend)
    begin_ns = time.monotonic_ns()
    while not collector.answers():
        assert time.monotonic_ns() - begin_ns < 30e9, "Locust does not answer"
        threading.Event().wait(0.05)
    collector.start()
    threading.Event().wait(2)
    assert api.ask("POST", "/secret/stop") == "{}"
    summary = collector.finish(20)
    end_ns = time.monotonic_ns()
    assert summary.requests == len(kept) == len(target.requests) >= 20
    assert abs(summary.clock.offset_ns + AHEAD_SECONDS * 1_000_000_000) <= summary.clock.uncertainty_ns
    assert 0 < summary.clock.uncertainty_ns < 50_000_000
    assert all(begin_ns - 1e8 < one.sent_ns <= one.done_ns < end_ns + 1e8 for one in kept)


def test_nobody_without_the_key_is_answered(api: Any, target: Any) -> None:
    begin = time.monotonic()
    while True:
        with pytest.raises(ApiUnreachableError) as caught:
            api.ask("POST", "/wrong/stop")
        if "404" in str(caught.value):
            return
        assert time.monotonic() - begin < 30, "Locust does not answer"
        threading.Event().wait(0.05)
