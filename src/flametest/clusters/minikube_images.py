"""The images of ``manifests/images.toml`` in Minikube's nodes: built there from their Dockerfiles, or loaded.

An image whose build context has not changed since it was last built is left as it is. That a build has worked is seen
by the image being there, and by what the log says of each node: ``minikube image build`` ends with exit code 0 even
when the build failed (pkg/minikube/machine/build_images.go returns no error, in 1.37 as in 1.38).
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from flametest.clusters.buildsources import BuildSource
from flametest.clusters.minikube_tool import Minikube
from flametest.clusters.protocol import ClusterError

__all__ = ["build_images", "load_images"]

_LOADED = "loaded"  # in place of a digest
_BUILD_SECONDS_MAX = 1200.0
_LOAD_SECONDS_MAX = 600.0
_LIST_SECONDS_MAX = 120.0
_FAILED_NODES = re.compile(r"failed building to: *(\S.*)")


def build_images(tool: Minikube, sources: Iterable[BuildSource], built: Mapping[str, str]) -> dict[str, str]:
    """Build what is missing or has changed on every node, and return the digest of each image's source.

    Args:
        tool: the running profile.
        sources: the images.
        built: the digests as they were when the images were last made; images that were loaded stay as they are.

    Raises:
        ClusterError: one could not be built.
    """
    present = _present(tool)
    digests = {}
    for source in sources:
        before, is_there = built.get(source.name), _full_name(source.name) in present
        digests[source.name] = _LOADED if is_there and before == _LOADED else source.digest()
        if not is_there or before != digests[source.name]:
            _build(tool, source)
    return digests


def load_images(tool: Minikube, given: Iterable[str], sources: Iterable[BuildSource]) -> dict[str, str]:
    """Load ready images onto every node, and return that for each image.

    Args:
        tool: the running profile.
        given: tar archives, folders of them, or names of images that Docker has here or a registry offers.
        sources: the images that have to be there afterwards.

    Raises:
        ClusterError: one could not be loaded, or one that the manifests need was not among them.
    """
    for image in _archives_in_folders(given):
        tool.run("image", "load", image, seconds_max=_LOAD_SECONDS_MAX)
    names = [source.name for source in sources]
    present = _present(tool)
    missing = [name for name in names if _full_name(name) not in present]
    if missing:
        raise ClusterError(
            f"images that the manifests need are not among those of --images: {', '.join(missing)}",
            "name them as well, tagged exactly so, or leave --images out to have them built",
        )
    return dict.fromkeys(names, _LOADED)


def _build(tool: Minikube, source: BuildSource) -> None:
    said = tool.run(
        *("image", "build", "--all", f"--tag={source.name}", f"--file={source.dockerfile}"),
        # What became of the build on each node is told in this log alone.
        *("--alsologtostderr", str(source.context)),
        seconds_max=_BUILD_SECONDS_MAX,
    )
    failed = _FAILED_NODES.search(said)
    if failed is None and _full_name(source.name) in _present(tool):
        return
    where = f" on {failed[1].strip()}" if failed else ""
    raise ClusterError(
        f"image {source.name} could not be built{where} from {source.context / source.dockerfile}",
        f"read the end of {tool.log}; when the base image could not be pulled, see that the nodes reach its registry, "
        "or build the images elsewhere and name them with --images",
    )


def _present(tool: Minikube) -> frozenset[str]:
    """Return the full names of all images that are on a node."""
    answer = tool.ask("image", "ls", "--format=json", seconds_max=_LIST_SECONDS_MAX)
    try:
        return frozenset(tag for image in json.loads(answer.text) or [] for tag in image.get("repoTags") or [])
    except (ValueError, AttributeError, TypeError) as error:
        raise ClusterError(f"`minikube image ls` gave no list of images: {error}", f"read {tool.log}") from error


def _full_name(name: str) -> str:
    """Return a name as the container runtime lists it, with the registry that it stands for."""
    registry, separator, _ = name.partition("/")
    if separator and ("." in registry or ":" in registry or registry == "localhost"):
        return name
    return f"docker.io/{name if separator else f'library/{name}'}"


def _archives_in_folders(given: Iterable[str]) -> Iterator[str]:
    for image in given:
        if Path(image).is_dir():
            yield from (str(path) for path in sorted(Path(image).glob("*.tar")))
        else:
            yield image
