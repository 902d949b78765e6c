"""The logs of the system under test, followed while a scenario lasts, for the paths of its failed and slow requests.

Nothing that goes wrong here ends a scenario or casts a doubt on it: its figures need no logs. The report says what is
missing.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from flametest.clusters import Access
from flametest.kube import KubeError, connect
from flametest.kube.resources import SERVICES
from flametest.load import LoadError
from flametest.model.events import LogsFollowed, ServiceAddress
from flametest.model.paths import SLOW_MS
from flametest.model.plurals import counted
from flametest.model.requestids import LINK_VARIABLE, RequestIds, is_link_template
from flametest.run.folder import append_event, stamp
from flametest.tracing import FollowerSummary, LogFollower, LogPlace

__all__ = ["followed"]

_NO_ADDRESS = ("", "None")  # of a headless Service


@contextmanager
def followed(name: str, access: Access, folder: Path) -> Iterator[None]:
    """Follow the logs of the system's pods while the block runs, for scenario ``name``; record in ``folder``."""
    if not RequestIds.of(os.environ).is_on:
        yield
        return
    place = LogPlace(str(access.kubeconfig), access.context, access.namespace)
    services = set(_services(place))
    follower = LogFollower(place, folder, SLOW_MS)
    problem = ""
    try:
        follower.start()
    except LoadError as error:
        problem = f"The pods' logs could not be followed: {error.message}."
    with follower if not problem else _nothing():
        try:
            yield
        finally:
            services |= set(_services(place))  # one that was recreated has another address
            told, said = _ended(follower) if not problem else (_NOTHING, problem)
            counts = (told.containers, told.lines, told.kept, told.lost)
            found = tuple(sorted(services, key=lambda one: (one.name, one.address)))
            append_event(folder / "history.jsonl", LogsFollowed(stamp(), name, *counts, said, found, _link()))


_NOTHING = FollowerSummary(0, 0, 0, 0, 0, 0, 0)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


def _ended(follower: LogFollower) -> tuple[FollowerSummary, str]:
    """End the follower and return what it says of itself, and what a reader has to know of that."""
    try:
        told = follower.stop()
    except LoadError as error:
        return _NOTHING, f"The pods' logs could not be followed to the end: {error.message}."
    if told.unreachable:
        return told, "The pods' logs were not followed: the pods could not be listed."
    if told.forbidden:
        whose = (
            "Their logs" if told.forbidden >= told.containers else f"The logs of {counted(told.forbidden, 'container')}"
        )
        return told, f"{whose} may not be read: the right to get pods/log is missing."
    if told.unfollowed:
        return told, f"The logs of {counted(told.unfollowed, 'container')} were not followed: there were too many."
    return told, ""


def _services(place: LogPlace) -> Iterator[ServiceAddress]:
    """Yield the addresses of the system's Services; none where they cannot be read."""
    try:
        with connect(place.kubeconfig, place.context) as client:
            services = client.api.listed(SERVICES.path(place.namespace)).items
    except KubeError:
        return
    for service in services:
        address = str(service.get("spec", {}).get("clusterIP") or "")
        if address not in _NO_ADDRESS:
            yield ServiceAddress(str(service["metadata"]["name"]), address)


def _link() -> str:
    link = os.environ.get(LINK_VARIABLE, "")
    return link if is_link_template(link) else ""
