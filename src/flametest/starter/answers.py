"""Which paths the entry answers, asked once each: what the load then asks for is known to work.

And the OpenAPI document that it serves, if it does.
"""

import http.client
import json
import os
import urllib.request
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from flametest.model.proxies import proxy_for
from flametest.model.routes import TRUSTED_HERE, Trust

__all__ = ["answering_paths", "served_document"]

ANSWER_SECONDS_MAX = 3.0
_DOCUMENTS = ("/openapi.json", "/api/openapi.json", "/v3/api-docs", "/swagger.json")  # FastAPI, Spring, others
_DOCUMENT_BYTES_MAX = 8_000_000
_OK = 200  # what the steady state of the experiments expects


def answering_paths(url: str, paths: Iterable[str], trust: Trust = TRUSTED_HERE) -> tuple[str, ...]:
    """Return those of ``paths``, with the root before them, that a running entry answers with 200.

    Each is asked once, which takes a few seconds at most for one that does not answer. In the place of one that
    redirects stands what it leads to on the same host and port: a prober does not follow, and is to be served. An https
    entry may show the certificates that ``trust`` says.
    """
    opener = _opener(url, trust)
    served = (_served(opener, url, path) for path in dict.fromkeys(("/", *paths)))
    return tuple(dict.fromkeys(path for path in served if path))


def served_document(url: str, trust: Trust = TRUSTED_HERE) -> tuple[Any, str]:
    """Return the first JSON object that a running entry serves as its OpenAPI document, and its path; None without one.

    Asks for the few paths at which frameworks serve it, each once.
    """
    opener = _opener(url, trust)
    for path in _DOCUMENTS:
        try:
            request = urllib.request.Request(url + path, headers={"User-Agent": "flametest-init"})  # noqa: S310
            with opener.open(request, timeout=ANSWER_SECONDS_MAX) as answer:
                found = json.loads(answer.read(_DOCUMENT_BYTES_MAX))
        except (OSError, ValueError, RecursionError, http.client.HTTPException):
            continue
        if isinstance(found, dict) and "openapi" in found:
            return found, path
    return None, ""


def _served(opener: urllib.request.OpenerDirector, entry: str, path: str) -> str:
    """Return the path that a request for ``path`` is served from in the end; empty when it is not, or elsewhere."""
    found = _final_url(opener, entry + path)
    if not found or found == entry + path:
        return path if found else ""
    final, asked = urlsplit(found), urlsplit(entry)
    if (final.scheme, final.netloc) != (asked.scheme, asked.netloc) or not final.path.startswith(asked.path):
        return ""
    return "/" + final._replace(scheme="", netloc="").geturl().removeprefix(asked.path).lstrip("/")


def _final_url(opener: urllib.request.OpenerDirector, url: str) -> str:
    """Return the address that answers with 200 in the end; empty when none does."""
    try:
        request = urllib.request.Request(url, headers={"User-Agent": "flametest-init"})  # noqa: S310 (the user's own)
        with opener.open(request, timeout=ANSWER_SECONDS_MAX) as answer:
            return str(answer.url) if answer.status == _OK else ""
    except (OSError, ValueError, http.client.HTTPException):  # ValueError: the URL is none
        return ""


def _opener(url: str, trust: Trust) -> urllib.request.OpenerDirector:
    """Return what asks by the environment's proxy, but not for loopback, which no proxy can reach."""
    try:
        proxy = proxy_for(url, os.environ)
    except ValueError:  # the URL is none, and answers nothing
        proxy = ""
    proxies = urllib.request.ProxyHandler({urlsplit(url).scheme: proxy} if proxy else {})
    return urllib.request.build_opener(proxies, urllib.request.HTTPSHandler(context=trust.tls_context()))
