"""A sandbox starts, is found, survives its starter, stops, and says plainly why it cannot."""

import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flametest.sandbox import requirements
from flametest.sandbox.errors import SandboxError
from flametest.sandbox.launch import Sandbox, SandboxOptions, find, start
from flametest.sandbox.processes import process_start_ticks

pytestmark = pytest.mark.sandbox

Api = Callable[[str], Any]

START_CODE = """
import sys
from pathlib import Path
from flametest.sandbox.launch import SandboxOptions, start
sandbox = start(SandboxOptions(name="test", home=Path(sys.argv[1]), node_port_address=sys.argv[2]))
print(sandbox.pid, flush=True)
"""


def test_the_api_answers_and_three_nodes_are_ready_when_start_returns(api: Api) -> None:
    nodes = api("/api/v1/nodes")["items"]
    assert [node["metadata"]["name"] for node in nodes] == ["sandbox-1", "sandbox-2", "sandbox-3"]
    for node in nodes:
        ready = next(one for one in node["status"]["conditions"] if one["type"] == "Ready")
        assert ready["status"] == "True"


@pytest.mark.skipif(not os.access("/run", os.W_OK), reason="only root may write to /run")
def test_a_sandbox_whose_state_is_below_run_finds_it(options: SandboxOptions) -> None:
    with tempfile.TemporaryDirectory(prefix="flametest test ü ", dir="/run") as home:
        below_run = replace(options, home=Path(home))
        sandbox = start(below_run)
        try:
            assert sandbox.alive()
            assert sandbox.state_folder.is_relative_to(home)
        finally:
            sandbox.stop()


def test_its_files_are_for_their_owner_alone(sandbox: Sandbox) -> None:
    assert stat.S_IMODE(sandbox.state_folder.stat().st_mode) == 0o700
    for name in ("kubeconfig", "token", "server.key", "sandbox.log"):
        assert stat.S_IMODE((sandbox.state_folder / name).stat().st_mode) == 0o600, name


def test_it_is_found_until_it_is_stopped(sandbox: Sandbox, options: SandboxOptions) -> None:
    assert find(options) == sandbox
    sandbox.stop()
    assert find(options) is None
    sandbox.stop()


def test_a_second_start_returns_the_sandbox_that_runs(sandbox: Sandbox, options: SandboxOptions) -> None:
    assert start(options) == sandbox


