"""What a requirements file, a project or a lock file asks for, and which of it the sandbox's own environment lacks.

Pure but for `missing`, which looks at the installed distributions. Requirements are kept as text in the form of
PEP 508, as pip takes them: https://packaging.python.org/en/latest/specifications/dependency-specifiers/
"""

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

__all__ = [
    "Read",
    "Requirements",
    "missing",
    "of_file",
    "of_lock",
    "of_pipfile",
    "of_project",
    "of_words",
    "project_name",
]

Read = Callable[[str], str | None]
"""Returns the text of a file of the image, by its path; None when the image has no such file."""


@dataclass(frozen=True, slots=True)
class Requirements:
    """What is to be installed.

    Attributes:
        wanted: requirements in the form of PEP 508.
        constraints: in the same form; what they name is not wanted for itself.
        unfollowed: what is asked for in another way, such as a folder or the address of a repository.
    """

    wanted: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    unfollowed: tuple[str, ...] = ()

    def __add__(self, other: "Requirements") -> "Requirements":
        """Return both, each requirement once."""
        return Requirements(
            tuple(dict.fromkeys(self.wanted + other.wanted)),
            tuple(dict.fromkeys(self.constraints + other.constraints)),
            tuple(dict.fromkeys(self.unfollowed + other.unfollowed)),
        )


def missing(wanted: Iterable[str], *, extras: bool = True) -> tuple[str, ...]:
    """Return those of the requirements that this interpreter's environment does not satisfy, with or without extras."""
    asking = frozenset[str]()
    return tuple(text for text in wanted if not _satisfied(Requirement(text), asking, look_at_extras=extras))


def _satisfied(requirement: Requirement, asking: frozenset[str], *, look_at_extras: bool = True) -> bool:
    if requirement.marker is not None and not requirement.marker.evaluate():
        return True
    try:
        found = metadata.distribution(requirement.name)
    except metadata.PackageNotFoundError:
        return False
    if not requirement.specifier.contains(found.version, prereleases=True):
        return False
    name = canonicalize_name(requirement.name)
    extras = {canonicalize_name(extra) for extra in requirement.extras}
    if not look_at_extras or not extras or name in asking:
        return True
    dependencies = [Requirement(text) for text in found.requires or ()]
    return all(_satisfied(_without_marker(one), asking | {name}) for one in dependencies if _of_extra(one, extras))


def _of_extra(requirement: Requirement, extras: Iterable[str]) -> bool:
    """Return whether it is for one of the extras that a distribution requires this."""
    marker = requirement.marker
    return (
        marker is not None
        and not marker.evaluate({"extra": ""})
        and any(marker.evaluate({"extra": extra}) for extra in extras)
    )


def _without_marker(requirement: Requirement) -> Requirement:
    plain = Requirement(str(requirement))
    plain.marker = None
    return plain


def of_words(words: Iterable[str]) -> Requirements:
    """Return what words ask for; those that are no requirement of PEP 508 are not followed."""
    wanted, unfollowed = [], []
    for word in words:
        try:
            wanted.append(str(Requirement(word)))
        except InvalidRequirement:
            unfollowed.append(word)
    return Requirements(tuple(wanted), (), tuple(unfollowed))


def of_file(text: str, read: Read) -> Requirements:
    """Return what a requirements file asks for, the files that it names included.

    Format: https://pip.pypa.io/en/stable/reference/requirements-file-format/
    """
    found = Requirements()
    for raw in re.sub(r"\\\r?\n", " ", text).splitlines():
        line = re.sub(r"(^|\s)#.*", "", raw).strip()
        # Options of one requirement, such as the hashes of its archives.
        line = re.sub(r"\s--?[a-z][\w-]*(=|\s).*", "", line).strip() if not line.startswith("-") else line
        option = re.match(r"(-r|-c|-e|--requirement|--constraint|--editable)[\s=]*(.+)", line)
        if option is None:
            found += of_words([line] if line and not line.startswith("-") else [])
        elif option[1] in ("-e", "--editable") or (named := read(option[2])) is None:
            found += Requirements(unfollowed=(line,))
        elif option[1] in ("-r", "--requirement"):
            found += of_file(named, read)
        else:
            found += Requirements(constraints=of_file(named, read).wanted)
    return found


