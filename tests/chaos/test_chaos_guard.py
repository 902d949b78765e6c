"""Experiments that would hit more than they mean to, and an environment that names no cluster."""

from pathlib import Path
from typing import Any

import pytest

from flametest.chaos.errors import RecorderError, UnsafeExperimentError
from flametest.chaos.gate import check_experiment
from flametest.chaos.settings import read_settings
from flametest.chaos.values import Values

RECORDER: dict[str, Any] = {
    "name": "recorder",
    "provider": {
        "type": "python",
        "module": "flametest.chaos.controls",
        "arguments": {"scenario": "s", "workload": "api"},
    },
}


def experiment(arguments: dict[str, Any], func: str = "terminate_pods", where: str = "method") -> dict[str, Any]:
    provider = {"type": "python", "module": "chaosk8s.pod.actions", "func": func, "arguments": arguments}
    return {
        "controls": [RECORDER],
        "method": [],
        where: [{"type": "action", "name": "delete-pods", "provider": provider}],
    }


def refuse(document: dict[str, Any], configuration: dict[str, Any] | None = None) -> None:
    check_experiment(document, Values(configuration or {}))


@pytest.mark.parametrize(
    "arguments", [{}, {"ns": "flametest", "qty": 1}, {"label_selector": " "}, {"name_pattern": None}]
)
def test_deleting_pods_without_a_selector_is_refused_by_name(arguments: dict[str, Any]) -> None:
    with pytest.raises(UnsafeExperimentError, match="'delete-pods' selects every pod of the namespace"):
        refuse(experiment(arguments))


def test_rollbacks_and_the_elder_name_are_looked_at_too() -> None:
    with pytest.raises(UnsafeExperimentError):
        refuse(experiment({"ns": "flametest"}, where="rollbacks"))
    with pytest.raises(UnsafeExperimentError, match="label_selector or name"):
        refuse(experiment({}, func="delete_pods"))


def test_a_selector_that_becomes_empty_by_configuration_is_refused() -> None:
    document = experiment({"label_selector": "${selector}"})
    refuse(document, {"selector": "app=api"})
    with pytest.raises(UnsafeExperimentError):
        refuse(document, {"selector": ""})


@pytest.mark.parametrize("arguments", [{"label_selector": "app=api"}, {"name_pattern": "^api-"}])
def test_a_selector_or_a_pattern_is_enough(arguments: dict[str, Any]) -> None:
    refuse(experiment(arguments))


def test_the_environment_must_name_a_context() -> None:
    with pytest.raises(RecorderError, match="KUBERNETES_CONTEXT is not set") as raised:
        read_settings({"KUBECONFIG": "/some/file"})
    assert "flametest env" in raised.value.remedy


def test_what_the_environment_leaves_out_has_a_default() -> None:
    settings = read_settings({"KUBERNETES_CONTEXT": "sandbox"})
    assert (settings.namespace, settings.url) == ("flametest", "http://127.0.0.1:30080")
    assert settings.record_folder is None
    assert settings.seed is None
    assert read_settings({"KUBERNETES_CONTEXT": "c", "FLAMETEST_RECORD_DIR": "a/b"}).record_folder == Path("a/b")


def test_a_seed_is_a_whole_number() -> None:
    assert read_settings({"KUBERNETES_CONTEXT": "c", "FLAMETEST_SEED": "42"}).seed == 42
    with pytest.raises(RecorderError, match="FLAMETEST_SEED is 'x'; expected a whole number"):
        read_settings({"KUBERNETES_CONTEXT": "c", "FLAMETEST_SEED": "x"})
