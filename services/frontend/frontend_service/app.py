"""The application: pages, gateway, and what both answer when something is wrong.

Readiness: always. The frontend's work while logic is away is to say so; a pod that took itself out of its Service
then would turn a friendly page into an error of the entry. ``/readyz`` tells the state of the circuit breaker.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from servicekit.cluster_routes import add_cluster_routes
from servicekit.faults import FaultSwitch
from servicekit.middleware import RequestMetrics, RequestMiddleware

from .gateway import make_gateway, unavailable_json
from .logic_client import LogicAwayError, LogicClient
from .pages import Pages
from .rendering import Renderer
from .settings import Settings

__all__ = ["make_app"]


def make_app(settings: Settings, switch: FaultSwitch) -> ASGIApp:
    """Return the application; it connects to nothing before it is asked to, and closes what it opened at its end."""
    registry = CollectorRegistry()
    logic = LogicClient(settings.logic_url, settings.attempt_seconds, settings.answer_seconds, registry)
    pages = Pages(logic, Renderer())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await logic.close()

    app = FastAPI(title="Flametest frontend", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(make_gateway(logic))
    app.include_router(pages.router())
    add_cluster_routes(app, registry, lambda: {"logic_circuit": logic.circuit})
    _add_error_answers(app, pages)
    return RequestMiddleware(app, switch, RequestMetrics(registry))


def _add_error_answers(app: FastAPI, pages: Pages) -> None:
    @app.exception_handler(LogicAwayError)
    async def away(request: Request, error: LogicAwayError) -> Response:
        return unavailable_json(error) if _is_for_programs(request) else pages.away(error)

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        if _is_for_programs(request):
            answer: Response = JSONResponse({"error": "refused", "message": error.detail}, error.status_code)
        else:
            answer = pages.problem(error.status_code, "There is nothing here", "Please begin at the list of events.")
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, _: RequestValidationError) -> Response:
        # Only numbers in paths are checked here; what else a client sends is judged by logic or by the page.
        return await refused(request, HTTPException(404, "Not Found"))


def _is_for_programs(request: Request) -> bool:
    return not request.url.path.startswith("/shop") or request.url.path.startswith("/shop/api")
