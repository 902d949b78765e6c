"""The routes of the service, and what they answer when a dependency is away.

Readiness names what a pod cannot do without, and that is nothing outside of it: ``/`` needs neither Redis nor
PostgreSQL, and both are shared, so that a readiness that asked for them would turn the outage of one counter into an
outage of everything, in all pods at once. ``/readyz`` therefore tells how the dependencies were when last used, and
the routes that need one answer 503 with Retry-After while it is away.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client import generate_latest as render_metrics
from starlette.types import ASGIApp

from .dependencies import DependencyError
from .faults import FaultSwitch
from .hits import Hits
from .middleware import RequestMetrics, RequestMiddleware
from .settings import Settings
from .visits import Visit, Visits

__all__ = ["Greeting", "HitCount", "StoredVisit", "VisitSummary", "make_app"]

_log = logging.getLogger(__name__)

_RETRY_AFTER_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Greeting:
    """The answer of ``GET /``: the hostname is the evidence of load balancing."""

    message: str
    hostname: str


@dataclass(frozen=True, slots=True)
class HitCount:
    """The answer of ``GET /hits``."""

    hits: int
    hostname: str


@dataclass(frozen=True, slots=True)
class VisitSummary:
    """The answer of ``GET /visits``: how many there are, and the latest ten, newest first."""

    count: int
    latest: tuple[Visit, ...]
    hostname: str


@dataclass(frozen=True, slots=True)
class StoredVisit:
    """The answer of ``POST /visits``."""

    id: int
    visited_at: datetime
    hostname: str


def make_app(settings: Settings, switch: FaultSwitch) -> ASGIApp:
    """Return the application; it connects to nothing before it is asked to, and closes what it opened at its end."""
    hits = Hits(settings.redis_url, settings.dependency_timeout_seconds)
    visits = Visits("application_name=api", settings.dependency_timeout_seconds)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await hits.close()
        await visits.close()

    app = FastAPI(title="Flametest api", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_exception_handler(DependencyError, _unavailable)
    _add_user_routes(app, settings.pod_name, hits, visits)
    registry = CollectorRegistry()
    _add_cluster_routes(app, registry, hits, visits)
    return RequestMiddleware(app, switch, RequestMetrics(registry))


def _add_user_routes(app: FastAPI, hostname: str, hits: Hits, visits: Visits) -> None:
    @app.get("/")
    async def greet() -> Greeting:
        return Greeting(message="Hello from Flametest", hostname=hostname)

    @app.get("/hits")
    async def count_hit() -> HitCount:
        return HitCount(hits=await hits.count(), hostname=hostname)

    @app.get("/visits")
    async def list_visits() -> VisitSummary:
        found = await visits.read()
        return VisitSummary(count=found.count, latest=found.latest, hostname=hostname)

    @app.post("/visits", status_code=201)
    async def add_visit() -> StoredVisit:
        visit = await visits.add(hostname)
        return StoredVisit(id=visit.id, visited_at=visit.visited_at, hostname=hostname)


def _add_cluster_routes(app: FastAPI, registry: CollectorRegistry, hits: Hits, visits: Visits) -> None:
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)

    @app.get("/healthz")
    async def alive() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz")
    async def ready() -> dict[str, str]:
        dependencies = (hits.dependency, visits.dependency)
        return {"status": "ready"} | {dependency.name: dependency.state for dependency in dependencies}

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(render_metrics(registry), media_type=CONTENT_TYPE_LATEST)


async def _unavailable(_: Request, error: Exception) -> JSONResponse:
    """Answer a request whose dependency is away; the reason stays in the log, with the request's id."""
    assert isinstance(error, DependencyError)
    _log.warning("dependency away: %s", error)
    return JSONResponse(
        {"error": "unavailable", "dependency": error.dependency, "message": "Please try again in a moment."},
        status_code=503,
        headers={"Retry-After": str(_RETRY_AFTER_SECONDS)},
    )
