"""The options by which every command finds its cluster and the system on it; declared once."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click

__all__ = ["Where", "at_cluster"]


@dataclass(frozen=True, slots=True)
class Where:
    """Where the system is.

    Attributes:
        cluster: name of the provider, such as ``sandbox`` or ``context:staging``.
        namespace: where the system under test lives.
        url: its entry; empty to have it found.
        known: name of a context that the user has repeated.
    """

    cluster: str
    namespace: str
    url: str
    known: str


def at_cluster(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give ``command`` the options, which it gets as one argument ``where``."""

    @click.option(
        "--cluster", default="sandbox", show_default=True, metavar="NAME", help="sandbox, minikube or context:NAME."
    )
    @click.option(
        "--namespace", default="flametest", show_default=True, metavar="NAME", help="Namespace of the system."
    )
    @click.option("--url", default="", metavar="URL", help="Where users enter the system [found].")
    @click.option(
        "--i-know-this-cluster",
        "known",
        default="",
        metavar="NAME",
        help="Repeat the name of a context that is not in allowed-contexts.toml.",
    )
    @wraps(command)
    def with_where(*args: Any, cluster: str, namespace: str, url: str, known: str, **options: Any) -> Any:
        return command(*args, where=Where(cluster, namespace, url.rstrip("/"), known), **options)

    return with_where