def of_project(text: str, extras: Iterable[str] = (), *, all_extras: bool = False) -> Requirements:
    """Return the dependencies that a pyproject.toml names, by its ``project`` table or by that of Poetry.

    Raises:
        ValueError: it does not parse.
    """
    content = tomllib.loads(text)
    project = content.get("project", {})
    optional = project.get("optional-dependencies", {})
    chosen = optional if all_extras else {canonicalize_name(extra) for extra in extras}
    words = list(project.get("dependencies", ()))
    for name, more in optional.items():
        words += more if name in chosen or canonicalize_name(name) in chosen else ()
    poetry = content.get("tool", {}).get("poetry", {}).get("dependencies", {})
    named = [] if words else [_of_table(name, value) for name, value in poetry.items() if name.lower() != "python"]
    return of_words(words + named)


def project_name(text: str) -> str:
    """Return the name of a project by its pyproject.toml; empty when it has none. Raises ValueError as `of_project`."""
    content = tomllib.loads(text)
    return str(content.get("project", {}).get("name") or content.get("tool", {}).get("poetry", {}).get("name") or "")


def of_pipfile(text: str, lock: str | None) -> Requirements:
    """Return what a Pipfile asks for, or its lock when there is one; what is for development only is left out.

    Raises:
        ValueError: it does not parse.
    """
    packages = tomllib.loads(text).get("packages", {}) if lock is None else json.loads(lock).get("default", {})
    return of_words(_of_table(name, value) for name, value in packages.items())


def of_lock(text: str) -> Requirements:
    """Return as constraints the versions that a poetry.lock or uv.lock has chosen.

    A lock may hold several versions of one distribution, each for other machines: those are left to pip.

    Raises:
        ValueError: it does not parse.
    """
    versions: dict[str, set[str]] = {}
    for package in tomllib.loads(text).get("package", ()):
        if "version" in package and not {"virtual", "editable", "directory", "git"} & set(package.get("source", {})):
            versions.setdefault(package["name"], set()).add(package["version"])
    return Requirements(constraints=tuple(f"{name}=={one}" for name, [one, *more] in _listed(versions) if not more))


def _listed(versions: Mapping[str, set[str]]) -> list[tuple[str, list[str]]]:
    return [(name, sorted(found)) for name, found in versions.items()]


def _of_table(name: str, value: Any) -> str:
    """Return an entry of a Pipfile or of Poetry's table as a requirement of PEP 508, as far as it is one."""
    if not isinstance(value, Mapping):
        return f"{name}{_specifier(str(value))}"
    for source in ("git", "path", "url", "file"):
        if source in value:
            return f"{name} from {source} {value[source]}"
    extras = f"[{','.join(value['extras'])}]" if value.get("extras") else ""
    marker = f" ; {value['markers']}" if value.get("markers") else ""
    return f"{name}{extras}{_specifier(str(value.get('version', '*')))}{marker}"


def _specifier(text: str) -> str:
    """Return a version as Poetry and Pipenv put it as a specifier: ``^1.2``, ``~1.2``, ``1.2`` and ``*`` are theirs."""
    return ",".join(filter(None, (_one_specifier(part.strip()) for part in text.split(","))))


def _one_specifier(text: str) -> str:
    if text == "*":
        return ""
    if text[:1] in ("<", ">", "=", "!") or text.startswith("~="):
        return text
    if text[:1] not in ("^", "~"):
        return f"=={text}"
    try:
        release = Version(text[1:]).release
    except InvalidVersion:
        return text
    if text[0] == "^":
        # The first part that is not zero may not change.
        fixed = next((at for at, part in enumerate(release) if part), len(release) - 1)
    else:
        fixed = min(1, len(release) - 1)
    below = [*release[:fixed], release[fixed] + 1]
    return f">={text[1:]},<{'.'.join(map(str, below))}"
