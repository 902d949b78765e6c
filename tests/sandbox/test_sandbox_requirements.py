"""What the sandbox needs of the machine: found, or told with what its absence prevents and how to fix it."""

import subprocess
import sys
from pathlib import Path

import pytest

from flametest.sandbox import requirements
from flametest.sandbox.requirements import Kind, Requirement, Status
from tests.patience import PATIENCE_SECONDS

SOURCE = Path(requirements.__file__)

# What the noxfile does, in an interpreter that has nothing but the standard library.
LOAD_BY_PATH = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("requirements", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
statuses = module.check()
assert [status.requirement.name for status in statuses] == [one.name for one in module.REQUIREMENTS]
assert not [name for name in sys.modules if name.startswith(("flametest", "uvloop", "aiohttp"))]
print(" ".join(module.debian_packages(statuses)))
"""


def test_the_file_can_be_loaded_by_its_path_with_the_standard_library_alone() -> None:
    command = [sys.executable, "-I", "-S", "-c", LOAD_BY_PATH, str(SOURCE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False)
    assert done.returncode == 0, done.stderr


def test_every_requirement_says_what_it_is_for_and_what_its_absence_prevents() -> None:
    for requirement in requirements.REQUIREMENTS:
        assert requirement.purpose
        assert requirement.prevents
        assert bool(requirement.debian_package) == (requirement.kind in (Kind.PROGRAM, Kind.LIBRARY))


@pytest.mark.parametrize(
    ("requirement", "met"),
    [
        (Requirement("sh", Kind.PROGRAM, "", ""), True),
        (Requirement("no-such-program", Kind.PROGRAM, "", ""), False),
        (Requirement("libc.so.6", Kind.LIBRARY, "", ""), True),
        (Requirement("libno-such-library.so.1", Kind.LIBRARY, "", ""), False),
        (Requirement("pytest", Kind.PYTHON, "", ""), True),
        (Requirement("no-such-distribution", Kind.PYTHON, "", ""), False),
    ],
)
def test_what_is_there_is_found_and_what_is_not_is_not(requirement: Requirement, met: bool) -> None:
    (status,) = requirements.check([requirement])
    assert status.met is met
    assert status.detail


def test_the_remedy_names_each_missing_package_once_and_nothing_else() -> None:
    def missing(name: str, package: str) -> Status:
        return Status(Requirement(name, Kind.PROGRAM, "", "", package), met=False, detail="not on PATH")

    found = Status(Requirement("d", Kind.PROGRAM, "", "", "package-d"), met=True, detail="/usr/bin/d")
    statuses = [missing("b", "package-b"), missing("a", "package-a"), missing("c", "package-a"), found]
    assert requirements.debian_packages(statuses) == ["package-a", "package-b"]
    command = "apt-get install --yes --no-install-recommends package-a package-b"
    assert requirements.remedy(statuses) == f"install the system packages: {command}"


def test_missing_python_packages_are_installed_as_the_extra() -> None:
    status = Status(Requirement("uvloop", Kind.PYTHON, "", ""), met=False, detail="not installed")
    assert "pip install 'flametest[sandbox]'" in requirements.remedy([status])


def test_there_is_no_remedy_when_all_is_there() -> None:
    status = Status(Requirement("sh", Kind.PROGRAM, "", "", "dash"), met=True, detail="/bin/sh")
    assert requirements.remedy([status]) == ""
