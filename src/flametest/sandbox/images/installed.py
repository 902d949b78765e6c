"""What the RUN instructions of one build stage would have done, noted while its Dockerfile is read."""

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from string import Template

from flametest.sandbox.images.commands import read_run
from flametest.sandbox.images.image import Bind, Image, Link, Packages
from flametest.sandbox.images.installs import changes_image, exports, requirements_of, virtual_environment
from flametest.sandbox.images.requirements import Read, Requirements, missing

__all__ = ["Installed", "Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a RUN instruction runs: what it sees, and the variables of ARG and ENV."""

    context: Path
    working_directory: str
    binds: Sequence[Bind]
    variables: Mapping[str, str]


@dataclass(slots=True)
class Installed:
    """What has been installed, and what could not be followed, each by its instruction."""

    packages: list[tuple[str, Requirements]] = field(default_factory=list)
    unfollowed: list[str] = field(default_factory=list)
    virtual_environments: list[str] = field(default_factory=list)
    has_exported: bool = False

    def copy(self) -> "Installed":
        """Return what a stage starts from that builds upon this one."""
        return Installed(list(self.packages), list(self.unfollowed), list(self.virtual_environments), self.has_exported)

    def take_over(self, origin: "Installed") -> None:
        """Note that what an earlier stage has installed or built may have been copied out of it."""
        self.packages += [one for one in origin.packages if one not in self.packages]
        self.unfollowed += [one for one in origin.unfollowed if one not in self.unfollowed]
        self.virtual_environments += origin.virtual_environments
        self.has_exported = self.has_exported or origin.has_exported

    def run(self, value: str, place: Place) -> None:
        """Take one RUN instruction.

        Raises:
            ValueError: it installs from what is not there, or what does not parse; the message names the command.
        """
        try:
            run = read_run(value)
        except ValueError:
            self.unfollowed.append(_instruction(value))
            return
        mounted = [
            Bind(str(place.context / source), os.path.normpath(os.path.join(place.working_directory, target)))
            for target, source in run.mounts
        ]
        seen = (*mounted, *reversed(place.binds))
        folder = place.working_directory
        for command in run.commands:
            if command[0] == "cd":
                folder = os.path.join(folder, *command[1:2])
            else:
                self._command(command, folder, place.variables, _reader(seen, folder))

    def _command(self, command: Sequence[str], folder: str, variables: Mapping[str, str], read: Read) -> None:
        instruction = _instruction(" ".join(command))
        words = [part for word in command for part in (Template(word).safe_substitute(variables).split() or [word])]
        self.has_exported = self.has_exported or exports(words)
        if (made := virtual_environment(words)) is not None:
            self.virtual_environments.append(os.path.normpath(os.path.join(folder, made)))
        try:
            found = requirements_of(words, read)
        except (ValueError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(f"{instruction}: {error}") from error
        if found is None:
            self.unfollowed += [instruction] if changes_image(words) else []
            return
        self.packages.append((instruction, found))
        for text in found.unfollowed:
            if not text.startswith("-r "):
                self.unfollowed.append(f"{instruction} ({text})")
            elif not self.has_exported:
                raise ValueError(f"{instruction}: no COPY brings the file {text.removeprefix('-r ')}")

    def image(self, base: Image, dockerfile: Path, binds: Sequence[Bind]) -> Image:
        """Return an image with what was installed upon its base."""
        links = (*base.links, *self._links(binds))
        return replace(
            base,
            links=links,
            packages=self._packages(base.packages, dockerfile),
            notice=self._notice(base.notice, dockerfile),
        )

    def _links(self, binds: Iterable[Bind]) -> Iterator[Link]:
        """Yield links in place of the virtual environments that RUN makes: to the one that the image runs by."""
        for path in dict.fromkeys(self.virtual_environments):
            if not any(bind.target == path or bind.target.startswith(f"{path}/") for bind in binds):
                yield Link(path, sys.prefix)

    def _packages(self, base: Packages | None, dockerfile: Path) -> Packages | None:
        """Return what the image has to have installed, its base's included; None for nothing at all."""
        first = Requirements(base.wanted, base.constraints) if base else Requirements()
        found = sum((one for _, one in self.packages), first)
        if not found.wanted:
            return None
        lacking = missing(found.wanted)
        asking = [f"{dockerfile}: {text}" for text, one in self.packages if set(lacking) & set(one.wanted)]
        instruction = asking[0] if asking else base.instruction if base else ""
        extras_only = bool(lacking) and not missing(found.wanted, extras=False)
        return Packages(found.wanted, found.constraints, lacking, instruction, extras_only)

    def _notice(self, base: str, dockerfile: Path) -> str:
        if not self.unfollowed:
            return base
        told = f"{dockerfile} is read and not built; not followed: {'; '.join(dict.fromkeys(self.unfollowed))}"
        return f"{base}; {told}" if base else told


def _instruction(command: str) -> str:
    """Return a command as it is told to users: without passwords of addresses."""
    return re.sub(r"//[^/@\s]+@", "//***@", f"RUN {command}")


def _reader(binds: Iterable[Bind], folder: str) -> Read:
    """Return how a file of the stage is read by its path from a folder; of several binds the first counts."""

    def read(path: str) -> str | None:
        path = os.path.normpath(os.path.join(folder, path))
        for bind in binds:
            target = bind.target.rstrip("/")
            if path == target or path.startswith(f"{target}/"):
                file = Path(bind.source + path[len(target) :])
                if file.is_file():
                    return file.read_text(encoding="utf-8")
        return None

    return read
