"""Which paths the entry answers, asked once each: what the load then asks for is known to work."""

import http.client
import urllib.request
from collections.abc import Iterable

__all__ = ["answering_paths"]

ANSWER_SECONDS_MAX = 3.0
_OK = 200  # what the steady state of the experiments expects


def answering_paths(url: str, paths: Iterable[str]) -> tuple[str, ...]:
    """Return those of ``paths``, with the root before them, that a running entry answers with 200.

    Each is asked once, and redirections are followed, which takes a few seconds at most for one that does not answer.
    """
    return tuple(path for path in dict.fromkeys(("/", *paths)) if _answers(url + path))


def _answers(url: str) -> bool:
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "flametest-init"})  # noqa: S310 (the user's own)
        with _opener(request).open(request, timeout=ANSWER_SECONDS_MAX) as answer:
            return bool(answer.status == _OK)
    except (OSError, ValueError, http.client.HTTPException):  # ValueError: the URL is none
        return False


def _opener(request: urllib.request.Request) -> urllib.request.OpenerDirector:
    """Return what asks by the environment's proxy, but not for loopback, which no proxy can reach."""
    is_loopback = request.host.startswith(("127.", "localhost", "[::1]"))
    return urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if is_loopback else []))
