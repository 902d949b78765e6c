"""However a session of tests ends while a fault lasts: it is healed, and nothing is left running."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from tests.addresses import own_address
from tests.patience import OUTLASTING_SECONDS, PATIENCE_SECONDS
from tests.pytest_plugin.ending import left_behind, started, wait_until

pytestmark = [pytest.mark.sandbox, pytest.mark.exhaustive]

LASTING = """
    import pathlib, signal, time
    from flametest.pytest_plugin import remove_service

    def alarm(*_):
        raise TimeoutError("the test takes too long")

    def test_it(system):
        signal.signal(signal.SIGALRM, alarm)
        with system.fault(remove_service("web"), baseline_seconds=0.5) as felt:
            pathlib.Path("gone").write_text(system.url)
            time.sleep(OUTLASTING)
""".replace("OUTLASTING", str(OUTLASTING_SECONDS))
SERVED = """
    import pathlib, urllib.request

    def test_one(system):
        assert urllib.request.urlopen(system.url, timeout=10).status == 200
        pathlib.Path("one").write_text(system.url)

    def test_two(system):
        assert urllib.request.urlopen(system.url, timeout=10).status == 200
        pathlib.Path("two").write_text(system.url)
"""


@pytest.fixture
def standing(web: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Have the web server deployed by ``flametest up``, to be tested as it is; return its entry."""
    address = own_address("pytest plugin")
    monkeypatch.setenv("FLAMETEST_NODE_PORT_ADDRESS", address)
    flametest = [sys.executable, "-m", "flametest.cli"]
    web.makeini("[pytest]\nflametest_deploy = false\nasyncio_default_fixture_loop_scope = function\n")
    subprocess.run(
        [*flametest, "up", "manifests"], cwd=web.path, check=True, timeout=PATIENCE_SECONDS, capture_output=True
    )
    try:
        yield f"http://{address}:30080"
    finally:
        subprocess.run([*flametest, "down"], cwd=web.path, check=True, timeout=PATIENCE_SECONDS, capture_output=True)


def serves(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.mark.parametrize("way", ["SIGALRM", "SIGINT", "SIGTERM", "SIGHUP", "SIGKILL"])
def test_a_system_that_stays_is_healed(web: pytest.Pytester, standing: str, way: str) -> None:
    web.makepyfile(LASTING)
    process = started(web.path)
    wait_until("the fault", (web.path / "gone").exists, process)
    wait_until("the effect", lambda: not serves(standing))
    os.kill(process.pid, signal.Signals[way])
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    wait_until("healing", lambda: serves(standing))
    wait_until("the undo record's end", lambda: left_behind(web.path / "state") == [])
    assert process.returncode != 0, output


@pytest.mark.parametrize("way", ["SIGINT", "SIGKILL"])
def test_a_sandbox_of_the_session_ends_with_it(web: pytest.Pytester, way: str) -> None:
    web.makepyfile(LASTING)
    process = started(web.path)
    wait_until("the fault", (web.path / "gone").exists, process)
    os.kill(process.pid, signal.Signals[way])
    process.communicate(timeout=PATIENCE_SECONDS)
    wait_until("the sandbox's end", lambda: left_behind(web.path / "state") == [])
    assert not serves((web.path / "gone").read_text())


@pytest.mark.parametrize("shared", [False, True])
def test_workers_have_a_system_each_unless_they_share_one(web: pytest.Pytester, shared: bool) -> None:
    web.makepyfile(SERVED)
    options = ("-n", "2", *(("--flametest-shared",) if shared else ()))
    web.runpytest_subprocess(*options, timeout=PATIENCE_SECONDS).assert_outcomes(passed=2)
    urls = {(web.path / name).read_text() for name in ("one", "two")}
    assert len(urls) == (1 if shared else 2)
    assert left_behind(web.path / "state") == []


def test_workers_whose_controller_is_killed_leave_nothing(web: pytest.Pytester) -> None:
    web.makepyfile(LASTING)
    process = started(web.path, "-n", "1")
    wait_until("the fault", (web.path / "gone").exists, process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=PATIENCE_SECONDS)
    wait_until("the sandbox's end", lambda: left_behind(web.path / "state") == [])


def test_a_worker_that_is_killed_leaves_no_fault(web: pytest.Pytester) -> None:
    web.makepyfile(
        LASTING.replace(f"time.sleep({OUTLASTING_SECONDS})", "import os; os.kill(os.getpid(), signal.SIGKILL)")
    )
    result = web.runpytest_subprocess("-n", "1", "--max-worker-restart", "0", timeout=PATIENCE_SECONDS)
    assert result.ret == 1
    wait_until("the sandbox's end", lambda: left_behind(web.path / "state") == [])
