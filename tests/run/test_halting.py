"""Jobs that run at the same time all end when one fails or the run is interrupted, and the first failure is told."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from flametest.run.chaostoolkit import run_chaos
from flametest.run.halting import Halt, Halted, side_by_side
from flametest.run.interrupt import interruptible
from tests.patience import PATIENCE_SECONDS


def test_jobs_run_at_the_same_time() -> None:
    all_there = threading.Barrier(3, timeout=PATIENCE_SECONDS)
    met: list[int] = []
    side_by_side({name: lambda: met.append(all_there.wait()) for name in "abc"}, Halt())
    assert sorted(met) == [0, 1, 2]


def test_the_first_failure_stops_the_others_and_is_raised() -> None:
    halt, waits = Halt(), threading.Event()
    ended: list[str] = []

    def fail() -> None:
        assert waits.wait(PATIENCE_SECONDS)
        raise ValueError("out of room")

    def go_on() -> None:
        released = threading.Event()
        try:
            with halt.ending(released.set):
                waits.set()
                assert released.wait(PATIENCE_SECONDS)
        finally:
            ended.append("cleaned up")

    with pytest.raises(ValueError, match="out of room"):
        side_by_side({"fails": fail, "goes-on": go_on}, halt)
    assert ended == ["cleaned up"]


def test_an_interruption_reaches_threads_and_the_processes_for_which_they_wait() -> None:
    halt = Halt()
    endings: list[int] = []

    def wait_for_a_process() -> None:
        with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]) as process:
            try:
                with halt.ending(process.terminate):
                    os.kill(os.getpid(), signal.SIGTERM)  # to the run itself, whose main thread waits for this one
                    process.wait(PATIENCE_SECONDS)
            finally:
                endings.append(process.wait(PATIENCE_SECONDS))

    with pytest.raises(KeyboardInterrupt), interruptible():
        side_by_side({"one": wait_for_a_process}, halt)
    assert endings == [-signal.SIGTERM]


def test_what_begins_after_a_halt_does_not_run() -> None:
    halt = Halt()
    halt.set()
    with pytest.raises(Halted), halt.ending(lambda: None):
        pytest.fail("it ran")
    with pytest.raises(Halted):
        halt.check()


def test_chaos_toolkit_is_ended_by_a_halt(tmp_path: Path) -> None:
    halt = Halt()
    outcomes: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        experiment = tmp_path / "asks.json"
        provider = {"type": "http", "url": f"http://127.0.0.1:{silent.getsockname()[1]}/", "timeout": 600}
        method = [{"type": "probe", "name": "ask", "provider": provider}]
        experiment.write_text(json.dumps({"title": "asks", "description": "It asks.", "method": method}))

        def run() -> None:
            try:
                run_chaos(experiment, tmp_path / "journal.json", {}, lambda _: None, halt)
            except BaseException as error:
                outcomes.append(type(error))

        thread = threading.Thread(target=run)
        thread.start()
        silent.settimeout(PATIENCE_SECONDS)
        asked, _ = silent.accept()
        with asked:
            halt.set()
            thread.join(PATIENCE_SECONDS)
    assert outcomes == [Halted]
    assert json.loads((tmp_path / "journal.json").read_text())["status"] == "interrupted"
