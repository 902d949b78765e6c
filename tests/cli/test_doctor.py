"""`flametest doctor` on this machine: what it has, and what it lacks."""

import os
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from flametest.cli.main import main
from flametest.run.exitcodes import ExitCode
from flametest.sandbox import controlgroups, requirements
from tests.sandbox.ordinary_user import OrdinaryUser


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


DOCTOR = "import sys; from flametest.cli.main import main; sys.argv = ['flametest', 'doctor']; main()"


@pytest.mark.sandbox
@pytest.mark.skipif(os.getuid() != 0, reason="only root can run tests as somebody who has other ids")
@pytest.mark.parametrize(
    ("ranges", "privileges", "told"),
    [
        ("700000:65536", True, r"ok +users of images +65537 ids, by /etc/subuid and /etc/subgid"),
        ("", True, r"optional +users of images +only needed by .*: as root: usermod --add-subuids \d+-\d+ .* ordinary"),
        (
            "700000:65536",
            False,
            r"optional +users of images .* \(newuidmap: write to uid_map failed: .*\): let newuidmap",
        ),
    ],
)
def test_an_ordinary_user_is_told_which_users_images_have(ranges: str, privileges: bool, told: str) -> None:
    with OrdinaryUser.existing(ranges) as user:
        printed = user.run(DOCTOR, seconds_max=60, privileges=privileges)
    assert re.search(told, printed), printed
    assert printed.endswith("the sandbox can run on this machine\n")


@pytest.mark.sandbox
def test_what_real_images_need_is_not_needed_otherwise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    needed = [one.name for one in requirements.REQUIREMENTS if one.kind is requirements.Kind.PROGRAM]
    for name in [*needed, "unshare", "true"]:
        (tmp_path / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(tmp_path))
    done = CliRunner().invoke(main, ["doctor"])
    assert done.exit_code == ExitCode.PASSED, done.output
    packages = {
        "skopeo": "skopeo",
        "umoci": "umoci",
        "buildah": "buildah",
        "newuidmap": "uidmap",
        "newgidmap": "uidmap",
    }
    for name, package in packages.items():
        assert re.search(rf"optional +{name} .*; without it .* \(package {package}\)", done.output), done.output
