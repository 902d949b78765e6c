"""What the images of a project are built from: named by ``images.toml`` beside its manifests, or found around them."""

import hashlib
import os
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from flametest.clusters.buildcontext import context_files
from flametest.clusters.protocol import ClusterError
from flametest.manifests import BuildContext

__all__ = ["BuildSource", "found_sources", "read_sources"]

_REMEDY = 'each [[image]] needs name = "repository:tag" and context = "folder", with a Dockerfile'


@dataclass(frozen=True, slots=True)
class BuildSource:
    """What an image is built from.

    Attributes:
        name: repository and tag, as the manifests name it.
        context: the folder of the build context.
        dockerfile: path of the Dockerfile, relative to the context.
        is_found: whether it was found beside the manifests, and not named.
    """

    name: str
    context: Path
    dockerfile: str
    is_found: bool = False

    @property
    def has_dockerfile(self) -> bool:
        """Return whether there is a Dockerfile; that of an image which nobody asks for may be missing."""
        return (self.context / self.dockerfile).is_file()

    def require_dockerfile(self) -> None:
        """Raise unless there is a Dockerfile.

        Raises:
            ClusterError: there is none.
        """
        if not self.has_dockerfile:
            raise ClusterError(f"image {self.name}: {self.context / self.dockerfile} is no file", _REMEDY)

    def digest(self) -> str:
        """Return the SHA-256 over names and contents of the build context, as hexadecimal digits."""
        digest = hashlib.sha256()
        for path in context_files(self.context, self.dockerfile):
            content = os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
            executable = b"x" if not path.is_symlink() and os.stat(path).st_mode & 0o100 else b""
            digest.update(str(path.relative_to(self.context)).encode() + b"\0" + executable + content + b"\0")
        return digest.hexdigest()


def read_sources(images_file: Path | None) -> tuple[BuildSource, ...]:
    """Return the images that ``images_file`` names; none without one.

    Raises:
        ClusterError: it cannot be read, or lacks what an image needs.
    """
    if images_file is None:
        return ()
    root = images_file.absolute().parent.parent
    try:
        images = tomllib.loads(images_file.read_text(encoding="utf-8")).get("image", [])
        return tuple(
            BuildSource(one["name"], root / one["context"], one.get("dockerfile", "Dockerfile")) for one in images
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ClusterError(f"cannot read {images_file}: {error!r}", _REMEDY) from error


def found_sources(contexts: Iterable[BuildContext]) -> tuple[BuildSource, ...]:
    """Return the images whose build contexts were found beside the manifests."""
    return tuple(
        BuildSource(one.image, one.context, os.path.relpath(one.dockerfile, one.context), is_found=True)
        for one in contexts
    )
