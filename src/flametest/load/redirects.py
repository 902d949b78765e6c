"""Whether an entry serves, or only says where else to ask: a redirect is no page, and nobody has been served by one.

The prober does not follow redirects, since what they lead to may be another system, which no watch and no fault of the
experiment knows. Locust follows them, so the two would measure different things. It is told before a fault is injected.
"""

import asyncio
from collections.abc import Mapping
from urllib.parse import urljoin, urlsplit

from flametest.load.errors import LoadError
from flametest.load.exchange import Entry, route_of
from flametest.load.lanes import Progress, ask, send_freshly
from flametest.load.process import NOTHING_MORE

__all__ = ["redirection", "refuse_redirect"]

_ANSWER_SECONDS_MAX = 3.0


def redirection(url: str, status: int, location: str) -> str:
    """Return what an answer of ``url`` says of where else to ask, in words; empty unless it is a redirect. Pure."""
    if not 300 <= status < 400:
        return ""
    if not location:
        return f"it answers with status {status}, a redirect that does not say where to"
    target = urljoin(url, location)
    away = "on the same host" if _origin(target) == _origin(url) else "on another host or port"
    return f"it answers with status {status}, a redirect to {target}, {away}"


def refuse_redirect(url: str, environment: Mapping[str, str] = NOTHING_MORE) -> None:
    """Ask ``url`` once, and return unless it answers with a redirect, also when it does not answer at all.

    ``environment``, added to this process' own, says how it is reached. Must not be called in an event loop.

    Raises:
        LoadError: it redirects; the message says where to.
    """
    entry = Entry.from_url(url, route_of(url, environment))
    answer, _ = asyncio.run(ask(send_freshly(entry, entry.request("close"), Progress()), _ANSWER_SECONDS_MAX))
    told = redirection(url, answer.status, answer.location) if answer is not None else ""
    if told:
        raise LoadError(
            f"the entry {url} does not serve: {told}",
            'use --url with an address that serves, or name a path that does as "path" in the arguments of the '
            "experiment's recorder",
        )


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = None
    return parts.scheme, parts.hostname, port or {"http": 80, "https": 443}.get(parts.scheme)
