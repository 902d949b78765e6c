"""What the commands of a RUN install: Python packages by pip, uv, Pipenv and Poetry, and what else changes an image."""

import os
import re
from collections.abc import Callable, Sequence

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from flametest.sandbox.images.commands import INSTALLERS
from flametest.sandbox.images.requirements import (
    Read,
    Requirements,
    missing,
    of_file,
    of_lock,
    of_pipfile,
    of_project,
    of_words,
    project_name,
)

__all__ = ["changes_image", "exports", "requirements_of", "virtual_environment"]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TOOLS = frozenset(("pip", "setuptools", "wheel", "uv", "pipenv", "poetry", "poetry-core", "poetry-plugin-export"))
_PIP = re.compile(r"pip[\d.]*")
_PYTHON = re.compile(r"python[\d.]*")
# Options of pip, uv, Pipenv and Poetry whose value is a word of its own.
_VALUED = _words(
    """
    -b -i -f -t -p --abi --build --cache-dir --config-settings --default-index --exists-action
    --extra-index-url --find-links --global-option --group --implementation --index --index-url --no-binary
    --only --only-binary --only-group --link-mode --platform --prefix --progress-bar --project --proxy
    --python --python-platform --python-version --retries --root --root-user-action --src --target --timeout
    --trusted-host --upgrade-strategy --with --without --index-strategy --no-group --output --format -o
    """
)
# Commands without an effect that a service could miss: users, owners, folders, checks, and clearing up.
_HARMLESS = _words(
    """
    [ [[ addgroup adduser cd chgrp chmod chown date echo exit false fi done find groupadd id install ls
    mkdir printf pwd pyclean rm rmdir set sleep test touch true umask useradd usermod whoami } export unset
    """
)


def requirements_of(command: Sequence[str], read: Read) -> Requirements | None:
    """Return the Python packages that a command installs; None for a command that installs none.

    Raises:
        ValueError: a project or a lock file does not parse.
    """
    tool, words = _tool(command)
    if tool in ("pip", "uv pip") and words[:1] in (["install"], ["sync"]):
        files = words[1:] if words[0] == "install" else [w for f in words[1:] for w in _as_file(f)]
        return _pip(files, read)
    if tool == "pipenv" and words[:1] in (["install"], ["sync"], ["requirements"]):
        return _pipenv(words[0], words[1:], read)
    if tool == "poetry" and words[:1] in (["install"], ["sync"], ["export"]):
        return _locked_project(words[1:], read, "poetry.lock")
    if tool == "uv" and words[:1] in (["sync"], ["export"]):
        return _locked_project(words[1:], read, "uv.lock")
    return None


def exports(command: Sequence[str]) -> bool:
    """Return whether a command writes a requirements file out of a lock."""
    tool, words = _tool(command)
    return (tool in ("poetry", "uv") and words[:1] == ["export"]) or (
        tool == "pipenv" and words[:1] == ["requirements"]
    )


def virtual_environment(command: Sequence[str]) -> str | None:
    """Return the folder of the virtual environment that a command makes; None for a command that makes none."""
    tool, words = _tool(command)
    if tool == "uv" and words[:1] == ["sync"]:
        return ".venv"
    if (tool == "uv" and words[:1] == ["venv"]) or tool == "virtualenv":
        rest = _options(words[1:] if tool == "uv" else words, lambda _option, _value: False)
        return rest[0] if rest else ".venv" if tool == "uv" else None
    if _PYTHON.fullmatch(tool) and words[:1] == ["-m"] and words[1:2] in (["venv"], ["virtualenv"]):
        return next((word for word in words[2:] if not word.startswith("-")), None)
    return None


def changes_image(command: Sequence[str]) -> bool:
    """Return whether a command may change what the image's services run; it installs no Python packages."""
    tool, words = _tool(command)
    if tool in INSTALLERS or tool == "uv pip":
        # The rest are settings and caches of the tools themselves.
        return words[:1] in (["add"], ["run"])
    if tool in ("apt-get", "apt", "apk", "dnf", "yum", "microdnf"):
        return any(word in ("install", "add", "upgrade", "dist-upgrade") for word in words)
    if _PYTHON.fullmatch(tool) and words[:2] in (["-m", "compileall"], ["-m", "ensurepip"]):
        return False
    if virtual_environment(command) is not None:
        return False
    return tool not in _HARMLESS


def _tool(command: Sequence[str]) -> tuple[str, list[str]]:
    """Return the program of a command, whichever way it is called, and its words without leading options."""
    name, words = os.path.basename(command[0]), list(command[1:])
    if _PYTHON.fullmatch(name):
        at = next((at for at, word in enumerate(words) if word == "-m"), None)
        if at is None or at + 1 >= len(words) or words[at + 1] not in INSTALLERS:
            return name, words
        name, words = words[at + 1], words[at + 2 :]
    if _PIP.fullmatch(name):
        name = "pip"
    if name in INSTALLERS:
        words = _after_options(words)
    if name == "uv" and words[:1] == ["pip"]:
        return "uv pip", _after_options(words[1:])
    return name, words


