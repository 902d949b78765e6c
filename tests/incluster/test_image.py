"""The image of the Job: what its Dockerfile has copied by then is enough to install the package."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "src" / "Dockerfile").read_text().replace("\\\n", " ")


def test_the_package_can_be_installed_from_what_was_copied(tmp_path: Path) -> None:
    before, _, _ = DOCKERFILE.partition("\nWORKDIR /project")
    for source in re.findall(r"^COPY (\S+) \S+$", before, re.MULTILINE):
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        copy(ROOT / source, tmp_path / source)
    (run,) = re.findall(r"^RUN (.*)$", before, re.MULTILINE)
    made, _, installed = run.partition("pip install")
    assert "--editable ." in installed
    # A whole wheel asks for the same folders as one that is editable, and for no further package.
    build = "import hatchling.build; print(hatchling.build.build_wheel('.'))"
    command = ["sh", "-c", f'{made} "$0" -c "$1"', sys.executable, build]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / done.stdout.strip()).is_file()
