"""What is remembered of the Minikube profile that Flametest made: that it is Flametest's, and what was put into it.

The records are made just before the profile and go with it. Without them a profile of the same name is somebody else's.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from flametest.clusters.minikube_failures import RECREATE
from flametest.clusters.protocol import ClusterError

__all__ = ["MinikubeRecords", "ProfileRecord"]


@dataclass(frozen=True, slots=True)
class ProfileRecord:
    """How the profile was made.

    Attributes:
        nodes: how many it has.
        published_port: port of this machine's loopback that leads to the entry where node addresses cannot be reached.
    """

    nodes: int
    published_port: int


class MinikubeRecords:
    """The records in ``folder``, which need not exist."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._profile = folder / "profile.json"
        self._images = folder / "images.json"

    @property
    def exist(self) -> bool:
        """Return whether Flametest made a profile that it has not removed."""
        return self._profile.exists()

    def profile(self) -> ProfileRecord:
        """Return how the profile was made.

        Raises:
            ClusterError: that cannot be read.
        """
        content = _read(self._profile)
        try:
            return ProfileRecord(int(content["nodes"]), int(content["published_port"]))
        except (KeyError, ValueError) as error:
            raise ClusterError(f"{self._profile} cannot be read: {error!r}", RECREATE) from error

    def keep_profile(self, record: ProfileRecord) -> None:
        """Remember how the profile is made."""
        _write(self._profile, asdict(record))

    def images(self) -> dict[str, str]:
        """Return what each image was made from, as `minikube_images` tells it; unreadable records count as none."""
        return _read(self._images)

    def keep_images(self, images: Mapping[str, str]) -> None:
        """Remember what each image was made from."""
        _write(self._images, images)

    def forget(self) -> None:
        """Remove the records, and the kubeconfig, which leads nowhere without the profile."""
        for path in (self._profile, self._images, self._folder / "kubeconfig"):
            path.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, str]:
    with suppress(OSError, ValueError):
        content = json.loads(path.read_text())
        return {str(name): str(value) for name, value in content.items()} if isinstance(content, dict) else {}
    return {}


def _write(path: Path, content: Mapping[str, str | int]) -> None:
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(content, indent=2) + "\n")
    draft.replace(path)
