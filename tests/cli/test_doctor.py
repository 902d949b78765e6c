"""`flametest doctor` on this machine: what it has, and what it lacks."""

import pytest
from click.testing import CliRunner

from flametest.cli.main import main
from flametest.run.exitcodes import ExitCode
from flametest.sandbox import controlgroups


@pytest.mark.sandbox
def test_a_machine_that_can_run_the_sandbox_is_told_so() -> None:
    done = CliRunner().invoke(main, ["doctor"])
    assert done.exit_code == ExitCode.PASSED, done.output
    assert done.output.endswith("the sandbox can run on this machine\n")


@pytest.mark.sandbox
def test_without_control_groups_limits_are_said_not_to_be_enforced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controlgroups, "make", lambda _: None)
    done = CliRunner().invoke(main, ["doctor"])
    assert done.exit_code == ExitCode.PASSED, done.output
    (line,) = [line for line in done.output.splitlines() if "control groups" in line]
    assert line.split() == [
        "optional",
        "control",
        "groups",
        *["only", "needed", "to", "enforce", "limits", "of", "containers;", "root", "may", "make", "them"],
    ]
