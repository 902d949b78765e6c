"""Namespaces: wait until one can be used, and delete one with everything in it."""

import time
from collections.abc import Callable

from flametest.kube.api import Api
from flametest.kube.errors import NotFoundError, NotReadyError
from flametest.kube.resources import NAMESPACES

__all__ = ["await_namespace", "delete_namespace", "namespace_phase"]

POLL_SECONDS = 0.1


def namespace_phase(api: Api, name: str) -> str:
    """Return ``Active``, ``Terminating``, or an empty text when there is no such namespace.

    Raises:
        KubeError: the API is unreachable or refused.
    """
    try:
        found = api.get(NAMESPACES.path(name=name))
    except NotFoundError:
        return ""
    return str(found.get("status", {}).get("phase", "Active"))


def await_namespace(
    api: Api,
    name: str,
    phases: tuple[str, ...],
    timeout_seconds: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> str:
    """Return the phase of a namespace as soon as it is one of ``phases`` (see `namespace_phase`).

    Raises:
        NotReadyError: it was none of them for ``timeout_seconds``.
        KubeError: the API is unreachable or refused.
    """
    end = clock() + timeout_seconds
    while (phase := namespace_phase(api, name)) not in phases:
        if clock() >= end:
            expected = " or ".join(one or "gone" for one in phases)
            raise NotReadyError(
                f"namespace {name!r} is {phase or 'gone'} and was not {expected} within {timeout_seconds:g} s"
                f"{_obstacles(api, name)}",
                f"check its finalizers and conditions: kubectl get namespace {name} -o yaml",
            )
        pause(POLL_SECONDS)
    return phase


def _obstacles(api: Api, name: str) -> str:
    """Return what the namespace's own conditions say of a deletion that does not end; empty where they say nothing."""
    try:
        status = api.get(NAMESPACES.path(name=name)).get("status", {})
    except NotFoundError:
        return ""
    told = [str(one.get("message", "")) for one in status.get("conditions") or [] if one.get("status") == "True"]
    return f": {'; '.join(told)}" if told else ""


def delete_namespace(api: Api, name: str, timeout_seconds: float = 60.0) -> bool:
    """Delete a namespace with everything in it, wait until it is gone, and return whether there was one.

    Raises:
        NotReadyError: it was not gone within ``timeout_seconds``.
        KubeError: the API is unreachable or refused.
    """
    try:
        api.send("DELETE", NAMESPACES.path(name=name))
    except NotFoundError:
        return False
    await_namespace(api, name, ("",), timeout_seconds)
    return True