def _after_options(words: list[str]) -> list[str]:
    at = 0
    while at < len(words) and words[at].startswith("-"):
        at += 2 if words[at] in _VALUED else 1
    return words[at:]


def _as_file(word: str) -> list[str]:
    return [word] if word.startswith("-") else ["-r", word]


def _options(words: Sequence[str], take: Callable[[str, str], bool]) -> list[str]:
    """Return the words that are no options; ``take`` is told each option's value and says whether it had one."""
    rest: list[str] = []
    at = 0
    while at < len(words):
        # -Ur stands for -U -r.
        word = re.sub(r"^-[Uqv]+(?=[rce])", "-", words[at])
        following = words[at + 1] if at + 1 < len(words) else ""
        name, equals, value = word.partition("=")
        if word.startswith("--") and equals:
            take(name, value)
        elif re.fullmatch(r"-[rce].+", word) and not word.startswith("--"):
            take(word[:2], word[2:])
        elif word.startswith("-"):
            at += 1 if take(word, following) or word in _VALUED else 0
        else:
            rest.append(word)
        at += 1
    return rest


def _pip(words: Sequence[str], read: Read) -> Requirements:
    found: list[Requirements] = []

    def take(option: str, value: str) -> bool:
        if option in ("-r", "--requirement", "--requirements"):
            found.append(_file(value, read))
        elif option in ("-c", "--constraint", "--constraints"):
            named = _file(value, read)
            unfollowed = tuple(text.replace("-r ", "-c ", 1) for text in named.unfollowed)
            found.append(Requirements(constraints=named.wanted, unfollowed=unfollowed))
        elif option in ("-e", "--editable"):
            found.append(_project(value, read))
        else:
            return False
        return True

    for word in _options(words, take):
        found.append(_project(word, read) if word.startswith((".", "/")) else _without_tools(of_words([word])))
    return sum(found, Requirements())


def _file(path: str, read: Read) -> Requirements:
    """Return what a requirements file asks for; paths in it start from its folder."""
    text = read(path)
    if text is None:
        return Requirements(unfollowed=(f"-r {path}",))
    return of_file(text, lambda name: read(os.path.join(os.path.dirname(path), name)))


def _without_tools(found: Requirements) -> Requirements:
    """Leave out what only installs other packages: the environment has its own way to do that."""
    wanted = tuple(text for text in found.wanted if Requirement(text).name.lower() not in _TOOLS)
    return Requirements(wanted, found.constraints, found.unfollowed)


def _project(word: str, read: Read) -> Requirements:
    """Return what ``pip install FOLDER[EXTRAS]`` asks for: the project's dependencies. Its own code is not built."""
    path, _, extras = word.rstrip("]").partition("[")
    text = read(os.path.join(path, "pyproject.toml"))
    if text is None:
        return Requirements(unfollowed=(word,))
    found = of_project(text, [extra.strip() for extra in extras.split(",") if extra])
    name = project_name(text)
    return found + Requirements(unfollowed=(f"the project {name} itself",)) if name and missing([name]) else found


def _pipenv(action: str, words: Sequence[str], read: Read) -> Requirements:
    found = Requirements()

    def take(option: str, value: str) -> bool:
        nonlocal found
        if option in ("-r", "--requirements"):
            found += _file(value, read)
            return True
        return False

    named = _options(words, take)
    if named or found != Requirements():
        return found + _without_tools(of_words(named))
    pipfile, lock = read("Pipfile"), read("Pipfile.lock")
    if pipfile is None and lock is None:
        return Requirements(unfollowed=(f"pipenv {action} without a Pipfile",))
    return of_pipfile(pipfile or "", None if "--skip-lock" in words else lock)


def _locked_project(words: Sequence[str], read: Read, lock_name: str) -> Requirements:
    extras: list[str] = []

    def take(option: str, value: str) -> bool:
        if option in ("--extra", "--extras", "-E"):
            extras.extend(value.replace(",", " ").split())
            return True
        return False

    _options(words, take)
    text, lock = read("pyproject.toml"), read(lock_name)
    if text is None:
        return Requirements(unfollowed=("a project without a pyproject.toml",))
    locked = Requirements() if lock is None else of_lock(lock)
    return _pinned(of_project(text, extras, all_extras="--all-extras" in words), locked)


def _pinned(found: Requirements, locked: Requirements) -> Requirements:
    """Return requirements with the versions that the lock has chosen."""
    versions = {canonicalize_name(one.name): one for one in map(Requirement, locked.constraints)}

    def pinned(text: str) -> str:
        requirement = Requirement(text)
        chosen = versions.get(canonicalize_name(requirement.name))
        if chosen is not None and not requirement.url:
            requirement.specifier = chosen.specifier
        return str(requirement)

    return Requirements(tuple(map(pinned, found.wanted)), locked.constraints, found.unfollowed)
