"""The help of each command fits on a screen of 80 columns, and nothing is left out of the whole one."""

import click
import pytest
from click.testing import CliRunner

from flametest.cli.main import main

LINES_MAX = 39


def commands(group: click.Group, *before: str) -> list[tuple[str, ...]]:
    """Return the words of every command, groups among them."""
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        found.append((*before, name))
        if isinstance(command, click.Group):
            found += commands(command, *before, name)
    return found


@pytest.mark.parametrize("words", [(), *commands(main)], ids=" ".join)
def test_the_help_of_each_command_fits_on_a_screen(words: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(main, [*words, "--help"], terminal_width=80)
    assert shown.exit_code == 0
    assert len(shown.output.splitlines()) <= LINES_MAX


def test_the_whole_help_of_a_run_has_every_option() -> None:
    run = main.commands["run"]
    every = {name for option in run.params for name in option.opts if name.startswith("--")}
    short, whole = (CliRunner().invoke(main, ["run", word]).output for word in ("--help", "--help-all"))
    assert {name for name in every if f"{name} " not in f"{whole} "} == set()
    assert "--load-workers" not in short
    assert "--help-all" in short
