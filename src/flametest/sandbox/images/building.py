"""Builds images from Dockerfiles, by buildah or by Docker, and takes them into the store.

A builder is asked on the host, by the command that deploys. Base images that the store has are handed to it; it asks no
registry for others. The kernel ends it with the process that waits for it, and with buildah, where root runs it, its
mounts too, since it gets namespaces of its own. https://github.com/containers/buildah/blob/main/docs/buildah-build.1.md
"""

import json
import os
import re
import shutil
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Protocol

from flametest.sandbox import idmaps
from flametest.sandbox.errors import SandboxError
from flametest.sandbox.images.copying import copy_built, load_archive, write_archive
from flametest.sandbox.images.dockerfile import base_images
from flametest.sandbox.images.reference import parse_reference
from flametest.sandbox.images.store import ImageStore, StoredImage

__all__ = ["BuildError", "Buildah", "Builder", "Docker", "Recipe"]

_BUILD_SECONDS_MAX = 1800
_ASK_SECONDS_MAX = 20
_LINES_SHOWN = 15
_STEP = re.compile(r"(?:\[\d+/\d+\] )?(?:STEP|Step) \d+/\d+ ?: .*|#\d+ \[.*\] [A-Z]+ .*")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
_WORDS_OF_BUILDAH = ("Error: ", "subprocess exited ")
_NAMESPACES = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "--")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an image is built from.

    Attributes:
        name: the full name that it gets.
        context: the folder of the build context.
        dockerfile: the Dockerfile.
        bases: those of its base images that the store has, by their names in the Dockerfile.
    """

    name: str
    context: Path
    dockerfile: Path
    bases: Mapping[str, StoredImage] = field(default_factory=dict)


class BuildError(SandboxError):
    """A build failed; ``output`` has the last lines that the builder printed at the step that failed."""

    def __init__(self, message: str, remedy: str, output: tuple[str, ...]) -> None:
        super().__init__(message, remedy)
        self.output = output


class Builder(Protocol):
    """A program that builds images."""

    @property
    def name(self) -> str:
        """Return what users call it."""

    @property
    def refusal(self) -> str:
        """Return why it cannot be used on this machine; empty when it can."""

    def identifier(self, base: str) -> str:
        """Return what identifies an image of the builder's own storage; empty when it has none of that name."""

    def build(self, store: ImageStore, recipe: Recipe, said: Callable[[str], None]) -> StoredImage:
        """Build an image and return it as one of the store; ``said`` gets each step.

        Raises:
            BuildError: it failed; the message names the step.
            SandboxError: the image cannot be taken into the store.
        """


class Buildah:
    """Buildah, with the storage of the user who runs it."""

    name = "buildah"

    @cached_property
    def refusal(self) -> str:
        """Return why buildah cannot be used."""
        if shutil.which(self.name) is None:
            return "buildah is not installed"
        return self._images[1] or ("" if os.geteuid() == 0 else self._lacks_ids)

    def identifier(self, base: str) -> str:
        """Return the id of an image of buildah's storage."""
        full = str(parse_reference(base))
        local = f"localhost/{full.removeprefix('docker.io/').removeprefix('library/')}"
        return self._images[0].get(full) or self._images[0].get(local, "")

    def build(self, store: ImageStore, recipe: Recipe, said: Callable[[str], None]) -> StoredImage:
        """Build an image: each base of the store is an OCI layout, which takes the place of the name."""
        with store.partial() as folder:
            isolation = () if os.environ.get("BUILDAH_ISOLATION") else ("--isolation", "chroot")
            # It looks them up as they are written, before it puts in the values of arguments. Of an image's path it
            # makes a name, in which not every character is allowed: so it gets the path from where it runs.
            contexts = (
                f"--build-context={written}=container-image://oci:{store.layout(recipe.bases[name]).name}:image"
                for written, name in base_images(recipe.dockerfile).items()
                if name in recipe.bases
            )
            file = folder / "id"
            command = (
                *self._apart,
                *(self.name, "build", "--layers", "--pull-never", *isolation, *contexts),
                *("--iidfile", str(file)),
                *("--file", str(recipe.dockerfile.absolute()), str(recipe.context.absolute())),
            )
            try:
                _run(command, recipe, said, store.layouts)
            except BuildError as error:
                # Its isolation by chroot may lose what a step has printed that ends at once. All before it is cached.
                if any(not line.startswith(_WORDS_OF_BUILDAH) for line in error.output):
                    raise
                _run(command, recipe, said, store.layouts)
            return copy_built(store, file.read_text().strip().removeprefix("sha256:"), recipe.name)

    @property
    def _lacks_ids(self) -> str:
        """Return why an ordinary user's buildah cannot build; empty when it can.

        Owners in base images and the groups of a ``RUN`` take ids of others: with one id alone each fails half-way.
        """
        done = _ask((self.name, "unshare", "cat", "/proc/self/uid_map"))
        if isinstance(done, str):
            return f"buildah does not work here: {done}"
        if sum(int(line.split()[2]) for line in done.stdout.splitlines()) > 1:
            return ""
        return f"buildah has the ids of no other users ({idmaps.remedy()})"

    @property
    def _apart(self) -> tuple[str, ...]:
        """Return the words that start buildah in namespaces of its own; an ordinary user's makes them itself."""
        return _NAMESPACES if os.geteuid() == 0 else ()

    @cached_property
    def _images(self) -> tuple[dict[str, str], str]:
        """Return the ids of all images by their names, and why buildah does not tell them."""
        done = _ask((*self._apart, self.name, "images", "--json"))
        if isinstance(done, str):
            return {}, f"buildah does not work here: {done}"
        found = json.loads(done.stdout or "null") or []
        return {name: str(one["id"]) for one in found for name in one.get("names") or ()}, ""


