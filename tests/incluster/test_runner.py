"""What the Job's pod runs: a command, and its report for whoever knows the key."""

import io
import json
import signal
import sys
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from flametest.cli.job import documented_code
from flametest.incluster.runner import Runner, serving

WRITES = """
import pathlib, sys
folder = pathlib.Path(sys.argv[1])
(folder / "scenarios").mkdir(parents=True)
(folder / "run.json").write_text("{}")
(folder / "summary.md").write_text("## PASSED")
(folder / "scenarios" / "journal.json").write_text("[]")
sys.exit(1)
"""


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner("secret", tmp_path / "run")


@pytest.fixture
def url(runner: Runner) -> Iterator[str]:
    with serving(runner, "127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}"


def read(url: str, method: str = "GET") -> bytes:
    """Return an answer."""
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=60) as answer:
        content: bytes = answer.read()
    return content


def test_the_report_of_a_run_is_fetched_whole_and_lets_the_pod_end_with_the_runs_code(
    runner: Runner, url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert json.loads(read(f"{url}/secret/state")) == {"code": None}
    assert runner.run([sys.executable, "-c", WRITES, str(runner.folder)]) == 1
    assert "## PASSED" in capfd.readouterr().out
    assert json.loads(read(f"{url}/secret/state")) == {"code": 1}
    with tarfile.open(fileobj=io.BytesIO(read(f"{url}/secret/report.tar.gz"))) as archive:
        assert "./scenarios/journal.json" in archive.getnames()
    waiting = threading.Thread(target=runner.hold, args=(60.0,))
    waiting.start()
    read(f"{url}/secret/done", "POST")
    waiting.join(10)
    assert not waiting.is_alive()


def test_a_run_that_was_killed_has_a_code_that_is_none_of_a_run(runner: Runner) -> None:
    killing = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert runner.run([sys.executable, "-c", killing]) == 137


@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 70, 130, 141])
def test_the_code_of_the_run_inside_is_that_of_the_job(code: int) -> None:
    assert documented_code(code, lambda _: None) == code


@pytest.mark.parametrize("code", [137, 139, 143, 255, 127])
def test_a_run_inside_that_was_killed_may_have_left_a_fault_behind(code: int) -> None:
    told: list[str] = []
    assert documented_code(code, told.append) == 4
    assert str(code) in told[-1]


@pytest.mark.parametrize("path", ["/", "/state", "/wrong/state", "/secret/report.tar.gz", "/secret/../etc"])
def test_nothing_is_told_without_the_key_nor_before_the_end(url: str, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        read(f"{url}{path}")
    with caught.value:
        assert caught.value.code == 404


def test_only_the_key_lets_the_pod_end(runner: Runner, url: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        read(f"{url}/wrong/done", "POST")
    caught.value.close()
    assert not runner.fetched.is_set()


def test_a_termination_interrupts_the_run_and_waits_for_nobody(runner: Runner) -> None:
    before = signal.signal(signal.SIGTERM, runner.interrupt)
    try:
        sleeper = "import os, signal; os.kill(os.getppid(), signal.SIGTERM); signal.pause()"
        assert runner.run([sys.executable, "-c", sleeper]) == 128 + signal.SIGINT
    finally:
        signal.signal(signal.SIGTERM, before)
    runner.folder.mkdir()
    (runner.folder / "run.json").write_text("{}")
    runner.hold(3600)
