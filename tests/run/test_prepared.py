"""Chaos Toolkit is started before its experiment may begin, begins when it is let, and ends when it never is."""

import json
import time
from pathlib import Path

import pytest

from flametest.load import LoadError
from flametest.load.starting import START_VARIABLE, await_start
from flametest.run.chaostoolkit import prepared_chaos
from flametest.run.halting import Halt

CONTROLS = """\
import os, pathlib
from flametest.load.starting import await_start

def before_experiment_control(context, **_):
    pathlib.Path("prepared").touch()
    await_start(os.environ)
    pathlib.Path("begun").touch()
"""
WAIT_SECONDS = 120.0


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "holding_controls.py").write_text(CONTROLS)
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "nothing.json"
    provider = {"type": "python", "module": "holding_controls"}
    probe = {"type": "probe", "name": "list", "provider": {"type": "python", "module": "os", "func": "getcwd"}}
    document = {
        "title": "nothing",
        "description": "It does nothing.",
        "controls": [{"name": "holds", "provider": provider}],
        "method": [probe],
    }
    path.write_text(json.dumps(document))
    return path


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} did not come"
        time.sleep(0.02)


def test_an_experiment_begins_when_it_is_let_and_not_before(experiment: Path, tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(tmp_path)}
    with prepared_chaos(experiment, tmp_path / "journal.json", environment) as chaos:
        wait_for(tmp_path / "prepared")
        assert not (tmp_path / "begun").exists()
        outcome = chaos.run(lambda _: None, Halt())
    assert outcome.status == "completed", outcome
    assert (tmp_path / "begun").exists()


def test_one_that_is_never_let_ends_with_its_block(experiment: Path, tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(tmp_path)}
    with prepared_chaos(experiment, tmp_path / "journal.json", environment) as chaos:
        wait_for(tmp_path / "prepared")
    assert chaos.process.poll() is not None
    assert not (tmp_path / "begun").exists()


def test_a_lone_experiment_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    await_start({})


def test_the_end_of_the_input_is_no_leave_to_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").touch()
    with (tmp_path / "empty").open() as empty:
        monkeypatch.setattr("sys.stdin", empty)
        with pytest.raises(LoadError, match="ended before"):
            await_start({START_VARIABLE: "stdin"})
