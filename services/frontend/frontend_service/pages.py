"""The shop for people: pages under ``/shop`` that work without scripts.

A form carries the idempotency key of the order that it will make. Sending it twice, or again after a page that said
"try again", makes that order once. While logic is away, or an order's fate is unknown, the visitor gets a page that
says so, with the same form to send again.
"""

import logging
import re
import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import TypeAdapter, ValidationError

from .bodies import read_form
from .gateway import RETRY_AFTER_SECONDS
from .logic_client import LogicAnswer, LogicAwayError, LogicClient
from .rendering import Renderer
from .visitors import Visitor, visitor_of

__all__ = ["Pages"]

_log = logging.getLogger(__name__)

_KEY = re.compile(r"[A-Za-z0-9-]{1,64}")
_TICKETS_MAX = 10
_RETRY_AFTER = {"Retry-After": str(RETRY_AFTER_SECONDS)}


@dataclass(frozen=True)
class _Event:
    id: int
    name: str
    venue: str
    starts_at: datetime
    price_cents: int
    stock: int


@dataclass(frozen=True)
class _Order:
    id: int
    event_id: int
    event_name: str
    quantity: int
    total_cents: int
    customer: str
    ordered_at: datetime


@dataclass(frozen=True)
class _Form:
    """A buyer's form, as it was sent."""

    event_id: int
    quantity: int
    key: str
    token: str


_EVENTS = TypeAdapter(list[_Event])
_ORDERS = TypeAdapter(list[_Order])
_ORDER = TypeAdapter(_Order)


class Pages:
    """The pages and what they are made from."""

    def __init__(self, logic: LogicClient, renderer: Renderer) -> None:
        self._logic = logic
        self._renderer = renderer

    def router(self) -> APIRouter:
        """Return the routes under ``/shop``."""
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/shop", self.show_events, methods=["GET"])
        router.add_api_route("/shop/", self.show_events, methods=["GET"])
        router.add_api_route("/shop/orders", self.show_orders, methods=["GET"])
        router.add_api_route("/shop/orders", self.buy, methods=["POST"])
        router.add_api_route("/shop/orders/{order_id}", self.show_order, methods=["GET"])
        return router

    async def show_events(self, request: Request) -> Response:
        """Show the events, each with a form to buy tickets."""
        visitor = visitor_of(request)
        events = _understood(_EVENTS, (await self._logic.get("/events")).json()["events"])
        keys = {event.id: uuid.uuid4().hex for event in events}
        page = self._renderer.page(
            "events", events=events, keys=keys, token=visitor.form_token, tickets_max=_TICKETS_MAX
        )
        # Anew at each visit, so that the cookie lives on for those who come back.
        visitor.remember(page, secure=request.headers.get("x-forwarded-proto") == "https")
        return page

    async def buy(self, request: Request) -> Response:
        """Make the order that the form asks for, and lead to its page."""
        visitor = visitor_of(request)
        form = _form_of(await read_form(request))
        if form is None:
            return self.problem(400, "This form could not be read", "Please choose your tickets again.")
        if not visitor.sent(form.token):
            return self.problem(
                403,
                "We could not tell who you are",
                "The shop needs its cookie to know your orders. Please allow cookies and choose your tickets again.",
            )
        try:
            answer = await self._order(form, visitor)
            if answer.status in {200, 201}:
                order = _understood(_ORDER, answer.json())
                return RedirectResponse(f"/shop/orders/{order.id}", 303)
            return self._refusal(answer)
        except LogicAwayError as error:
            return self.away(error, form)

    async def show_orders(self, request: Request) -> Response:
        """Show the visitor's orders."""
        visitor = visitor_of(request)
        orders: list[_Order] = []
        if not visitor.is_new:
            answer = await self._logic.get("/orders", {"customer": visitor.customer})
            orders = _understood(_ORDERS, answer.json()["orders"])
        return self._renderer.page("orders", orders=orders)

    async def show_order(self, request: Request, order_id: int) -> Response:
        """Show one order to the visitor who made it; to others it does not exist."""
        answer = await self._logic.get(f"/orders/{order_id}")
        order = _understood(_ORDER, answer.json()) if answer.status == 200 else None
        if order is None or order.customer != visitor_of(request).customer:
            return self.problem(404, "There is no such order", "Perhaps it was made in another browser.")
        return self._renderer.page("order", order=order)

    def problem(self, status: int, title: str, text: str) -> Response:
        """Return a page that says what is the matter."""
        return self._renderer.page("message", status, title=title, text=text, form=None, again=False)

    def away(self, error: LogicAwayError, form: _Form | None = None) -> Response:
        """Return the page for when logic is away; with a form if an order was to be made, to send it again."""
        _log.warning("logic away: %s", error)
        if form is None:
            title, text = "Back in a moment", "The box office is not answering just now. Your orders are safe."
        else:
            title = "Your order is not confirmed yet"
            text = (
                "The box office did not answer in time. Please try again: "
                "however often you do, the tickets are ordered only once."
            )
        return self._renderer.page("message", 503, _RETRY_AFTER, title=title, text=text, form=form, again=True)

    async def _order(self, form: _Form, visitor: Visitor) -> LogicAnswer:
        request = {"event_id": form.event_id, "quantity": form.quantity, "customer": visitor.customer}
        # The visitor's name in the key: nobody can occupy another one's key.
        key = f"page:{visitor.customer}:{form.key}"
        return await self._logic.post("/orders", TypeAdapter(dict[str, Any]).dump_json(request), key)

    def _refusal(self, answer: LogicAnswer) -> Response:
        match answer.json().get("error"):
            case "sold_out":
                title, text = "Not enough tickets left", "Others were quicker. Perhaps with fewer tickets?"
            case "key_reused":
                title, text = "This form was already used", "Its order was made; please start again for another one."
            case _:
                title, text = "This cannot be ordered", "Please choose your tickets again."
        return self.problem(answer.status, title, text)


def _form_of(fields: dict[str, str]) -> _Form | None:
    """Return the form, or None if a field is missing or out of its range."""
    try:
        form = _Form(int(fields["event_id"]), int(fields["quantity"]), fields["key"], fields["token"])
    except (KeyError, ValueError):
        return None
    sound = 1 <= form.event_id < 2**31 and 1 <= form.quantity <= _TICKETS_MAX and _KEY.fullmatch(form.key)
    return form if sound else None


def _understood(adapter: TypeAdapter[Any], content: Any) -> Any:
    """Return ``content`` as the type of ``adapter``.

    Raises:
        LogicAwayError: it is something else; logic then is of no more use than if it were away.
    """
    try:
        return adapter.validate_python(content)
    except ValidationError as error:
        raise LogicAwayError(f"answered something else than expected: {error.error_count()} errors") from error
