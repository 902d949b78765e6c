"""What the cluster asks every service: whether it lives, whether it is ready, and its metrics.

A service that answers is ready: what it depends on is shared by all of its pods, and a readiness that asked for it
would take all of them out of their Service at once. ``/readyz`` tells those states all the same, for people.
"""

from collections.abc import Callable, Mapping

from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, PlatformCollector, ProcessCollector
from prometheus_client import generate_latest as render_metrics

__all__ = ["add_cluster_routes"]


def add_cluster_routes(app: FastAPI, registry: CollectorRegistry, states: Callable[[], Mapping[str, str]]) -> None:
    """Add /healthz, /readyz and /metrics to ``app``; ``states`` returns what /readyz tells beside the status."""
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)

    @app.get("/healthz")
    async def alive() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz")
    async def ready() -> dict[str, str]:
        return {"status": "ready", **states()}

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(render_metrics(registry), media_type=CONTENT_TYPE_LATEST)
