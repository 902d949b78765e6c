"""The catalogue of images that need no registry: those of the project, and stand-ins for well-known ones.

Four sources, first match wins: images handed over by the caller, the images of the repository's
``manifests/images.toml`` (read from their Dockerfile), the images whose build contexts were found beside the manifests
(read likewise), and the built-in entries for the official images of redis, postgres, nginx, busybox and python. The
catalogue lives as long as the agent; Dockerfiles are read again when they or what they copy have changed.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from flametest.sandbox.errors import SandboxError
from flametest.sandbox.images import builtin
from flametest.sandbox.images.dockerfile import DockerfileError, read_dockerfile
from flametest.sandbox.images.errors import PullError, PullFailure
from flametest.sandbox.images.image import Image
from flametest.sandbox.images.offered import Offers
from flametest.sandbox.images.reference import InvalidReferenceError, parse_reference

__all__ = ["Catalogue", "normal_reference", "not_found"]


@dataclass(frozen=True, slots=True)
class _Entry:
    """An image of images.toml."""

    context: Path
    dockerfile: Path


def normal_reference(reference: str) -> tuple[str, str]:
    """Return a reference as (name, tag): without the default registry, ``latest`` where there is no tag.

    A digest is not a tag: it is left out, since neither a Dockerfile nor a stand-in has one.

    Raises:
        InvalidReferenceError: it is no reference.
    """
    parsed = parse_reference(reference)
    return parsed.familiar, parsed.tag or "latest"


class Catalogue:
    """Finds images by reference."""

    def __init__(
        self,
        images_file: Path | None = None,
        extra: Mapping[str, Image] | None = None,
        *,
        offers: Offers | None = None,
    ) -> None:
        """Read ``images_file``.

        Its format: ``[[image]]`` with name, context relative to the repository, and dockerfile relative to the
        context (``Dockerfile`` where it is left out). ``offers`` are contexts that were found.

        Raises:
            SandboxError: the file does not parse.
        """
        self._extra = {normal_reference(name): image for name, image in (extra or {}).items()}
        self._offers = offers
        self._entries = {} if images_file is None else _entries(images_file)
        self._read: dict[tuple[tuple[str, str], _Entry], tuple[tuple[float, ...], Image]] = {}
        self._built_in: dict[tuple[str, str], Image | None] = {}

    def image(self, reference: str) -> Image:
        """Return an image.

        Raises:
            PullError: nothing has that name, or its Dockerfile cannot be used.
        """
        if (found := self._any(reference)) is None:
            raise PullError(not_found(reference))
        return found

    def own(self, reference: str) -> Image | None:
        """Return an image that the caller or the project brings; None when neither has one of that name.

        Raises:
            PullError: its Dockerfile cannot be used, or the reference is none.
        """
        name = _name(reference)
        if name in self._extra:
            return self._extra[name]
        return self._from_dockerfile(reference, name, self._entries[name]) if name in self._entries else None

    def is_found(self, reference: str) -> bool:
        """Return whether the image's build context was found beside the manifests."""
        return self._offers is not None and self._offers.find(reference) is not None

    def found(self, reference: str) -> Image | None:
        """Return an image whose build context was found beside the manifests; None when none was.

        Raises:
            PullError: its Dockerfile cannot be used, or the reference is none.
        """
        name, offer = _name(reference), None if self._offers is None else self._offers.find(reference)
        return None if offer is None else self._from_dockerfile(reference, name, _Entry(*offer))

    def stand_in(self, reference: str) -> Image | None:
        """Return what stands for a well-known image; None when nothing does.

        Raises:
            PullError: the reference is none.
        """
        name = _name(reference)
        if name not in self._built_in:
            found = builtin.find(*name)
            self._built_in[name] = None if found is None else replace(found, is_stand_in=True)
        return self._built_in[name]

    def _any(self, reference: str) -> Image | None:
        return self.own(reference) or self.found(reference) or self.stand_in(reference)

    def _base(self, reference: str) -> Image:
        """Return the image of a FROM.

        Raises:
            DockerfileError: it is none that a Dockerfile can be read upon.
            PullError: it is one of the project's own, and cannot be had itself.
        """
        if (found := self._any(reference)) is None:
            raise DockerfileError(
                f"FROM {reference}: not found: a Dockerfile is read, not built, and only upon scratch, images of the "
                f"project, and stand-ins for {', '.join(builtin.NAMES)}; build it elsewhere, and bring the image by "
                "`flametest images load` or a registry"
            )
        return found

    def _from_dockerfile(self, reference: str, name: tuple[str, str], entry: _Entry) -> Image:
        try:
            known = self._read.get((name, entry))
            if known is None or _lacks(known[1]) or known[0] != _changes(entry.dockerfile, known[1]):
                image = read_dockerfile(reference, entry.context, entry.dockerfile, self._base)
                known = self._read[name, entry] = (_changes(entry.dockerfile, image), image)
        except DockerfileError as error:
            raise PullError(f'failed to build image "{reference}" from {entry.dockerfile}: {error}') from error
        return known[1]


def not_found(reference: str) -> str:
    """Return what is said of an image that nothing here has, as containerd puts it."""
    full = str(parse_reference(reference))
    return (
        f'failed to pull and unpack image "{full}": failed to resolve image: {full}: not found '
        f"(the sandbox runs the images of manifests/images.toml, stand-ins for {', '.join(builtin.NAMES)}, "
        "and, where skopeo and umoci are installed, what registries have)"
    )


def _name(reference: str) -> tuple[str, str]:
    try:
        return normal_reference(reference)
    except InvalidReferenceError as error:
        message = f"Failed to apply default image tag {reference!r}: couldn't parse image name: {error}"
        raise PullError(message, PullFailure.NAME) from error


def _lacks(image: Image) -> bool:
    """Return whether packages were missing beside the sandbox when its Dockerfile was read; they may be there now."""
    return image.packages is not None and bool(image.packages.missing)


def _changes(dockerfile: Path, image: Image) -> tuple[float, ...]:
    """Return when the Dockerfile and each file that it copies last changed, the requirements among them."""
    return tuple(_changed(path) for path in (dockerfile, *(Path(bind.source) for bind in image.binds)))


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _entries(images_file: Path) -> dict[tuple[str, str], _Entry]:
    remedy = 'each [[image]] needs name = "repository:tag" and context = "folder", both text'
    try:
        content = tomllib.loads(images_file.read_text(encoding="utf-8"))
        root = images_file.resolve().parent.parent
        entries = {}
        for image in content.get("image", []):
            context = root / image["context"]
            entries[normal_reference(image["name"])] = _Entry(context, context / image.get("dockerfile", "Dockerfile"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise SandboxError(f"cannot read {images_file}: {error}", remedy) from error
    return entries
