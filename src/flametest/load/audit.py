"""Reading the shop back: its books and every order, page by page, through the same entry that took the orders.

The books are read before and after the orders; only when both readings agree was the shop quiet, and the orders and
the books are of one moment. Bounded: a number of pages, a number of readings, and a time limit for all of them.
"""

import http.client
import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode, urljoin

from flametest.load.errors import LoadError
from flametest.load.exchange import Entry, route_of
from flametest.load.process import NOTHING_MORE
from flametest.model.writes import Audit, Book, StoredOrder

__all__ = ["Auditor", "ShopMissingError"]

_BOOKS_PATH = "/shop/api/audit/books"
_PAGES_PATH = "/shop/api/audit"
_PAGE_ORDERS = 1000
_PAGES_MAX = 5000
_GONE_MAX = 1000
_REQUEST_SECONDS = 5.0
_PAUSE_SECONDS = 0.5
_NOT_FOUND = 404
_OK = 200
_PASSING = (408, 429)  # a time limit, and too many requests
_ILL = 500

_Found = tuple[list[StoredOrder], list[dict[str, Any]]]


class ShopMissingError(LoadError):
    """The system under test has no ticket shop: its entry does not know the audit's route, or means another by it."""


class _OtherAnswerError(LoadError):
    """What answered is not ill, but did not answer as the audit does."""


class Auditor:
    """Reads one shop, before and after each ledger: what was there before has to be there still."""

    def __init__(
        self,
        url: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        environment: Mapping[str, str] = NOTHING_MORE,
    ) -> None:
        self._url = url
        self._route = route_of(url, environment)
        Entry.from_url(url, self._route)
        self._clock = clock
        self._sleep = sleep
        self._known: dict[int, str] | None = None
        self._before: tuple[Book, ...] = ()

    def begin(self) -> tuple[Book, ...]:
        """Remember what is there now, and return every event's book; nothing is counted.

        Raises:
            ShopMissingError: there is no shop.
            LoadError: it does not answer, or something else does; the next audit then expects what the last one found.
        """
        self._before = ()
        try:
            self._before = tuple(_book(raw, raw["sold"]) for raw in self._raw_books())
        except _OtherAnswerError as error:
            # Many systems answer to every path, by a page or a login.
            raise (ShopMissingError(error.message, error.remedy) if self._known is None else error) from error
        if self._known is None:
            self._known = {order.order_id: order.key for order in self._orders()}
        return self._before

    def audit(self, prefix: str, timeout_seconds: float) -> Audit:
        """Return what is kept of the orders whose keys begin with ``prefix``, trying until the shop answers quietly.

        What could not be read within ``timeout_seconds`` is told as the audit's ``problem``.
        """
        deadline = self._clock() + timeout_seconds
        while True:
            try:
                found = self._quiet()
            except LoadError as error:
                problem = error.message
            else:
                if found is not None:
                    return self._audit(prefix, *found)
                problem = "orders went on changing while they were read"
            if self._clock() >= deadline:
                return Audit((), 0, (), (), (), f"the orders could not be read back: {problem}")
            self._sleep(_PAUSE_SECONDS)

    def _audit(self, prefix: str, orders: list[StoredOrder], books: list[dict[str, Any]]) -> Audit:
        known = self._known or {}
        now = {order.order_id: order.key for order in orders}
        uses = Counter(now.values())
        # A key that two orders shared before is not this ledger's finding.
        shared = {key for number, key in now.items() if uses[key] > 1 and number not in known}
        counted: Counter[int] = Counter()
        for order in orders:
            counted[order.event_id] += order.quantity
        gone = [f"{key} (order {number})" for number, key in known.items() if now.get(number) != key]
        self._known = now
        return Audit(
            orders=tuple(order for order in orders if order.key.startswith(prefix) or order.key in shared),
            orders_total=len(orders),
            books=tuple(_book(raw, counted[raw["event_id"]]) for raw in books),
            books_before=self._before,
            gone=tuple(gone[:_GONE_MAX]),
            problem="",
        )

    def _quiet(self) -> _Found | None:
        """Return every order and the books, or None when they changed meanwhile."""
        before = self._raw_books()
        orders = self._orders()
        return (orders, before) if self._raw_books() == before else None

    def _orders(self) -> list[StoredOrder]:
        found: list[StoredOrder] = []
        after = 0
        for _ in range(_PAGES_MAX):
            page = self._get(f"{_PAGES_PATH}?{urlencode({'after': after, 'limit': _PAGE_ORDERS})}")
            try:
                rows = [
                    StoredOrder(raw["order_id"], raw["idempotency_key"], raw["event_id"], raw["quantity"])
                    for raw in page["orders"]
                ]
                following = page["next_after"]
            except (KeyError, TypeError) as error:
                raise LoadError(f"a page of the audit lacks {error}", "the shop is of another version") from error
            found += rows
            if following is None:
                return found
            if following <= after:
                raise LoadError(f"the page after order {after} leads to {following}", "the audit's paging is broken")
            after = following
        raise LoadError(f"the shop has more than {_PAGES_MAX * _PAGE_ORDERS} orders", "begin with an empty database")

    def _raw_books(self) -> list[dict[str, Any]]:
        answer = self._get(_BOOKS_PATH)
        try:
            return [
                {name: raw[name] for name in ("event_id", "name", "initial", "left", "sold")} for raw in answer["books"]
            ]
        except (KeyError, TypeError) as error:
            raise _OtherAnswerError(f"the shop's books lack {error}", "the shop is of another version") from error

    def _get(self, path: str) -> Any:
        connection, target = self._route.connection(urljoin(self._url, path), _REQUEST_SECONDS)
        try:
            connection.request("GET", target, headers={"Connection": "close"})
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise LoadError(f"GET {path}: {error or type(error).__name__}", "look at the shop's pods") from error
        finally:
            connection.close()
        if answer.status == _NOT_FOUND:
            raise ShopMissingError(f"GET {path}: 404, there is no such route", "deploy the ticket shop")
        if answer.status != _OK:
            kind = LoadError if answer.status in _PASSING or answer.status >= _ILL else _OtherAnswerError
            raise kind(f"GET {path}: expected 200, found {answer.status}", "look at the shop's pods")
        try:
            return json.loads(body)
        except ValueError as error:
            raise _OtherAnswerError(f"GET {path}: expected JSON, found {body[:80]!r}") from error


def _book(raw: dict[str, Any], counted: int) -> Book:
    return Book(raw["event_id"], raw["name"], raw["initial"], raw["left"], raw["sold"], counted)
