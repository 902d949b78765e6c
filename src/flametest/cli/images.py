"""``flametest images``: the sandbox's own store of real images."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from flametest.cli.commands import state_files
from flametest.clusters.buildsources import read_sources
from flametest.clusters.protocol import ClusterError
from flametest.clusters.sandbox_images import BuildWhen, ImageMaker
from flametest.run.exitcodes import ExitCode
from flametest.sandbox.errors import SandboxError
from flametest.sandbox.images import ImageStore, PullError, StoredImage
from flametest.sandbox.images.builds import builds_by_digest
from flametest.sandbox.images.copying import load_archive, pull
from flametest.sandbox.images.reference import InvalidReferenceError, parse_reference
from flametest.sandbox.images.unpacking import unpack_early
from flametest.sandbox.launch import default_home, image_store

__all__ = ["list_images", "load", "prune", "pull_images"]


def list_images() -> int:
    """Print a line for each image: its name, digest, size, and what it was built from if it was built here.

    Then come those of the project's images that `flametest up` would not take from the store as they are now, and why.
    """
    with _explained():
        images, builds = _store().images(), builds_by_digest(_store())
        foreseen = _maker().foresee()
    width = max((len(image.name) for image in images), default=0)
    for image in images:
        build = builds.get(image.digest)
        how = "" if build is None else f"  built from {build.dockerfile} by {build.builder} on {', '.join(build.bases)}"
        click.echo(f"{image.name:{width}}  {image.digest[:19]}  {_size(image.size_bytes):>9}{how}")
    for one in foreseen:
        if not one.digest:
            click.echo(f"{one.name}  {one.how}")
    if not images:
        click.echo("no images; `flametest images pull NAME` or `flametest images load ARCHIVE` adds some")
    return ExitCode.PASSED


def load(archives: tuple[Path, ...], name: str) -> int:
    """Copy the images of archives into the store.

    Raises:
        ClusterError: one cannot be loaded; those before it are.
    """
    with _explained():
        for archive in archives:
            _take("loaded", load_archive(_store(), archive.absolute(), name))
    return ExitCode.PASSED


def pull_images(references: tuple[str, ...]) -> int:
    """Copy images from their registries into the store, with the credentials of ``docker login`` or ``skopeo login``.

    Raises:
        ClusterError: one cannot be pulled; those before it are.
    """
    with _explained():
        for reference in references:
            _take("pulled", (pull(_store(), parse_reference(reference), {}),))
    return ExitCode.PASSED


def prune(everything: bool) -> int:
    """Remove what no name stands for, or every image that no sandbox runs."""
    with _explained():
        freed, gone = _store().prune(names=everything)
    for name in gone:
        click.echo(f"removed {name}")
    click.echo(f"freed {_size(freed)}")
    return ExitCode.PASSED


def _store() -> ImageStore:
    return ImageStore(image_store(default_home()))


def _maker() -> ImageMaker:
    sources = read_sources(state_files().images_file)
    return ImageMaker(sources, _store(), BuildWhen.AUTO)


def _take(done: str, images: tuple[StoredImage, ...]) -> None:
    for image in images:
        unpack_early(_store(), image)
        click.echo(f"{done} {image.name}  {image.digest[:19]}  {_size(image.size_bytes)}")


@contextmanager
def _explained() -> Iterator[None]:
    """Turn the sandbox's errors into those that the command line prints."""
    try:
        yield
    except SandboxError as error:
        raise ClusterError(str(error), error.remedy) from error
    except (PullError, InvalidReferenceError) as error:
        remedy = "name the image as registry/repository:tag, and log in if it needs that"
        raise ClusterError(str(error), remedy) from error


def _size(number: int) -> str:
    return f"{number / 1e6:,.1f} MB"
