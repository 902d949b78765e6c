"""How an image is read from its Dockerfile, without building it.

ENV, WORKDIR, USER, ENTRYPOINT, CMD, STOPSIGNAL and VOLUME become the image's configuration. COPY of the context's files
becomes read-only binds at their destination, so a change of the source is seen by the next pod. RUN is not executed:
the Python packages that it installs are those of the interpreter that runs the sandbox where these satisfy it, else
the image asks for an environment of its own (`Packages`). What else a RUN may have changed is named in the notice.
Format: https://docs.docker.com/reference/dockerfile/
"""

import io
import json
import os
import re
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import takewhile
from pathlib import Path

from dockerfile_parse import DockerfileParser
from dockerfile_parse.util import WordSplitter, extract_key_values

from flametest.sandbox.images.commands import without_here_documents, without_runner
from flametest.sandbox.images.image import Bind, Folder, Image
from flametest.sandbox.images.installed import Installed, Place

__all__ = ["DockerfileError", "base_images", "read_dockerfile"]

_USER_ADDED = re.compile(
    r"\b(?:useradd|adduser)\b[^&|;]*?(?:-u|--uid)[ =](\d+)[^&|;]*?\s([A-Za-z_][\w-]*)\s*(?:[&|;]|$)"
)
_UNNAMED_USER = 1000
_FROM_OPTION = re.compile(r"(?:--|[,=])from=([^\s,]+)")


class DockerfileError(Exception):
    """A Dockerfile cannot be used; the message names the line's instruction."""


@dataclass(slots=True)
class _Stage:
    """What has been read of one build stage."""

    image: Image
    environment: dict[str, str]
    arguments: dict[str, str] = field(default_factory=dict)
    binds: list[Bind] = field(default_factory=list)
    folders: list[Folder] = field(default_factory=list)
    users: dict[str, int] = field(default_factory=dict)
    entrypoint_set: bool = False
    installed: Installed = field(default_factory=Installed)


def read_dockerfile(reference: str, context: Path, dockerfile: Path, base: Callable[[str], Image]) -> Image:
    """Return the image that a Dockerfile describes; ``base`` finds the image of a FROM.

    Raises:
        DockerfileError: it is not readable, or copies or installs from what is not there.
    """
    reader = _Reader(context, base)
    for instruction, value in _instructions(dockerfile):
        reader.read(instruction, value)
    return reader.image(reference, dockerfile)


def base_images(dockerfile: Path) -> dict[str, str]:
    """Return the names of the images that a Dockerfile begins with or copies from, by how they are written there.

    Raises:
        DockerfileError: it is not readable, or has no FROM.
    """
    arguments: dict[str, str] = {}
    stages: set[str] = {"scratch"}
    found: dict[str, str] = {}
    begun = False
    for instruction, value in _instructions(dockerfile):
        if instruction == "ARG" and not begun:
            defaults = _argument(value).items()
            arguments |= {name: " ".join(_words(default, arguments, {})) for name, default in defaults}
        elif instruction == "FROM":
            begun = True
            written = next(word for word in value.split() if not word.startswith("--"))
            words = [word for word in _words(value, arguments, {}) if not word.startswith("--")]
            found |= {written: words[0]} if words[0].lower() not in stages else {}
            stages |= {name.lower() for name in words[2:3]}
        elif instruction in ("COPY", "ADD", "RUN"):
            options = " ".join(takewhile(lambda word: word.startswith("--"), value.split()))
            named = (name for name in _FROM_OPTION.findall(options) if not name.isdigit())
            found |= {name: name for name in named if name.lower() not in stages}
    if not begun:
        raise DockerfileError("the Dockerfile has no FROM")
    return found


