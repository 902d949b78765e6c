"""The shop for programs: JSON in, JSON out, under ``/shop/api``.

What logic answers is passed on as it is, up to a status of 499. Everything else becomes a 503 with Retry-After, within
the time limit of the answer. An order that comes without an Idempotency-Key gets one, which the answer names, so that
the frontend may try again and the client can too.
"""

import logging
import re
import uuid
from typing import Annotated

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import JSONResponse

from servicekit.logs import request_id

from .bodies import read_body
from .logic_client import LogicAnswer, LogicAwayError, LogicClient

__all__ = ["RETRY_AFTER_SECONDS", "make_gateway", "unavailable_json"]

RETRY_AFTER_SECONDS = 1

_log = logging.getLogger(__name__)

_KEY = re.compile(r"[A-Za-z0-9._:-]{1,128}")


def make_gateway(logic: LogicClient) -> APIRouter:
    """Return the routes under ``/shop/api``."""
    router = APIRouter(prefix="/shop/api")

    async def read(request: Request, path: str) -> Response:
        return _passed_on(await logic.get(path, dict(request.query_params)))

    @router.get("/events")
    async def list_events(request: Request) -> Response:
        return await read(request, "/events")

    @router.get("/events/{event_id}")
    async def find_event(request: Request, event_id: int) -> Response:
        return await read(request, f"/events/{event_id}")

    @router.post("/orders")
    async def place_order(request: Request, idempotency_key: Annotated[str | None, Header()] = None) -> Response:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return _refusal(415, "not_json", "Send the order as application/json.")
        key = idempotency_key or uuid.uuid4().hex
        if not _KEY.fullmatch(key):
            return _refusal(400, "key_invalid", "Expected an Idempotency-Key of 1 to 128 of A-Z a-z 0-9 . _ : -")
        body = await read_body(request)
        try:
            answer = _passed_on(await logic.post("/orders", body, key))
        except LogicAwayError as error:
            answer = unavailable_json(error)
        answer.headers["Idempotency-Key"] = key
        return answer

    @router.get("/orders")
    async def list_orders(request: Request) -> Response:
        return await read(request, "/orders")

    @router.get("/orders/{order_id}")
    async def find_order(request: Request, order_id: int) -> Response:
        return await read(request, f"/orders/{order_id}")

    @router.get("/audit")
    async def read_audit(request: Request) -> Response:
        return await read(request, "/audit")

    @router.get("/audit/books")
    async def read_books(request: Request) -> Response:
        return await read(request, "/audit/books")

    return router


def unavailable_json(error: LogicAwayError) -> Response:
    """Return the answer for programs while logic is away; the reason stays in the log, with the request's id."""
    _log.warning("logic away: %s", error)
    return JSONResponse(
        {"error": "unavailable", "message": "Please try again in a moment.", "request_id": request_id.get()},
        status_code=503,
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def _passed_on(answer: LogicAnswer) -> Response:
    headers = {"X-Logic-Served-By": answer.served_by, "X-Content-Type-Options": "nosniff"}
    if answer.cache:
        headers["X-Cache"] = answer.cache
    return Response(answer.body, answer.status, headers, media_type="application/json")


def _refusal(status: int, reason: str, message: str) -> Response:
    return JSONResponse({"error": reason, "message": message}, status_code=status)
