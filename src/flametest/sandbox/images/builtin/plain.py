"""Images without a server: busybox (the machine's shell and tools) and python (the interpreter of the sandbox)."""

import os
import platform
import shlex
import sys

from flametest.sandbox.images.builtin.binaries import PATH, Tag, version_notice
from flametest.sandbox.images.builtin.waiting import waiting_commands
from flametest.sandbox.images.image import Bind, Image, TextFile

__all__ = ["busybox", "python"]


def busybox(tag: str) -> Image | None:
    """Return a shell with the machine's tools."""
    if Tag.parse(tag) is None and tag not in ("musl", "glibc", "uclibc"):
        return None
    return Image(f"busybox:{tag}", environment=(("PATH", PATH),), command=("sh",), files=waiting_commands())


def python(tag: str) -> Image | None:
    """Return the interpreter that runs the sandbox, with all that is installed beside it."""
    parsed = Tag.parse(tag)
    if parsed is None:
        return None
    version = platform.python_version()
    executable = sys.executable
    wrapper = f'#!/bin/sh\nexec {shlex.quote(executable)} "$@"\n'
    names = ("python", "python3", f"python3.{sys.version_info.minor}")
    folder = os.path.dirname(executable)
    prefixes = _prefixes()
    elsewhere = _packages_outside({target for _, target in prefixes})
    environment = [
        ("PATH", PATH if folder in PATH.split(":") or ":" in folder else f"{folder}:{PATH}"),
        ("LANG", "C.UTF-8"),
        ("PYTHON_VERSION", version),
    ]
    if elsewhere:
        environment.append(("PYTHONPATH", os.pathsep.join(elsewhere)))
    return Image(
        f"python:{tag}",
        environment=tuple(environment),
        command=("python3",),
        binds=tuple(Bind(source, target, stays=True) for source, target in prefixes)
        + tuple(Bind(os.path.realpath(place), place, stays=True) for place in elsewhere),
        # Also for the machine's own interpreter, which Debian gives no name without a number.
        files=tuple(TextFile(f"/usr/local/bin/{name}", wrapper, 0o755) for name in names),
        notice=version_notice("Python", parsed.version, version),
    )


def _prefixes() -> list[tuple[str, str]]:
    """Return the folders that the interpreter needs, at their own paths, links of the way included."""
    found: dict[str, str] = {}
    real = os.path.dirname(os.path.dirname(os.path.realpath(sys.executable)))
    for prefix in (sys.prefix, sys.base_prefix, real):
        if prefix != "/usr":
            found[prefix] = os.path.realpath(prefix)
    return [(source, target) for target, source in sorted(found.items())]


def _packages_outside(prefixes: set[str]) -> list[str]:
    """Return folders of packages that the sandbox's interpreter finds outside of its own, such as a user's own."""
    inside = tuple(f"{prefix}/" for prefix in (*prefixes, "/usr"))
    return [
        place
        for place in dict.fromkeys(sys.path)
        if os.path.basename(place) in ("site-packages", "dist-packages") and not place.startswith(inside)
    ]