def _instructions(dockerfile: Path) -> Iterator[tuple[str, str]]:
    """Yield instruction and value of each line of a Dockerfile."""
    try:
        text = dockerfile.read_bytes()
    except OSError as error:
        raise DockerfileError(f"cannot read {dockerfile}: {error.strerror}") from error
    text = without_here_documents(text.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
    for one in DockerfileParser(fileobj=io.BytesIO(text), env_replace=False).structure:
        yield one["instruction"], one["value"]


class _Reader:
    """Reads instruction after instruction; the last stage is the image."""

    def __init__(self, context: Path, base: Callable[[str], Image]) -> None:
        self._context = context
        self._base = base
        self._arguments: dict[str, str] = {}
        self._stages: dict[str, _Stage] = {}
        self._stage: _Stage | None = None

    def read(self, instruction: str, value: str) -> None:
        """Take one instruction."""
        if instruction == "FROM":
            self._from(value)
        elif self._stage is None:
            if instruction == "ARG":
                self._arguments.update(_argument(value))
        elif (method := getattr(self, f"_{instruction.lower()}", None)) is not None:
            method(self._stage, value)

    def image(self, reference: str, dockerfile: Path) -> Image:
        """Return the last stage as an image."""
        if self._stage is None:
            raise DockerfileError("the Dockerfile has no FROM")
        stage = self._stage
        return replace(
            stage.installed.image(stage.image, dockerfile, stage.binds),
            reference=reference,
            is_stand_in=False,
            environment=tuple(stage.environment.items()),
            binds=(*stage.image.binds, *stage.binds),
            folders=(*stage.image.folders, *stage.folders),
            entrypoint=without_runner(stage.image.entrypoint),
            command=stage.image.command if stage.image.entrypoint else without_runner(stage.image.command),
        )

    def _from(self, value: str) -> None:
        words = [word for word in _words(value, self._arguments, {}) if not word.startswith("--")]
        name = words[0]
        if name in self._stages:
            before = self._stages[name]
            self._stage = replace(
                before,
                environment=dict(before.environment),
                binds=list(before.binds),
                folders=list(before.folders),
                installed=before.installed.copy(),
            )
        else:
            image = Image("scratch") if name == "scratch" else self._base(name)
            self._stage = _Stage(image, dict(image.environment))
        self._stages[str(len(self._stages))] = self._stage
        if len(words) == 3 and words[1].upper() == "AS":
            self._stages[words[2]] = self._stage

    def _arg(self, stage: _Stage, value: str) -> None:
        for name, default in _argument(value).items():
            stage.arguments[name] = default or self._arguments.get(name, "")

    def _env(self, stage: _Stage, value: str) -> None:
        pairs = extract_key_values(
            env_replace=True, args=stage.arguments, envs=stage.environment, instruction_value=value
        )
        stage.environment.update(pairs)

    def _workdir(self, stage: _Stage, value: str) -> None:
        path = " ".join(_words(value, stage.arguments, stage.environment))
        stage.image = replace(
            stage.image, working_directory=os.path.normpath(os.path.join(stage.image.working_directory, path))
        )

    def _user(self, stage: _Stage, value: str) -> None:
        user, _, group = "".join(_words(value, stage.arguments, stage.environment)).partition(":")
        if user.isdigit():
            number, name = int(user), ""
        else:
            number, name = 0 if user == "root" else stage.users.get(user, _UNNAMED_USER), user
        if user == stage.image.user_name and name:
            number = stage.image.user
        home = "/root" if number == 0 else f"/home/{name}" if name else "/"
        found_group = int(group) if group.isdigit() else (number if name else 0)
        stage.image = replace(stage.image, user=number, group=found_group, user_name=name, home=home)

    def _cmd(self, stage: _Stage, value: str) -> None:
        stage.image = replace(stage.image, command=_command(value))

    def _entrypoint(self, stage: _Stage, value: str) -> None:
        # An entrypoint forgets the base image's command, which was meant for the base's entrypoint.
        command = stage.image.command if stage.entrypoint_set else ()
        stage.image = replace(stage.image, entrypoint=_command(value), command=command)
        stage.entrypoint_set = True

    def _stopsignal(self, stage: _Stage, value: str) -> None:
        name = "".join(_words(value, stage.arguments, stage.environment))
        try:
            number = int(name) if name.isdigit() else int(signal.Signals[f"SIG{name.removeprefix('SIG')}"])
        except KeyError as error:
            raise DockerfileError(f"STOPSIGNAL {name}: no such signal") from error
        stage.image = replace(stage.image, stop_signal=number)

    def _volume(self, stage: _Stage, value: str) -> None:
        paths = json.loads(value) if value.startswith("[") else _words(value, stage.arguments, stage.environment)
        stage.folders += [Folder(path, 0o777, volatile=True) for path in paths]

    def _add(self, stage: _Stage, value: str) -> None:
        self._copy(stage, value)

    def _copy(self, stage: _Stage, value: str) -> None:
        options = [word for word in value.split() if word.startswith("--")]
        rest = value.split(None, len(options))[-1] if options else value
        words = json.loads(rest) if rest.startswith("[") else _words(rest, stage.arguments, stage.environment)
        *sources, last = words
        target = os.path.normpath(os.path.join(stage.image.working_directory, last))
        into = last.endswith("/") or len(sources) > 1 or last in (".", "./")
        origin = next((option.partition("=")[2] for option in options if option.startswith("--from=")), None)
        if origin in self._stages:
            stage.installed.take_over(self._stages[origin].installed)
        for source in sources:
            if origin is not None:
                stage.binds += _moved(self._stages.get(origin), source, target)
            else:
                stage.binds += self._binds(source, target, into=into)

    def _binds(self, source: str, target: str, *, into: bool) -> Iterator[Bind]:
        """Yield the binds of one source of the context; a folder gives its contents, as in a build."""
        found = sorted(self._context.glob(source.lstrip("/"))) if source not in (".", "./", "/") else [self._context]
        if not found:
            raise DockerfileError(f"COPY {source}: not found in {self._context}")
        for path in found:
            if path.is_dir():
                for entry in sorted(path.iterdir()):
                    if entry.name not in ("__pycache__", ".git"):
                        yield Bind(str(entry.resolve()), os.path.join(target, entry.name))
            else:
                yield Bind(str(path.resolve()), os.path.join(target, path.name) if into else target)

    def _run(self, stage: _Stage, value: str) -> None:
        for match in _USER_ADDED.finditer(value):
            stage.users[match[2]] = int(match[1])
        variables = stage.arguments | stage.environment
        place = Place(self._context, stage.image.working_directory, stage.binds, variables)
        try:
            stage.installed.run(value, place)
        except ValueError as error:
            raise DockerfileError(str(error)) from error


def _words(value: str, arguments: dict[str, str], environment: dict[str, str]) -> list[str]:
    return [str(word) for word in WordSplitter(value, args=arguments, envs=environment).split()]


def _argument(value: str) -> dict[str, str]:
    name, _, default = value.partition("=")
    return {name.strip(): default.strip().strip("\"'")}


def _command(value: str) -> tuple[str, ...]:
    """Return a command line of ENTRYPOINT or CMD: the exec form is JSON, all else is for the shell."""
    if value.lstrip().startswith("["):
        try:
            return tuple(str(word) for word in json.loads(value))
        except ValueError:
            pass
    return ("/bin/sh", "-c", value)


def _moved(stage: _Stage | None, source: str, target: str) -> Iterator[Bind]:
    """Yield what an earlier stage has copied below ``source``; what it has built there is not there."""
    if stage is None:
        return
    path = os.path.normpath(os.path.join("/", source))
    for bind in stage.binds:
        if bind.target == path or bind.target.startswith(path.rstrip("/") + "/"):
            yield replace(bind, target=target + bind.target[len(path.rstrip("/")) :])
