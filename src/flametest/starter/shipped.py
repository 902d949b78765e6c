"""The system that Flametest ships, as the files of a project: to learn from, to change and to break.

A wheel carries them in the package; in a checkout they are the checkout's own. Read from either, so that what
`flametest new` writes is what the project itself is tested with.
"""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from flametest.starter.errors import StarterError

__all__ = ["shipped_files"]

FOLDERS = ("manifests", "experiments", "loadtests", "services")
_IN_WHEEL = "_system"
_IMAGES_FILE = "manifests/images.toml"
_CACHES = ("__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache")
_README = """\
# A ticket shop to break

FastAPI services and a shop behind nginx, with Redis and PostgreSQL: the system that Flametest ships, written by
`flametest new`. Everything in this folder is yours to change.

```console
$ flametest run                             # deploy, load, inject, measure, report
$ flametest up                              # deploy and leave it running
$ eval "$(flametest env)"                   # point kubectl, chaos and locust at it
$ chaos run experiments/pod-delete-api.json
$ flametest down
```

`manifests/` is what is deployed, `experiments/` what is broken and within which limits, `loadtests/` the load,
`services/` the code. Reports are written to `reports/`. Images of Flametest's own, for `flametest job` and
`--load-workers`, are built from a checkout of Flametest and are not part of this folder.
"""
_IGNORED = "reports/\n__pycache__/\n"


def shipped_files(installed: Path) -> dict[str, str]:
    """Return the texts of all files of the system, by their paths in a project.

    Args:
        installed: this package's folder.

    Raises:
        StarterError: the installation holds no system.
    """
    root = next((one for one in (installed / _IN_WHEEL, *installed.parents) if (one / _IMAGES_FILE).is_file()), None)
    if root is None or not all((root / folder).is_dir() for folder in FOLDERS):
        raise StarterError(
            f"the installation in {installed} holds no system to write", "reinstall Flametest: pip install flametest"
        )
    files = {str(path.relative_to(root)): path.read_text(encoding="utf-8") for path in _paths(root)}
    files[_IMAGES_FILE] = _own_images(files)
    return files | {"README.md": _README, ".gitignore": _IGNORED}


def _paths(root: Path) -> Iterator[Path]:
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and not any(part in _CACHES for part in path.relative_to(root).parts):
                yield path


def _own_images(files: Mapping[str, str]) -> str:
    """Return the list of images without those that are built from Flametest's own source."""
    blocks = files[_IMAGES_FILE].split("\n\n")
    return "\n\n".join(block for block in blocks if not _is_of_flametest(block)).rstrip() + "\n"


def _is_of_flametest(block: str) -> bool:
    return any(image.get("context") == "." for image in tomllib.loads(block).get("image", []))