class Docker:
    """A Docker daemon, by the command ``docker``."""

    name = "Docker"

    @cached_property
    def refusal(self) -> str:
        """Return why Docker cannot be used."""
        if shutil.which("docker") is None:
            return "Docker is not installed"
        done = _ask(("docker", "version", "--format", "{{.Server.Version}}"))
        return f"no Docker daemon answers: {done}" if isinstance(done, str) else ""

    def identifier(self, base: str) -> str:
        """Return the id of an image that the daemon has."""
        done = _ask(("docker", "image", "inspect", "--format", "{{.Id}}", base))
        return "" if isinstance(done, str) else done.stdout.strip()

    def build(self, store: ImageStore, recipe: Recipe, said: Callable[[str], None]) -> StoredImage:
        """Build an image: bases that only the store has are given to the daemon under their names."""
        with store.partial() as folder:
            file, archive, base = (folder / name for name in ("id", "image.tar", "base.tar"))
            for name, image in recipe.bases.items():
                if not self.identifier(name):
                    write_archive(store, image, name, base)
                    _run(("docker", "load", "--input", str(base)), recipe, said)
                    base.unlink()
            build = ("docker", "build", "--iidfile", str(file), "--file", str(recipe.dockerfile), str(recipe.context))
            _run(build, recipe, said)
            _run(("docker", "save", "--output", str(archive), file.read_text()), recipe, said)
            (image,) = load_archive(store, archive, recipe.name)
            return image


def _ask(command: Sequence[str]) -> "subprocess.CompletedProcess[str] | str":
    """Return what a command that ends at once has printed, or why it failed."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_ASK_SECONDS_MAX, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return done
    return next(iter(done.stderr.strip().splitlines()[-1:]), f"exit code {done.returncode}")


def _run(command: Sequence[str], recipe: Recipe, said: Callable[[str], None], folder: Path | None = None) -> None:
    """Run a builder to its end, in a folder or where this process is."""
    step, last = "", deque[str](maxlen=_LINES_SHOWN)
    process = subprocess.Popen(
        (*_ENDS_WITH_US, *command),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env={**os.environ, "BUILDKIT_PROGRESS": "plain"},
    )
    assert process.stdout is not None
    limit = threading.Timer(_BUILD_SECONDS_MAX, process.kill)
    limit.start()
    try:
        for printed in process.stdout:
            line = _COLOUR.sub("", printed).rstrip()
            if _STEP.fullmatch(line):
                step = line
                last.clear()
                said(step)
            elif line:
                last.append(line)
        process.wait()
    finally:
        limit.cancel()
        process.kill()
        process.wait()
        process.stdout.close()
    if process.returncode != 0:
        where = f" at {step}" if step else ""
        raise BuildError(
            f"image {recipe.name} could not be built from {recipe.dockerfile}{where}",
            "fix the Dockerfile or what it needs, or have it read and not built by `--build never`",
            tuple(last),
        )
