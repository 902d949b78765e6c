"""However a run ends, what it injected is healed, and its code says why: closed outputs, full and read-only disks."""

import json
import os
import pty
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.conftest import short_experiment
from tests.end_to_end.conftest import FLAMETEST, ROOT, System
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.sandbox

NAMESPACE = "/api/v1/namespaces/flametest"


def experiment(folder: Path, name: str) -> str:
    """Return the file of an experiment with short waits."""
    file = folder / f"{name}.json"
    file.write_text(json.dumps(short_experiment(name, seconds=2, timeout_seconds=30)))
    return str(file)


def outage(folder: Path, seconds: float) -> str:
    """Return the file of an experiment that removes a Service for some seconds, whatever the system is like before."""
    document = json.loads((ROOT / "experiments" / "remove-service-logic.json").read_text())
    document["steady-state-hypothesis"]["probes"] = []
    for activity in document["method"]:
        arguments = activity["provider"].get("arguments", {})
        if activity["provider"].get("func") == "observe_fault":
            arguments["seconds"] = seconds
        elif activity["provider"].get("func") == "observe_baseline":
            arguments["seconds"] = 1
    file = folder / "remove-service-logic.json"
    file.write_text(json.dumps(document))
    return str(file)


def services(api: Callable[..., Any]) -> dict[str, Any]:
    """Return the Services by name, each with its specification."""
    return {one["metadata"]["name"]: one["spec"] for one in json.load(api(f"{NAMESPACE}/services"))["items"]}


def assert_nothing_is_left(system: System) -> None:
    undone = system.flametest("undo")
    assert (undone.returncode, undone.stdout) == (0, "nothing was left to heal\n")


def test_a_run_whose_reader_has_gone_ends_quietly_and_leaves_nothing(system: System, tmp_path: Path) -> None:
    command = [
        *FLAMETEST,
        "run",
        "--experiment",
        experiment(tmp_path, "pod-delete-api"),
        "--out",
        str(tmp_path / "run"),
    ]
    with subprocess.Popen(
        command, env=system.environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        assert run.stdout.readline()
        run.stdout.close()
        assert run.stderr.read() == b""
        assert run.wait(PATIENCE_SECONDS) == 141
    assert_nothing_is_left(system)


def test_a_terminal_that_is_closed_amid_a_fault_has_it_healed(
    system: System, api: Callable[..., Any], tmp_path: Path
) -> None:
    before = services(api)
    seen, shown = pty.openpty()
    command = [*FLAMETEST, "run", "--experiment", outage(tmp_path, 600), "--out", str(tmp_path / "run")]
    with subprocess.Popen(
        command, env=system.environment | {"TERM": "xterm"}, cwd=ROOT, stdout=shown, stderr=subprocess.PIPE
    ) as run:
        os.close(shown)
        closing, output = threading.Event(), bytearray()
        reader = threading.Thread(target=drain, args=(seen, closing, output))
        reader.start()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while "logic" in services(api):
            assert time.monotonic() < deadline, output.decode(errors="replace")
            assert run.poll() is None, output.decode(errors="replace")
        # One that is being read from is not closed before something comes.
        closing.set()
        reader.join()
        os.close(seen)
        assert run.stderr is not None
        assert run.stderr.read() == b""
        assert run.wait(PATIENCE_SECONDS) == 141
    assert services(api) == before
    assert_nothing_is_left(system)


def drain(descriptor: int, closing: threading.Event, output: bytearray) -> None:
    """Read what a terminal shows until it is to be closed, or whoever writes to it has ended."""
    while not closing.is_set():
        if select.select([descriptor], [], [], 0.05)[0]:
            try:
                output += os.read(descriptor, 65536)
            except OSError:
                return


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
@pytest.mark.parametrize(("options", "told"), [("size=4k", "No space left on device"), ("ro", "cannot be written to")])
def test_a_folder_that_cannot_hold_the_run_is_a_fault_of_the_set_up(
    system: System, tmp_path: Path, options: str, told: str
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    mounted = f'mount -t tmpfs -o {options} tmpfs "$1" && shift && exec "$@"'
    run = [*FLAMETEST, "run", "--experiment", experiment(tmp_path, "pod-delete-api"), "--out", str(place / "run")]
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", mounted, "sh", str(place), *run],
        env=system.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 2, done.stdout + done.stderr
    error, remedy = done.stderr.splitlines()
    assert told in error
    assert str(place) in error
    assert remedy.startswith("remedy: ")
    assert_nothing_is_left(system)


def test_an_error_that_nobody_foresaw_amid_a_run_leaves_nothing(system: System, tmp_path: Path) -> None:
    planted = (
        "import flametest.run.recording as run\n"
        "def broken(*_): raise KeyError('planted')\n"
        "run.run_scenario = broken\n"
        "from flametest.cli.__main__ import main\n"
        "main()\n"
    )
    arguments = ["run", "--experiment", experiment(tmp_path, "pod-delete-api"), "--out", str(tmp_path / "run")]
    done = subprocess.run(
        [sys.executable, "-c", planted, *arguments],
        env=system.environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 70, done.stdout + done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert "KeyError: 'planted'" in lines[0]
    assert_nothing_is_left(system)
    assert system.flametest("status").returncode == 0
