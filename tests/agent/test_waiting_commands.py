"""The commands with which init containers wait, where this machine has none of its own: run by bash as they are."""

import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from flametest.sandbox.images.builtin.plain import busybox
from flametest.sandbox.images.builtin.waiting import waiting_commands


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "which", lambda _name: None)
        image = busybox("1.36")
    assert image is not None
    for file in image.files:
        path = tmp_path / Path(file.path).name
        path.write_text(file.text)
        path.chmod(file.mode)
    return tmp_path


@pytest.mark.parametrize("options", [["-z"], ["-zv"], ["-z", "-w", "2"], ["-vz", "-w2"]])
def test_nc_tells_whether_a_port_is_open(commands: Path, options: list[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        assert subprocess.run([commands / "nc", *options, "127.0.0.1", port], check=False).returncode == 0
    closed = subprocess.run([commands / "nc", *options, "127.0.0.1", port], capture_output=True, check=False)
    assert closed.returncode == 1
    assert port in closed.stderr.decode()


@pytest.mark.parametrize("arguments", [["-l", "-p", "80"], ["127.0.0.1", "80"], ["-z", "127.0.0.1"]])
def test_what_nc_cannot_do_is_said_with_the_remedy(commands: Path, arguments: list[str]) -> None:
    refused = subprocess.run([commands / "nc", *arguments], capture_output=True, text=True, check=False)
    assert refused.returncode == 2
    assert "install netcat-openbsd" in refused.stderr


def test_nslookup_finds_a_host_or_says_that_there_is_none(commands: Path) -> None:
    found = subprocess.run([commands / "nslookup", "localhost"], capture_output=True, text=True, check=False)
    assert (found.returncode, "127.0.0.1" in found.stdout) == (0, True)
    missing = subprocess.run([commands / "nslookup", "no-such.invalid"], capture_output=True, text=True, check=False)
    assert (missing.returncode, "no-such.invalid" in missing.stdout) == (1, True)


def test_the_machines_own_programs_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    assert waiting_commands() == ()
