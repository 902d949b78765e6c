"""A sandbox has ended when that was seen; what cannot be read says nothing."""

import json
import os
from pathlib import Path

import pytest

from flametest.sandbox.launch import SandboxOptions, has_ended
from flametest.sandbox.processes import process_start_ticks
from flametest.sandbox.supervisor import STATE_FILE_NAME


def options(home: Path, pid: int, ticks: int) -> SandboxOptions:
    made = SandboxOptions(home=home)
    made.state_folder.mkdir(parents=True)
    state = {"server_url": "", "node_port_address": "", "pid": pid, "start_ticks": ticks}
    text = json.dumps(state | {"init_pid": pid, "init_start_ticks": ticks})
    (made.state_folder / STATE_FILE_NAME).write_text(text)
    return made


def test_one_without_a_trace_has_ended(tmp_path: Path) -> None:
    assert has_ended(SandboxOptions(home=tmp_path))


def test_one_whose_process_is_gone_has_ended_and_one_that_lives_has_not(tmp_path: Path) -> None:
    ticks = process_start_ticks(os.getpid()) or 0
    assert not has_ended(options(tmp_path / "lives", os.getpid(), ticks))
    assert has_ended(options(tmp_path / "other", os.getpid(), ticks + 1))
    assert has_ended(options(tmp_path / "gone", 2**22 + 1, ticks))  # above the greatest process id there is


@pytest.mark.parametrize("text", ["", "{", '{"pid": 1}'])
def test_one_whose_state_is_broken_may_still_run(tmp_path: Path, text: str) -> None:
    made = options(tmp_path, os.getpid(), 1)
    (made.state_folder / STATE_FILE_NAME).write_text(text)
    assert not has_ended(made)


def test_one_whose_state_cannot_be_read_may_still_run(tmp_path: Path) -> None:
    made = SandboxOptions(home=tmp_path)
    (made.state_folder / STATE_FILE_NAME).mkdir(parents=True)  # not to be read by root either
    assert not has_ended(made)