def test_starts_at_the_same_time_make_one_sandbox(options: SandboxOptions) -> None:
    made: list[Sandbox] = []
    threads = [threading.Thread(target=lambda: made.append(start(options))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(made) == 3
    assert len({sandbox.pid for sandbox in made}) == 1


def test_other_settings_under_the_same_name_are_refused(sandbox: Sandbox, options: SandboxOptions) -> None:
    with pytest.raises(SandboxError, match="runs already, with other settings") as caught:
        start(replace(options, nodes=2))
    assert "flametest down" in caught.value.remedy
    assert sandbox.alive()


def test_two_sandboxes_run_side_by_side(sandbox: Sandbox, api: Api, options: SandboxOptions) -> None:
    other_options = replace(options, name="other")
    other = start(other_options)
    try:
        assert other.pid != sandbox.pid
        assert other.server_url != sandbox.server_url
        assert len(api("/api/v1/nodes")["items"]) == 3
    finally:
        other.stop()
    assert sandbox.alive()


def test_it_survives_whoever_started_it(options: SandboxOptions) -> None:
    command = [sys.executable, "-c", START_CODE, str(options.home), options.node_port_address]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    sandbox = find(options)
    assert sandbox is not None
    assert sandbox.pid == int(done.stdout)


def test_it_ends_when_its_starter_is_killed_before_it_is_ready(options: SandboxOptions) -> None:
    command = [sys.executable, "-c", START_CODE, str(options.home), options.node_port_address]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as starter:
        children = Path(f"/proc/{starter.pid}/task/{starter.pid}/children")
        while not (supervisors := children.read_text().split()):
            assert starter.poll() is None
        descriptor = os.pidfd_open(int(supervisors[0]))
        starter.kill()
        starter.wait()
    assert select.select([descriptor], [], [], 15)[0]
    os.close(descriptor)
    assert find(options) is None


def test_a_state_file_of_another_process_is_not_taken_for_a_sandbox(options: SandboxOptions) -> None:
    folder = options.state_folder
    folder.mkdir(parents=True)
    pids = {"pid": os.getpid(), "start_ticks": 1, "init_pid": os.getpid(), "init_start_ticks": 1}
    state = pids | {"server_url": "https://127.0.0.1:1", "node_port_address": "127.0.0.1"}
    (folder / "sandbox.json").write_text(json.dumps(state))
    assert find(options) is None
    assert start(options).alive()


def test_stopping_a_stale_sandbox_spares_the_process_that_has_its_number_now(options: SandboxOptions) -> None:
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as bystander:
        ticks = process_start_ticks(bystander.pid)
        assert ticks is not None
        stale = Sandbox(options.state_folder, "", "", bystander.pid, ticks - 1, bystander.pid, ticks - 1)
        stale.stop()
        assert bystander.poll() is None
        bystander.kill()


def test_a_taken_port_of_the_api_is_told_with_a_remedy(options: SandboxOptions) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SandboxError, match=rf"127\.0\.0\.1:{port}.*in use") as caught:
            start(replace(options, api_port=port))
    assert "another API port" in caught.value.remedy
    assert find(options) is None


def test_a_missing_tool_is_told_with_the_command_that_installs_it(
    options: SandboxOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    lacking = requirements.Requirement("no-such-tool", requirements.Kind.PROGRAM, "", "", "some-package")
    statuses = requirements.check([lacking])
    monkeypatch.setattr(requirements, "check", lambda: statuses)
    with pytest.raises(SandboxError, match="no-such-tool: not on PATH") as caught:
        start(options)
    assert "apt-get install --yes --no-install-recommends some-package" in caught.value.remedy


def test_a_crash_at_the_start_shows_the_end_of_the_log(options: SandboxOptions, tmp_path: Path) -> None:
    broken = tmp_path / "images.toml"
    broken.write_text("this is no TOML")
    with pytest.raises(SandboxError) as caught:
        start(replace(options, images_file=broken))
    assert str(caught.value)
    assert find(options) is None
    assert not _supervisors_of(options)


def test_options_that_cannot_be_are_refused(options: SandboxOptions) -> None:
    with pytest.raises(SandboxError, match="expected letters, digits and dashes"):
        start(replace(options, name="../escape"))
    with pytest.raises(SandboxError, match="expected 1 to 200"):
        start(replace(options, nodes=0))
    for address in ("0.0.0.0", "192.168.1.1", "localhost"):
        with pytest.raises(SandboxError, match="expected a loopback address"):
            start(replace(options, node_port_address=address))
    with pytest.raises(SandboxError, match=r"does not exist"):
        start(replace(options, images_file=Path("/nowhere/images.toml")))
    with pytest.raises(SandboxError, match="has a colon in its name"):
        start(replace(options, home=options.home / "a:b"))


def test_memory_counts_its_own_processes(sandbox: Sandbox) -> None:
    assert 10_000_000 < sandbox.memory() < 120_000_000


def _supervisors_of(options: SandboxOptions) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = path.read_text()
        except OSError:
            continue
        if str(options.state_folder) in command and "supervisor" in command:
            found.append(command)
    return found


def test_sigterm_to_the_supervisor_is_a_stop(sandbox: Sandbox, options: SandboxOptions) -> None:
    descriptor = os.pidfd_open(sandbox.pid)
    signal.pidfd_send_signal(descriptor, signal.SIGTERM)
    os.waitpid(sandbox.pid, 0)
    os.close(descriptor)
    assert find(options) is None
    assert process_start_ticks(sandbox.init_pid) is None
