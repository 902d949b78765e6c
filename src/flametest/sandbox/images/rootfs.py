"""Paths and users inside the root of an image, which nobody has looked at and which may be hostile.

Links are followed as a process with that root would follow them: an absolute one starts at the root again, and ``..``
ends there. So nothing outside is read or made.
"""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ImageUser", "NoSuchUserError", "beginning_of", "make_place", "resolved", "user_of"]

_LINKS_MAX = 40
_DATABASE_BYTES_MAX = 1 << 20


class NoSuchUserError(Exception):
    """A user or group of a name that the image does not have; the message is containerd's."""


@dataclass(frozen=True, slots=True)
class ImageUser:
    """Whom a container runs as: ids, the ids of further groups, name (empty for none) and home folder."""

    user: int
    group: int
    groups: tuple[int, ...]
    name: str
    home: str


def resolved(root: Path, path: str) -> str:
    """Return where a path leads to inside ``root``, as an absolute path there without links; it need not exist.

    Raises:
        OSError: too many links.
    """
    done: list[str] = []
    left = [part for part in path.split("/") if part not in ("", ".")][::-1]
    links = 0
    while left:
        part = left.pop()
        if part == "..":
            done = done[:-1]
            continue
        place = os.path.join(root, *done, part)
        try:
            target = os.readlink(place)
        except OSError:
            done.append(part)
            continue
        links += 1
        if links > _LINKS_MAX:
            raise OSError(f"too many links in {path}")
        if target.startswith("/"):
            done = []
        left += [one for one in target.split("/") if one not in ("", ".")][::-1]
    return "/" + "/".join(done)


def make_place(root: Path, path: str, *, folder: bool) -> str:
    """Make a folder or an empty file at a path inside ``root`` unless there is one; return the path without links.

    Raises:
        OSError: something is in the way.
    """
    inside = resolved(root, path)
    parts = inside.strip("/").split("/") if inside != "/" else []
    place = os.fspath(root)
    for number, part in enumerate(parts):
        place = os.path.join(place, part)
        if os.path.lexists(place):
            continue
        if folder or number < len(parts) - 1:
            os.mkdir(place, 0o755)
        else:
            os.close(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o644))
    if parts and os.path.isdir(place) != folder:
        raise NotADirectoryError(f"{inside} is {'a file' if folder else 'a folder'}")
    return inside


def beginning_of(root: Path, path: str, bytes_max: int) -> bytes:
    """Return the first bytes of a file inside ``root``; none where there is no such file, or it is no ordinary one."""
    try:
        place = os.path.join(root, resolved(root, path).lstrip("/"))
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, bytes_max) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    finally:
        os.close(descriptor)


def user_of(root: Path, text: str) -> ImageUser:
    """Return the user that ``text`` names: ``user``, ``uid``, ``user:group`` or ``uid:gid``; root for no text.

    Raises:
        NoSuchUserError: the image has no user or group of that name.
    """
    user, _, group = text.partition(":")
    user = user or "0"
    row = _row(root, "/etc/passwd", user, fields_min=6)
    if row is None and not user.isdecimal():
        raise NoSuchUserError(f"unable to find user {user}: no matching entries in passwd file")
    number = int(user) if row is None else int(row[2])
    name, home = ("", "/") if row is None else (row[0], row[5] or "/")
    if not group:
        own = 0 if row is None else int(row[3])
        return ImageUser(number, own, _groups_of(root, name, own), name, home)
    found = _row(root, "/etc/group", group, fields_min=3)
    if found is None and not group.isdecimal():
        raise NoSuchUserError(f"unable to find group {group}: no matching entries in group file")
    return ImageUser(number, int(group) if found is None else int(found[2]), (), name, home)


def _groups_of(root: Path, name: str, own: int) -> tuple[int, ...]:
    """Return the further groups that a user belongs to."""
    rows = _rows(root, "/etc/group", fields_min=4) if name else []
    return tuple(sorted({int(row[2]) for row in rows if name in row[3].split(",")} - {own}))


def _row(root: Path, path: str, wanted: str, *, fields_min: int) -> list[str] | None:
    """Return the entry of a name, or of a number where no entry has that name."""
    rows = _rows(root, path, fields_min=fields_min)
    by_name = next((row for row in rows if row[0] == wanted), None)
    if by_name is not None or not wanted.isdecimal():
        return by_name
    return next((row for row in rows if int(row[2]) == int(wanted)), None)


def _rows(root: Path, path: str, *, fields_min: int) -> list[list[str]]:
    text = beginning_of(root, path, _DATABASE_BYTES_MAX).decode(errors="replace")
    rows = [line.split(":") for line in text.split("\n") if line and not line.startswith("#")]
    return [row for row in rows if len(row) >= fields_min and row[2].isascii() and row[2].isdecimal()]
