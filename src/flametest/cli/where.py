"""The options by which every command finds its cluster and the system on it; declared once."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

import click

from flametest.clusters.protocol import DEFAULT_NAMESPACE
from flametest.model.routes import CA_FILE, INSECURE, TRUSTED_HERE, Trust

__all__ = ["Where", "at_cluster", "building_images", "in_sandbox", "making_minikube"]


@dataclass(frozen=True, slots=True)
class Where:
    """Where the system is.

    Attributes:
        cluster: name of the provider, such as ``sandbox`` or ``context:staging``.
        namespace: where the system under test lives.
        url: its entry; empty to have it found.
        known: name of a context that the user has repeated.
        nodes: how many nodes Minikube starts; None for as many as it has, or one.
        images: ready images that Minikube loads instead of building them.
        driver: what Minikube runs its nodes on; empty for its own choice.
        delete: whether Minikube's profile is removed instead of being stopped.
        build: whether the sandbox builds the project's images: auto, always or never.
        trust: whose certificates the entry may show.
        is_namespace_named: whether the user has named the namespace, so that no other one is meant.
    """

    cluster: str
    namespace: str
    url: str
    known: str
    nodes: int | None = None
    images: tuple[str, ...] = ()
    driver: str = ""
    delete: bool = False
    is_namespace_named: bool = False
    trust: Trust = TRUSTED_HERE
    build: str = "auto"

    @property
    def options_of_minikube(self) -> tuple[str, ...]:
        """Return the options that were given and mean nothing for another cluster."""
        values = {"--nodes": self.nodes, "--images": self.images, "--driver": self.driver, "--delete": self.delete}
        return tuple(option for option, value in values.items() if value)


def _url(_: click.Context, __: click.Parameter, text: str) -> str:
    """Return a URL without the slash at its end.

    Raises:
        click.BadParameter: it is none that users could enter by.
    """
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if text and not usable:
        raise click.BadParameter(f"expected an http or https URL such as https://shop.example, found {text!r}")
    return text.rstrip("/")


def at_cluster(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give ``command`` the options, which it gets as one argument ``where``."""

    @click.option(
        "--cluster",
        default="sandbox",
        show_default=True,
        metavar="NAME",
        help="sandbox, minikube, context:NAME or in-cluster.",
    )
    @click.option(
        "--namespace", metavar="NAME", help="Namespace of the system [that of its manifests, else flametest]."
    )
    @click.option("--url", default="", metavar="URL", callback=_url, help="Where users enter the system [found].")
    @click.option(
        "--ca-file",
        default="",
        metavar="FILE",
        envvar=CA_FILE,
        help="CA certificates (PEM) to verify an https entry [this machine's].",
    )
    @click.option("--insecure", is_flag=True, envvar=INSECURE, help="Do not verify the certificate of an https entry.")
    @click.option(
        "--i-know-this-cluster",
        "known",
        default="",
        metavar="NAME",
        help="Repeat the name of a context that is not in allowed-contexts.toml.",
    )
    @wraps(command)
    def with_where(
        *args: Any,
        cluster: str,
        namespace: str | None,
        url: str,
        known: str,
        ca_file: str,
        insecure: bool,
        **options: Any,
    ) -> Any:
        where = Where(
            cluster,
            namespace or DEFAULT_NAMESPACE,
            url,
            known,
            is_namespace_named=bool(namespace),
            trust=Trust(ca_file, insecure),
        )
        return command(*args, where=where, **options)

    return with_where


def in_sandbox(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give ``command`` the sandbox as its argument ``where``, for what runs nowhere else."""

    @wraps(command)
    def with_sandbox(*args: Any, **options: Any) -> Any:
        return command(*args, where=Where("sandbox", DEFAULT_NAMESPACE, "", ""), **options)

    return with_sandbox


def making_minikube(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give ``command`` the options of how Minikube's profile is made, which it gets as part of ``where``."""

    @click.option("--nodes", type=click.IntRange(1, 10), metavar="N", help="Nodes of Minikube [existing number, or 1].")
    @click.option(
        "--images",
        multiple=True,
        metavar="SOURCE",
        help="Load existing images into Minikube instead of building them: an archive, a folder of archives, or an "
        "image name; repeatable.",
    )
    @click.option(
        "--driver", default="", metavar="NAME", help="Driver of Minikube, such as docker [Minikube's choice]."
    )
    @wraps(command)
    def with_minikube(
        *args: Any, where: Where, nodes: int | None, images: tuple[str, ...], driver: str, **options: Any
    ) -> Any:
        return command(*args, where=replace(where, nodes=nodes, images=images, driver=driver), **options)

    return with_minikube


def building_images(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give ``command`` the option of how the sandbox gets the project's images, which it gets as part of ``where``."""

    @click.option(
        "--build",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        show_default=True,
        envvar="FLAMETEST_BUILD",
        help="Build the images of images.toml with buildah or Docker: auto, if their base images are present; always; "
        "or never, so that the sandbox reads their Dockerfiles instead.",
    )
    @wraps(command)
    def with_build(*args: Any, where: Where, build: str, **options: Any) -> Any:
        return command(*args, where=replace(where, build=build), **options)

    return with_build
