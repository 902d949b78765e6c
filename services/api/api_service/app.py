"""The routes of the service, and what they answer when a dependency is away.

Readiness names what a pod cannot do without, and that is nothing outside of it: ``/`` needs neither Redis nor
PostgreSQL, and both are shared, so that a readiness that asked for them would turn the outage of one counter into an
outage of everything, in all pods at once. ``/readyz`` therefore tells how the dependencies were when last used, and
the routes that need one answer 503 with Retry-After while it is away.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from servicekit.cluster_routes import add_cluster_routes
from servicekit.dependencies import DependencyError, answer_unavailable
from servicekit.faults import FaultSwitch
from servicekit.middleware import RequestMetrics, RequestMiddleware

from .hits import Hits
from .settings import Settings
from .visits import Visit, Visits

__all__ = ["Greeting", "HitCount", "StoredVisit", "VisitSummary", "make_app"]


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
    app.add_exception_handler(DependencyError, answer_unavailable)
    _add_user_routes(app, settings.server.pod_name, hits, visits)
    registry = CollectorRegistry()
    dependencies = (hits.dependency, visits.dependency)
    add_cluster_routes(app, registry, lambda: {each.name: each.state for each in dependencies})
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
