"""The command line of a search: what it takes, and what it refuses before anything is deployed."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from flametest.cli.main import main
from flametest.cli.searching import parse_seconds
from flametest.model.errors import FlametestError
from tests.search.standbys import write_project


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("90s", 90), ("15m", 900), ("1h", 3600), ("1.5m", 90)])
def test_a_budget_is_a_time(text: str, seconds: float) -> None:
    assert parse_seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "m", "-3", "0", "15 minutes", "1d", "nan"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="15m"):
        parse_seconds(text)


def test_the_help_fits_on_a_screen() -> None:
    told = CliRunner().invoke(main, ["search", "--help"]).output

    assert "smallest set of faults" in told
    assert len(told.splitlines()) < 40


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--promise", "speed=1"], "names no figure"),
        (["--promise", "nowhere"], "no limits are called"),
        ([], "nothing is promised"),
        (["--resume", "nowhere"], "cannot be read"),
        (["--promise", "availability=0.9", "--parallel", "2", "--no-deploy"], "sandboxes of their own"),
        (["--promise", "availability=0.9", "--out", "."], "is not empty"),
    ],
)
def test_what_cannot_be_searched_is_refused_before_anything_is_deployed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], told: str
) -> None:
    write_project(tmp_path, 1)
    (tmp_path / "experiments").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLAMETEST_HOME", str(tmp_path / "state"))

    outcome = CliRunner().invoke(main, ["search", *options], standalone_mode=False)

    assert isinstance(outcome.exception, FlametestError)
    assert told in str(outcome.exception)
    assert outcome.exception.remedy
    assert not (tmp_path / "state" / "sandboxes").exists()


def test_a_search_goes_on_as_it_was_asked_for_so_nothing_else_can_be_asked() -> None:
    options = ["search", "--resume", ".", "--promise", "availability=1"]

    outcome = CliRunner().invoke(main, options, standalone_mode=False)

    assert isinstance(outcome.exception, click.UsageError)
