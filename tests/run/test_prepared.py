"""Chaos Toolkit is started before its experiment may begin, begins when it is released, and ends when it never is."""

import json
import time
from pathlib import Path

import pytest

from flametest.load import LoadError
from flametest.load.starting import START_VARIABLE, await_release
from flametest.run.chaostoolkit import prepared_chaos
from flametest.run.halting import Halt
from tests.patience import PATIENCE_SECONDS

CONTROLS = """\
import os, pathlib, time
from flametest.chaos.recorded import RECORDED_VARIABLE, tell_recorded
from flametest.load.starting import await_release

def before_experiment_control(context, **_):
    pathlib.Path("prepared").touch()
    await_release(os.environ)
    pathlib.Path("recording").touch()
    await_release(os.environ)
    pathlib.Path("begun").touch()
    assert RECORDED_VARIABLE not in os.environ, "what an experiment starts would inherit it"

def after_experiment_control(context, **_):
    if pathlib.Path("slow").exists():
        tell_recorded()
        while pathlib.Path("slow").exists():
            time.sleep(0.02)
"""


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
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not path.exists():
        assert time.monotonic() < deadline, f"{path.name} did not come"
        time.sleep(0.02)


def test_an_experiment_begins_when_it_is_released_and_not_before(experiment: Path, tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(tmp_path)}
    with prepared_chaos(experiment, tmp_path / "journal.json", environment) as chaos:
        wait_for(tmp_path / "prepared")
        assert not (tmp_path / "begun").exists()
        outcome = chaos.run(lambda _: None, Halt())
    assert outcome.status == "completed", outcome
    assert (tmp_path / "begun").exists()


def test_a_recorder_begins_before_its_experiment(experiment: Path, tmp_path: Path) -> None:
    with prepared_chaos(experiment, tmp_path / "journal.json", {"PYTHONPATH": str(tmp_path)}) as chaos:
        wait_for(tmp_path / "prepared")
        assert not (tmp_path / "recording").exists()
        chaos.record()
        wait_for(tmp_path / "recording")
        assert not (tmp_path / "begun").exists()
        assert chaos.run(lambda _: None, Halt()).status == "completed"
    assert (tmp_path / "begun").exists()


def test_that_everything_is_recorded_is_known_before_chaos_toolkit_has_ended(experiment: Path, tmp_path: Path) -> None:
    (tmp_path / "slow").touch()
    lines: list[str] = []
    with prepared_chaos(experiment, tmp_path / "journal.json", {"PYTHONPATH": str(tmp_path)}) as chaos:
        chaos.run_until_recorded(lines.append, Halt())
        assert chaos.process.poll() is None
        (tmp_path / "slow").unlink()
        assert chaos.outcome(lines.append, Halt()).status == "completed"
    assert "Experiment ended with status: completed" in lines


def test_one_that_ends_before_anything_is_recorded_is_not_waited_for(tmp_path: Path) -> None:
    missing = tmp_path / "missing.json"
    with prepared_chaos(missing, tmp_path / "journal.json", {}) as chaos:
        outcome = chaos.run(lambda _: None, Halt())
    assert outcome.status == "failed"
    assert "missing.json" in outcome.reason


def test_one_that_is_never_released_ends_with_its_block(experiment: Path, tmp_path: Path) -> None:
    environment = {"PYTHONPATH": str(tmp_path)}
    with prepared_chaos(experiment, tmp_path / "journal.json", environment) as chaos:
        wait_for(tmp_path / "prepared")
    assert chaos.process.poll() is not None
    assert not (tmp_path / "begun").exists()


def test_a_lone_experiment_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    await_release({})


def test_the_end_of_the_input_is_no_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").touch()
    with (tmp_path / "empty").open() as empty:
        monkeypatch.setattr("sys.stdin", empty)
        with pytest.raises(LoadError, match="ended before"):
            await_release({START_VARIABLE: "stdin"})
