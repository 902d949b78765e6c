"""Which user and group ids a user namespace has, and how an ordinary user gets more of them than his own.

The kernel lets an ordinary user map one id, his own. Ranges of further ones are given to him by root in /etc/subuid and
/etc/subgid (subuid(5)); the set-uid programs newuidmap(1) and newgidmap(1) map those that are his. They have to run
outside of the new namespace, so a copy of the calling process, made before, starts them. Standard library and few
imports, since the supervisor uses it.
"""

import contextlib
import hashlib
import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = [
    "IdRange",
    "are_mapped",
    "count",
    "fingerprint",
    "has_other_users",
    "is_initial",
    "mapping",
    "parse_ranges",
    "remedy",
    "subordinate_ids",
]

_PROGRAMS = ("newuidmap", "newgidmap")
_RANGES_FILES = (Path("/etc/subuid"), Path("/etc/subgid"))
_MAPS = (Path("/proc/self/uid_map"), Path("/proc/self/gid_map"))
_ALL_IDS = 0xFFFFFFFF
_RANGES_MAX = 300
"""The kernel takes 340 lines (user_namespaces(7)), and one is the user's own."""
_FIRST_ID = 100000
"""Where useradd(8) begins with the ranges that it gives."""
_IDS_MIN = 65536
"""What images take for granted: the ids of distributions end with 65534."""


@dataclass(frozen=True, slots=True)
class IdRange:
    """Ids in a row: the first one, and how many there are."""

    first: int
    count: int

    def __contains__(self, number: int) -> bool:
        return self.first <= number < self.first + self.count


def count() -> int:
    """Return how many users and groups this user namespace has: the smaller number."""
    return min(sum(one.count for one in _mapped(file)) for file in _MAPS)


def has_other_users() -> bool:
    """Return whether files and processes of this user namespace may belong to others than its root.

    They may not in one that an ordinary user has made for a single id.
    """
    return count() > 1


def is_initial() -> bool:
    """Return whether this is the machine's own user namespace, to judge by its having every id."""
    return all(_mapped(file) == (IdRange(0, _ALL_IDS),) for file in _MAPS)


def are_mapped(*, users: Iterable[int] = (), groups: Iterable[int] = ()) -> bool:
    """Return whether processes and files of this user namespace may have all of these ids."""
    wanted = zip(_MAPS, (users, groups), strict=True)
    return all(any(number in one for one in _mapped(file)) for file, numbers in wanted for number in numbers)


def fingerprint() -> str:
    """Return what differs between user namespaces whose ids stand for different ones of the machine.

    Empty where ids are the machine's, and where there is one only: no file's owner depends on the map then.
    """
    if is_initial() or not has_other_users():
        return ""
    return hashlib.sha256(b"".join(file.read_bytes() for file in _MAPS)).hexdigest()[:12]


def parse_ranges(text: str, names: Iterable[str] | None = None) -> tuple[IdRange, ...]:
    """Return the ranges that a file in the format of subuid(5) gives to a user, who is known by each of ``names``.

    Without names, those of all users. Lines that are not as described there count for nothing, as for newuidmap.
    """
    wanted, found = None if names is None else set(names), []
    for line in text.splitlines():
        owner, *numbers = line.strip().split(":")
        if (
            (wanted is None or owner in wanted)
            and len(numbers) == 2
            and all(one.isascii() and one.isdecimal() for one in numbers)
        ):
            first, count = map(int, numbers)
            if count and first + count <= _ALL_IDS:
                found.append(IdRange(first, count))
    return tuple(found)


def subordinate_ids() -> tuple[tuple[IdRange, ...], tuple[IdRange, ...]]:
    """Return the ranges of user ids and of group ids that the calling user was given."""
    return _ranges_of(os.getuid())


def remedy() -> str:
    """Return what has to be done so that a sandbox of the calling user has users of its own.

    It may also be asked for from within the sandbox's user namespace.
    """
    number = _number_outside()
    name = _user_name(number) or str(number)
    steps = []
    if not all(map(shutil.which, _PROGRAMS)):
        steps.append("install the package uidmap")
    if any(sum(one.count for one in ranges) < _IDS_MIN for ranges in _ranges_of(number)):
        first = _first_free_id()
        ids = f"{first}-{first + _IDS_MIN - 1}"
        steps.append(f"as root: usermod --add-subuids {ids} --add-subgids {ids} {name}")
    if not steps and has_other_users() and not is_initial():
        steps.append("as root: more ids in /etc/subuid and /etc/subgid")
    elif not steps:
        steps.append("let newuidmap and newgidmap be set-uid programs, and nothing keep programs from gaining rights")
    return f"{', '.join(steps)}, and start the sandbox again; or start it as root"


@contextlib.contextmanager
def mapping() -> Iterator[Callable[[], None]]:
    """Yield what maps the calling process's ids once it is in a user namespace of its own.

    Its own user and group become 0. The ranges that were given to it follow from 1 on, where newuidmap and newgidmap
    are installed and map them; what they say of a failure goes to standard error. The process has one thread only.
    """
    user, group = os.getuid(), os.getgid()
    commands = _commands(os.getpid(), user, group)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(writer)
        _run_when_told(reader, commands)
    os.close(reader)

    def map_ids() -> None:
        os.write(writer, b"x")
        os.waitpid(pid, 0)
        if not _MAPS[0].read_text():
            _MAPS[0].write_text(f"0 {user} 1")
        if not _MAPS[1].read_text():
            Path("/proc/self/setgroups").write_text("deny")
            _MAPS[1].write_text(f"0 {group} 1")

    try:
        yield map_ids
    finally:
        os.close(writer)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def _commands(pid: int, user: int, group: int) -> list[list[str]]:
    """Return the commands that map ids; none unless both kinds can be mapped."""
    programs = [shutil.which(name) for name in _PROGRAMS]
    ranges = subordinate_ids()
    if not all(programs) or not all(ranges):
        return []
    commands = []
    for program, own, given in zip(programs, (user, group), ranges, strict=True):
        words, inside = ["0", str(own), "1"], 1
        for one in given:
            words += [str(inside), str(one.first), str(one.count)]
            inside += one.count
        commands.append([str(program), str(pid), *words])
    return commands


def _run_when_told(reader: int, commands: list[list[str]]) -> None:
    """Be the copy that stays outside; never returns."""
    try:
        if os.read(reader, 1):
            for command in commands:  # which say themselves why they fail
                if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False).returncode:
                    break
    except BaseException as error:  # nothing may unwind into the code of the process that this is a copy of
        print(f"ids are not mapped: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(0)


def _first_free_id() -> int:
    given = (one for file in _RANGES_FILES for one in parse_ranges(_text(file)))
    return max([_FIRST_ID, *(one.first + one.count for one in given)])


def _mapped(file: Path) -> tuple[IdRange, ...]:
    """Return the ids of this user namespace, as seen inside."""
    rows = (line.split() for line in file.read_text().splitlines())
    return tuple(IdRange(int(first), int(count)) for first, _, count in rows)


def _ranges_of(user: int) -> tuple[tuple[IdRange, ...], tuple[IdRange, ...]]:
    names = [str(user), *filter(None, (_user_name(user),))]
    users, groups = (parse_ranges(_text(file), names)[:_RANGES_MAX] for file in _RANGES_FILES)
    return users, groups


def _number_outside() -> int:
    """Return the user id of the calling process, as seen outside of a user namespace that was made by `mapping`."""
    first, outside, count = map(int, _MAPS[0].read_text().splitlines()[0].split())
    return outside if (first, count) == (0, 1) else os.getuid()


def _user_name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return ""


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
