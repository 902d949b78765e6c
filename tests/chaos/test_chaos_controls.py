"""What the recorder control refuses before it starts anything."""

import json
from pathlib import Path
from typing import Any

import pytest
from chaoslib.exceptions import InterruptExecution, InvalidControl

from flametest.chaos import controls
from flametest.chaos.actions import observe_baseline
from flametest.chaos.errors import NoRecorderError
from flametest.chaos.probes import outage_seconds

ARGUMENTS: dict[str, Any] = {"scenario": "s", "workload": "api"}
RECORDER: dict[str, Any] = {
    "name": "recorder",
    "provider": {"type": "python", "module": "flametest.chaos.controls", "arguments": ARGUMENTS},
}


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    kubeconfig = {
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "c", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}],
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(kubeconfig))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    monkeypatch.setenv("KUBERNETES_CONTEXT", "c")
    monkeypatch.setenv("FLAMETEST_KNOWN_CONTEXT", "c")
    monkeypatch.setenv("FLAMETEST_RECORD_DIR", str(tmp_path / "record"))
    yield
    controls.cleanup_control()


def refused() -> str:
    with pytest.raises(InterruptExecution) as raised:
        controls.before_experiment_control({"title": "t", "controls": [RECORDER], "method": []}, **ARGUMENTS)
    return str(raised.value)


def test_no_context(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KUBERNETES_CONTEXT")
    assert refused().startswith("KUBERNETES_CONTEXT is not set, so no cluster is chosen; run `eval")
    assert not (tmp_path / "record").exists()


def test_a_context_that_is_not_allowed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLAMETEST_KNOWN_CONTEXT", "another")
    monkeypatch.setenv("FLAMETEST_HOME", str(tmp_path))
    assert "context 'c' (http://127.0.0.1:1) is not allowed; nothing was asked of it" in refused()
    (tmp_path / "allowed-contexts.toml").write_text('[contexts.c]\nserver = "http://127.0.0.1:2"\n')
    assert "allows it for http://127.0.0.1:2" in refused()
    assert not (tmp_path / "record").exists()


def test_a_cluster_that_does_not_answer() -> None:
    assert "the API of context 'c' at http://127.0.0.1:1 does not answer" in refused()


def test_a_record_folder_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FLAMETEST_RECORD_DIR", str(tmp_path / "kubeconfig" / "record"))
    assert "cannot be written to" in refused()


def test_an_error_that_nobody_foresaw_is_an_interruption_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError("on purpose")

    monkeypatch.setattr(controls, "check_experiment", fail)
    assert refused() == "the recorder failed: ZeroDivisionError: on purpose"


@pytest.mark.parametrize("missing", ["scenario", "workload"])
def test_an_argument_that_is_missing_is_named_when_the_experiment_is_validated(missing: str) -> None:
    arguments = {name: value for name, value in ARGUMENTS.items() if name != missing}
    with pytest.raises(InvalidControl, match=f'expected the argument "{missing}"'):
        controls.validate_control({"name": "recorder", "provider": {"arguments": arguments}})
    controls.validate_control({"name": "recorder", "provider": {"arguments": ARGUMENTS}})


def test_actions_and_probes_without_a_recorder_say_what_is_missing() -> None:
    for use in (lambda: observe_baseline(1), outage_seconds):
        with pytest.raises(NoRecorderError, match="no recorder runs") as raised:
            use()
        assert "flametest.chaos.controls" in raised.value.remedy
