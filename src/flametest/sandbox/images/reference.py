"""Names of images, as container runtimes read them. Pure.

Grammar and default parts: https://github.com/distribution/reference (domain, path, tag, digest).
"""

import re
from dataclasses import dataclass

__all__ = ["DEFAULT_REGISTRY", "InvalidReferenceError", "Reference", "parse_reference"]

DEFAULT_REGISTRY = "docker.io"
_ALIASES = ("index.docker.io", "registry-1.docker.io")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_DOMAIN = re.compile(
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?"
)
_PATH_LENGTH_MAX = 255


class InvalidReferenceError(ValueError):
    """A text that names no image; the message says why."""


@dataclass(frozen=True, slots=True)
class Reference:
    """The name of an image in full.

    Attributes:
        registry: host and, where it is given, port.
        repository: the path in the registry, ``library/nginx`` for ``nginx``.
        tag: ``latest`` where neither tag nor digest is given; empty beside a digest alone.
        digest: such as ``sha256:...``; empty without one.
    """

    registry: str
    repository: str
    tag: str
    digest: str

    def __str__(self) -> str:
        """Return the full name, such as ``docker.io/library/nginx:latest``."""
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.full_repository}{tag}{f'@{self.digest}' if self.digest else ''}"

    @property
    def full_repository(self) -> str:
        """Return registry and repository, such as ``docker.io/library/nginx``."""
        return f"{self.registry}/{self.repository}"

    @property
    def fetched(self) -> str:
        """Return what a registry is asked for: the digest decides where there is one."""
        return f"{self.full_repository}{f'@{self.digest}' if self.digest else f':{self.tag}'}"

    @property
    def familiar(self) -> str:
        """Return the short name of the repository, such as ``nginx``: without what is taken for granted."""
        if self.registry != DEFAULT_REGISTRY:
            return f"{self.registry}/{self.repository}"
        return self.repository.removeprefix("library/")


def parse_reference(text: str) -> Reference:
    """Return the image that ``text`` names.

    Raises:
        InvalidReferenceError: it names none.
    """
    name, _, digest = text.partition("@")
    if "@" in text and not _DIGEST.fullmatch(digest):
        raise InvalidReferenceError(f"{text!r}: invalid digest {digest!r}")
    head, slash, last = name.rpartition("/")
    last, colon, tag = last.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise InvalidReferenceError(f"{text!r}: invalid tag {tag!r}")
    registry, repository = _split(head + slash + last)
    if not _DOMAIN.fullmatch(registry) or not _PATH.fullmatch(repository) or len(repository) > _PATH_LENGTH_MAX:
        upper = "; a repository's name is in lower case" if repository != repository.lower() else ""
        raise InvalidReferenceError(f"{text!r}: invalid reference format{upper}")
    return Reference(registry, repository, tag or ("" if digest else "latest"), digest)


def _split(path: str) -> tuple[str, str]:
    """Return registry and repository; a first part is a registry when it can be no folder of the default one."""
    first, slash, rest = path.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        first, rest = DEFAULT_REGISTRY, path
    if first in _ALIASES:
        first = DEFAULT_REGISTRY
    if first == DEFAULT_REGISTRY and "/" not in rest:
        rest = f"library/{rest}"
    return first, rest
