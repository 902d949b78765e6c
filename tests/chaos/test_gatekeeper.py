"""How the gate gets in front of Chaos Toolkit, and that it lets alone what is none of its business."""

import importlib
import warnings
from importlib.metadata import entry_points
from typing import Any

import pytest
from chaoslib.exceptions import InvalidExperiment
from chaoslib.run import Runner
from chaoslib.types import Strategy

from flametest.chaos import gatekeeper
from tests.chaos.cells import base, recorder

TOUCH = {"type": "probe", "name": "act", "provider": {"type": "process", "path": "true", "arguments": []}}


def test_the_chaos_command_loads_it_as_a_plugin_and_keeps_its_commands() -> None:
    (plugin,) = entry_points(group="chaostoolkit.cli_plugins", name="flametest-gate")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what Chaos Toolkit imports
        commands = importlib.import_module("chaostoolkit.commands").cli.commands
    assert commands["run"] is plugin.load()
    assert set(commands) == {"discover", "info", "init", "run", "settings", "validate"}


def configure(document: dict[str, Any], variables: Any = None) -> Runner:
    gatekeeper.install()
    runner = Runner(Strategy.DEFAULT)
    runner.configure(document, {}, variables)
    return runner


def test_an_experiment_without_the_recorder_passes_untouched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_CONTEXT", raising=False)
    document = base("http://127.0.0.1:1")
    document["configuration"]["dynamic"] = TOUCH
    assert configure(document).config["dynamic"] == ""


def test_one_with_it_is_refused_before_its_configuration_is_loaded() -> None:
    document = base("http://127.0.0.1:1") | {"controls": [recorder()]}
    document["configuration"]["dynamic"] = TOUCH
    with pytest.raises(InvalidExperiment, match="there is no way to know in advance"):
        configure(document)


def test_variables_of_the_command_line_are_looked_at_as_what_they_replace() -> None:
    document = base("http://127.0.0.1:1") | {"controls": [recorder()]}
    with pytest.raises(InvalidExperiment, match="there is no way to know in advance"):
        configure(document, ({"harmless": TOUCH}, {}))


def test_a_context_that_is_not_named_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_CONTEXT", raising=False)
    with pytest.raises(InvalidExperiment, match="KUBERNETES_CONTEXT is not set"):
        configure(base("http://127.0.0.1:1") | {"controls": [recorder()]})


def test_whatever_cannot_be_read_is_told_in_a_line() -> None:
    document = base("http://127.0.0.1:1") | {"controls": [recorder()], "configuration": ["a"]}
    with pytest.raises(InvalidExperiment, match="the experiment cannot be read: AttributeError"):
        configure(document)


def test_it_is_put_in_its_place_once() -> None:
    gatekeeper.install()
    first = Runner.configure
    gatekeeper.install()
    assert Runner.configure is first
