"""Turns what the pages say into HTML, with the headers that keep a browser from doing anything else with it.

A page is one answer: its style is inside, allowed by its hash, and it has no scripts and no images, so that it is
whole even if nothing after it gets through.
"""

import base64
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

__all__ = ["Renderer"]

_FOLDER = Path(__file__).parent / "templates"


class Renderer:
    """Renders the templates, which it reads when it is made."""

    def __init__(self) -> None:
        style = (_FOLDER / "style.css").read_text(encoding="utf-8")
        self._environment = Environment(
            loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined, auto_reload=False
        )
        self._environment.globals["style"] = Markup(style)  # noqa: S704  # our own file
        self._environment.filters |= {"money": money, "day": day}
        self._templates = {
            name: self._environment.get_template(f"{name}.html") for name in ("events", "order", "orders", "message")
        }
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        self._headers = {
            "Content-Security-Policy": (
                f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; form-action 'self'; "
                "base-uri 'none'; frame-ancestors 'none'"
            ),
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
            # Stock, orders and form tokens are this visitor's and this moment's.
            "Cache-Control": "no-store",
        }

    def page(self, template: str, status: int = 200, headers: Mapping[str, str] = {}, **values: object) -> HTMLResponse:
        """Return the page that ``template`` makes of ``values``."""
        content = self._templates[template].render(values)
        return HTMLResponse(content, status, self._headers | dict(headers))


def money(cents: int) -> str:
    """Return an amount for people: 4500 is ``€45.00``."""
    return f"€{cents / 100:,.2f}"


def day(moment: datetime) -> str:
    """Return a moment for people, in UTC: ``Friday 5 June 2026, 19:30``."""
    moment = moment.astimezone(UTC)
    return f"{moment:%A} {moment.day} {moment:%B %Y, %H:%M}"
