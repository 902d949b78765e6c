"""What shows of a command that it will change its user, or the owner of files, before it has run.

Images that start as root and step down do it by few programs, which their entrypoint script names, or are one of few
servers. It is looked at where there is one user id only, so that it can be said beforehand what will fail; nothing
depends on it. The root may be hostile: links are followed inside, and no more than the beginning of a file is read.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from flametest.sandbox.images.rootfs import beginning_of

__all__ = ["user_change"]

_SCRIPT_BYTES_MAX = 1 << 16
_SCRIPTS_MAX = 4
_SHELLS = ("sh", "bash", "dash", "ash")
_PROGRAMS = ("gosu", "su-exec", "setpriv", "runuser", "s6-setuidgid", "s6-applyuidgid", "chpst", "su", "sudo", "chown")
_SERVERS = ("nginx", "httpd", "httpd-foreground", "apache2", "apache2-foreground", "php-fpm")
"""Servers of well-known images that start as root and run their workers as another user."""

_COMMENT = re.compile(r"(?:^|\s)#.*")
_WORD = re.compile(rf"(?:^|[\s;&|(/\"'`])({'|'.join(_PROGRAMS)})(?=\s)", re.MULTILINE)
_GOES_ON = re.compile(r"\"?\$(?:@|\{@\}|\*)")


def user_change(root: Path, arguments: Sequence[str], path: str) -> str:
    """Return by what a command that starts as root would change its user; empty where nothing shows.

    Args:
        root: of the image.
        arguments: the command line.
        path: the variable PATH that it has.
    """
    left = list(arguments)
    for _ in range(_SCRIPTS_MAX):
        if left and os.path.basename(left[0]) in _SHELLS:
            left = left[1:]
            if left and left[0].startswith("-"):
                found = _WORD.search(_code("\n".join(left[1:2])))
                return f"{found[1]} in its command" if found else ""
        if not left:
            break
        name = os.path.basename(left[0])
        if name in _PROGRAMS or name in _SERVERS:
            return name
        place, text = _script(root, left[0], path)
        if found := _WORD.search(text):
            return f"{found[1]} in {place}"
        if not _GOES_ON.search(text):
            break
        left = left[1:]
    return ""


def _script(root: Path, program: str, path: str) -> tuple[str, str]:
    """Return where a script is and its code, which is empty for what is none."""
    for folder in [""] if "/" in program else path.split(":"):
        place = os.path.join(folder, program)
        if text := beginning_of(root, place, _SCRIPT_BYTES_MAX):
            return place, _code(text.decode(errors="replace")) if text.startswith(b"#!") else ""
    return program, ""


def _code(text: str) -> str:
    """Return a script without its comments."""
    return "\n".join(_COMMENT.sub("", line) for line in text.split("\n"))
