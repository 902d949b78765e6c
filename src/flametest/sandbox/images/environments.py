"""Python environments that belong to images: made once in the store, seen by every container of such an image.

    environments/HEX/     a virtual environment, made in place since its scripts hold its path
    environments/HEX/environment.json   what it was made of; written last, so that it says that the rest is whole
    environments/HEX/lock held by who runs from it
    environments/HEX.lock held while it is made

An environment is named by what it is made of and for which interpreter, so that two images share one, and a changed
requirement makes another. Packages never come from the environment that runs the sandbox.
"""

import fcntl
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from flametest.sandbox.images.copying import tie_to_parent
from flametest.sandbox.images.errors import PullError
from flametest.sandbox.images.image import Bind, Image, TextFile
from flametest.sandbox.removal import remove_tree

__all__ = ["environment_folder", "is_whole", "make_environment", "with_environment"]

_MARK = "environment.json"
# A pod that waits asks again by itself.
_RETRIES = "2"
# What would have pip or the interpreter look or install elsewhere.
_UNSET = (
    "PYTHONPATH",
    "PYTHONHOME",
    "PIP_TARGET",
    "PIP_PREFIX",
    "PIP_ROOT",
    "PIP_REQUIRE_VIRTUALENV",
    "__PYVENV_LAUNCHER__",
)


def environment_folder(store: Path, wanted: Iterable[str], constraints: Iterable[str]) -> Path:
    """Return where in the store the environment for these requirements is, made or not."""
    content = [sorted(wanted), sorted(constraints), sys.version, os.path.realpath(sys.base_prefix)]
    return store / "environments" / hashlib.sha256(json.dumps(content).encode()).hexdigest()


def is_whole(folder: Path) -> bool:
    """Return whether an environment has been made."""
    return (folder / _MARK).is_file()


def make_environment(store: Path, wanted: list[str], constraints: list[str]) -> None:
    """Install requirements into their environment, unless it is there; uses the network as pip is set up to.

    Raises:
        PullError: pip could not install them; with the last that pip said. Nothing is left.
    """
    folder = environment_folder(store, wanted, constraints)
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_whole(folder):
            return
        remove_tree(folder)
        try:
            _install(folder, wanted, constraints)
        except BaseException:
            remove_tree(folder)
            raise


def _install(folder: Path, wanted: list[str], constraints: list[str]) -> None:
    _run("venv", "--without-pip", str(folder))
    for name, lines in (("requirements.txt", wanted), ("constraints.txt", constraints)):
        (folder / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    _run(
        *("pip", "--python", str(folder / "bin" / "python"), "--disable-pip-version-check", "--no-input", "install"),
        *("--quiet", "--requirement", str(folder / "requirements.txt")),
        *("--constraint", str(folder / "constraints.txt")),
    )
    (folder / "lock").touch()
    draft = folder / f"{_MARK}.draft"
    draft.write_text(json.dumps({"wanted": wanted, "constraints": constraints}), encoding="utf-8")
    draft.replace(folder / _MARK)


def _run(module: str, *arguments: str) -> None:
    environment = {"PIP_RETRIES": _RETRIES} | os.environ | {"PIP_USER": "0"}
    # The mask, since containers run as other users than the one who owns the store.
    ended = subprocess.run(
        [sys.executable, "-P", "-m", module, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env={name: value for name, value in environment.items() if name not in _UNSET},
        umask=0o022,
        check=False,
        preexec_fn=tie_to_parent,
    )
    if ended.returncode:
        raise PullError(_last_line(ended.stderr or ended.stdout) or f"{module} ended with {ended.returncode}")


def _last_line(text: str) -> str:
    """Return the last that pip says of its failure, without passwords of addresses."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    last = (errors or lines or [""])[-1]
    return re.sub(r"//[^/@\s]+@", "//***@", last.removeprefix("ERROR:").strip())


def with_environment(image: Image, folder: Path) -> Image:
    """Return an image whose Python is that of an environment, and not the one that runs the sandbox."""
    own = {"VIRTUAL_ENV": str(folder)}
    gone = {bind.target for bind in image.binds if bind.stays}
    for name, value in image.environment:
        if name in ("PATH", "PYTHONPATH"):
            kept = [one for one in value.split(os.pathsep) if not _below(one, gone)]
            own[name] = os.pathsep.join([str(folder / "bin"), *kept] if name == "PATH" else kept)
    wrapper = f'#!/bin/sh\nexec {folder}/bin/python "$@"\n'
    python = re.compile(r"/usr/local/bin/python[\d.]*")
    return replace(
        image,
        environment=tuple((dict(image.environment) | own).items()),
        binds=(*(bind for bind in image.binds if not bind.stays), *_interpreter(folder)),
        links=tuple(replace(link, target=str(folder)) if link.target == sys.prefix else link for link in image.links),
        files=tuple(
            TextFile(file.path, wrapper, file.mode) if python.fullmatch(file.path) else file for file in image.files
        ),
        packages=None,
    )


def _below(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def _interpreter(folder: Path) -> list[Bind]:
    """Return the binds of an environment and of the interpreter that it was made from, at their own paths."""
    real = os.path.dirname(os.path.dirname(os.path.realpath(sys.executable)))
    places = dict.fromkeys((sys.base_prefix, real, str(folder)))
    return [Bind(os.path.realpath(place), place, stays=True) for place in places if place != "/usr"]
