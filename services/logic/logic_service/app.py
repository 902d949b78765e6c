"""The routes of the service, and what they answer when PostgreSQL is away.

Readiness names what a pod cannot do without by itself, and PostgreSQL is not part of the pod: it is shared by all of
them. A readiness that asked for it would take every pod out of the Service at the same moment and put each back only
after its next probes, so that an outage would last longer than the database's own, rollouts would stand still, and the
frontend would see refused connections instead of a reason. A pod therefore stays ready, says 503 with Retry-After
within its time limit, and serves the first request that comes after the database is back. ``/readyz`` tells how both
dependencies were when last used.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

from fastapi import FastAPI, Header, Path, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, Counter
from starlette.types import ASGIApp

from servicekit.cluster_routes import add_cluster_routes
from servicekit.dependencies import DependencyError, answer_unavailable
from servicekit.faults import FaultSwitch
from servicekit.middleware import RequestMetrics, RequestMiddleware

from .audit import Audit, AuditPage, Book
from .cache import Cache
from .database import Database
from .events import Event, Events
from .orders import Order, OrderRequest, Orders
from .refusals import RefusedError
from .settings import Settings

__all__ = ["Books", "EventList", "OrderList", "make_app"]

_KEY = re.compile(r"[A-Za-z0-9._:-]{1,128}")

_Id = Annotated[int, Path(ge=1, le=2**63 - 1)]


@dataclass(frozen=True, slots=True)
class EventList:
    """The answer of ``GET /events``."""

    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class OrderList:
    """The answer of ``GET /orders``: a customer's latest orders, newest first."""

    orders: tuple[Order, ...]


@dataclass(frozen=True, slots=True)
class Books:
    """The answer of ``GET /audit/books``."""

    books: tuple[Book, ...]


def make_app(settings: Settings, switch: FaultSwitch) -> ASGIApp:
    """Return the application; it connects to nothing before it is asked to, and closes what it opened at its end."""
    cache = Cache(settings.redis_url, settings.cache_timeout_seconds)
    database = Database(settings.database_timeout_seconds)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await cache.close()
        await database.close()

    app = FastAPI(title="Flametest logic", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_exception_handler(DependencyError, answer_unavailable)
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    registry = CollectorRegistry()
    _add_event_routes(app, Events(database, cache))
    _add_order_routes(app, Orders(database, cache), registry)
    _add_audit_routes(app, Audit(database))
    dependencies = (cache.dependency, database.dependency)
    add_cluster_routes(app, registry, lambda: {each.name: each.state for each in dependencies})
    return RequestMiddleware(app, switch, RequestMetrics(registry))


def _add_event_routes(app: FastAPI, events: Events) -> None:
    @app.get("/events")
    async def list_events(response: Response) -> EventList:
        found, from_cache = await events.list()
        response.headers["X-Cache"] = "hit" if from_cache else "miss"
        return EventList(found)

    @app.get("/events/{event_id}")
    async def find_event(event_id: _Id) -> Event:
        return await events.find(event_id)


def _add_order_routes(app: FastAPI, orders: Orders, registry: CollectorRegistry) -> None:
    outcomes = Counter("shop_orders", "Orders answered, by outcome.", ("outcome",), registry=registry)

    @app.post("/orders", status_code=201)
    async def place_order(
        request: OrderRequest, response: Response, idempotency_key: Annotated[str | None, Header()] = None
    ) -> Order:
        if idempotency_key is None or not _KEY.fullmatch(idempotency_key):
            raise RefusedError(
                400, "key_missing", "The header Idempotency-Key is needed: 1 to 128 of A-Z a-z 0-9 . _ : -"
            )
        try:
            order, made = await orders.place(idempotency_key, request)
        except RefusedError as error:
            outcomes.labels(error.reason).inc()
            raise
        outcomes.labels("made" if made else "repeated").inc()
        response.status_code = 201 if made else 200
        return order

    @app.get("/orders")
    async def list_orders(customer: Annotated[str, Query(pattern=r"^[A-Za-z0-9_-]{1,64}$")]) -> OrderList:
        return OrderList(await orders.of_customer(customer))

    @app.get("/orders/{order_id}")
    async def find_order(order_id: _Id) -> Order:
        return await orders.find(order_id)


def _add_audit_routes(app: FastAPI, audit: Audit) -> None:
    @app.get("/audit")
    async def read_page(
        after: Annotated[int, Query(ge=0, le=2**63 - 1)] = 0, limit: Annotated[int, Query(ge=1, le=1000)] = 500
    ) -> AuditPage:
        return await audit.page(after, limit)

    @app.get("/audit/books")
    async def read_books() -> Books:
        return Books(await audit.books())


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RefusedError)
    return JSONResponse({"error": error.reason, "message": error.message}, status_code=error.status)


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    """Answer a request of the wrong shape: which field, and what was expected of it, but not what was sent."""
    assert isinstance(error, RequestValidationError)
    faults = [f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}" for each in error.errors()]
    return JSONResponse({"error": "invalid", "message": "; ".join(faults[:10])}, status_code=422)
