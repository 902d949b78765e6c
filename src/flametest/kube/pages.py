"""A whole list, page by page, so that no answer is too large or takes too long for its server to make.

https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks. A server that is
asked for the next page too late answers with 410: the list then starts again, and when that happens again, it is asked
for in one piece, as kubectl does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from flametest.kube.errors import ApiUnreachableError, GoneError
from flametest.kube.resources import Object

__all__ = ["Lister", "Listing", "whole_list"]

PAGE_OBJECTS = 500  # as kubectl asks for
_PAGES_MAX = 10_000
_ATTEMPTS_IN_PAGES = 2


@dataclass(frozen=True, slots=True)
class Listing:
    """A whole list: its objects, and the version to follow it from."""

    items: list[Object]
    version: str


class Lister(Protocol):
    """What reads whole lists."""

    def listed(self, path: str) -> Listing:
        """Return the whole list at ``path``."""


def whole_list(page: Callable[[Mapping[str, str]], Object], query: Mapping[str, str]) -> Listing:
    """Return all that ``page`` answers for ``query``, page after page.

    Args:
        page: asks for a part of the list, by the parameters that it is given.
        query: selectors and the like.

    Raises:
        KubeError: of ``page``; a list that does not end.
    """
    for _ in range(_ATTEMPTS_IN_PAGES):
        try:
            return _in_pages(page, query)
        except GoneError:
            continue
    listed = page(query)
    return Listing(_items(listed), _metadata(listed, "resourceVersion"))


def _in_pages(page: Callable[[Mapping[str, str]], Object], query: Mapping[str, str]) -> Listing:
    first = listed = page({**query, "limit": str(PAGE_OBJECTS)})
    items = _items(first)
    for _ in range(_PAGES_MAX):
        token = _metadata(listed, "continue")
        if not token:
            # What changed while pages were read is told again by a watch from the first one's version on.
            return Listing(items, _metadata(first, "resourceVersion"))
        listed = page({**query, "limit": str(PAGE_OBJECTS), "continue": token})
        items += _items(listed)
    raise ApiUnreachableError(f"a list does not end after {_PAGES_MAX} pages", "is that a Kubernetes API?")


def _items(listed: Object) -> list[Object]:
    if "items" not in listed:
        raise ApiUnreachableError("a list was answered with something else", "is there a Kubernetes API?")
    return list(listed["items"] or [])


def _metadata(listed: Object, field: str) -> str:
    return str((listed.get("metadata") or {}).get(field) or "")
