"""The switch's own port: what the experimenter tells the proxy, and asks it.

GET /healthz              that it lives
GET, DELETE /faults       what is on and was done, by edges; turn all off
POST /faults              turn an edge on
GET, DELETE /faults/KEY   the same of one edge
POST /ports               what a port speaks: connections or requests
POST /callers             addresses of clients that an edge's rules by caller mean, beside those told before
POST /soundings, GET      send soundings; what came of them, once they are done
POST /talk                what the service behind a port answers to, asked directly

Whoever says no ``edge`` means one that is called by the empty text, and without a ``port`` the first one that is
disturbed.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, fields
from typing import Any

from .bodies import body_of, read_head
from .messages import Head, request_of
from .routes import Routes
from .rules import RuleError, rules_from
from .soundings import Order, Talk, find_talk, send
from .switch import Switch

__all__ = ["Admin"]

BODY_BYTES_MAX = 1_000_000
ADDRESSES_MAX = 10_000
FAULTS = "/faults/"

Answer = tuple[int, Any]


class Admin:
    """Answers on the admin port."""

    def __init__(self, switch: Switch, routes: Routes) -> None:
        self._switch = switch
        self._routes = routes
        self._sounding: asyncio.Task[dict[str, Any]] | None = None
        self._verbs: dict[tuple[str, str], Callable[[Any], Awaitable[Answer]]] = {
            ("GET", "/healthz"): self._alive,
            ("GET", "/faults"): self._state,
            ("POST", "/faults"): self._turn_on,
            ("DELETE", "/faults"): self._turn_off,
            ("POST", "/ports"): self._speak,
            ("POST", "/callers"): self._callers,
            ("POST", "/soundings"): self._sound,
            ("GET", "/soundings"): self._sounded,
            ("POST", "/talk"): self._talk,
        }

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one request, and close."""
        try:
            head = request_of(await read_head(reader))
            status, told = await self._answer(head, await _body(reader, head))
            body = json.dumps(told).encode()
            lines = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            writer.write(f"{lines}Connection: close\r\n\r\n".encode() + body)
            await writer.drain()
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # whoever asked has gone, or speaks another language
        finally:
            writer.close()

    async def _answer(self, head: Head, body: bytes) -> Answer:
        method, path = head.first[0], head.first[1].partition("?")[0]
        if path.startswith(FAULTS) and method in ("GET", "DELETE"):
            return await self._of_edge(method, path.removeprefix(FAULTS))
        verb = self._verbs.get((method, path))
        if verb is None:
            return 404, {"error": "not found"}
        try:
            return await verb(json.loads(body or b"{}"))
        except RuleError as error:
            return 422, {"error": "invalid", "message": str(error)}
        except (ValueError, TypeError, KeyError) as error:
            return 400, {"error": "invalid", "message": f"{type(error).__name__}: {error}"}

    async def _alive(self, _: Any) -> Answer:
        return 200, {"status": "alive"}

    async def _state(self, _: Any) -> Answer:
        return 200, self._switch.state()

    async def _of_edge(self, method: str, key: str) -> Answer:
        edge = self._switch.edge(key)
        if method == "DELETE":
            edge.turn_off()
            self._switch.turned(edge)
        return 200, edge.state()

    async def _turn_on(self, body: Any) -> Answer:
        rules, ports = rules_from(body["rules"]), list(map(int, body.get("ports") or self._routes.disturbed_ports))
        protocol = self._routes.disturbed(ports[0]).protocol
        for rule in rules:
            rule.check(protocol)
        edge = self._switch.edge(str(body.get("edge", "")))
        edge.ports, edge.protocol = frozenset(ports), protocol
        edge.turn_on(rules, float(body["expires_seconds"]), body.get("seed"))
        self._switch.turned(edge)
        return 200, self._switch.state()

    async def _turn_off(self, _: Any) -> Answer:
        self._switch.turn_off()
        return 200, self._switch.state()

    async def _speak(self, body: Any) -> Answer:
        for port in map(int, body["ports"]):
            self._routes.speak(port, str(body["protocol"]))
        return 200, {}

    async def _callers(self, body: Any) -> Answer:
        callers = self._switch.edge(str(body.get("edge", ""))).callers
        callers.update(list(map(str, body["addresses"]))[:ADDRESSES_MAX])
        return 200, {"callers": sorted(callers)}

    async def _talk(self, body: Any) -> Answer:
        talk = await find_talk(self._routes.disturbed(int(body.get("port", 0))))
        return 200, {"name": talk.name if talk else "", "payload": talk.payload.hex() if talk else ""}

    async def _sound(self, body: Any) -> Answer:
        if self._sounding is not None and not self._sounding.done():
            return 409, {"error": "busy", "message": "soundings are under way"}
        edge = self._switch.edge(str(body.pop("edge", "")))
        route = self._routes.disturbed(int(body.pop("port", 0)))
        order = order_from(body | {"edge": edge.number})
        self._sounding = asyncio.create_task(send(route, order), name="soundings")
        return 202, {"order": asdict(order) | {"talk": order.talk.name}}

    async def _sounded(self, _: Any) -> Answer:
        if self._sounding is None:
            return 404, {"error": "not found", "message": "no soundings were ordered"}
        if not self._sounding.done():
            return 200, {"done": False}
        return 200, {"done": True} | self._sounding.result()


def order_from(body: dict[str, Any]) -> Order:
    """Return the soundings that are asked for; ``talk`` is a name and bytes in hexadecimal."""
    given = {name: body[name] for name in (one.name for one in fields(Order)) if name in body}
    if "talk" in given:
        given["talk"] = Talk(str(given["talk"]["name"]), bytes.fromhex(given["talk"]["payload"]))
    return Order(**given)


async def _body(reader: asyncio.StreamReader, head: Head) -> bytes:
    pieces, size = [], 0
    async for piece in body_of(reader, head.body_bytes):
        pieces.append(piece)
        size += len(piece)
        if size > BODY_BYTES_MAX:
            raise ValueError("the body is too long")
    return b"".join(pieces)
