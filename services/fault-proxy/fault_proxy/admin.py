"""The switch's own port: GET, POST and DELETE /faults, each answering the state, and /healthz for the cluster."""

from aiohttp import web
from pydantic import ValidationError

from .faults import Faults, FaultState, FaultSwitch

__all__ = ["make_admin_app"]


def make_admin_app(switch: FaultSwitch) -> web.Application:
    """Return the application of the admin port."""

    async def alive(_: web.Request) -> web.Response:
        return web.json_response({"status": "alive"})

    async def read(_: web.Request) -> web.Response:
        return _state(switch.state())

    async def turn_on(request: web.Request) -> web.Response:
        try:
            faults = Faults.model_validate_json(await request.read())
        except ValidationError as error:
            reasons = [f"{'.'.join(map(str, one['loc'])) or 'faults'}: {one['msg']}" for one in error.errors()]
            return web.json_response({"error": "invalid", "message": "; ".join(reasons)}, status=422)
        return _state(switch.turn_on(faults))

    async def turn_off(_: web.Request) -> web.Response:
        return _state(switch.turn_off())

    app = web.Application()
    app.add_routes(
        [
            web.get("/healthz", alive),
            web.get("/faults", read),
            web.post("/faults", turn_on),
            web.delete("/faults", turn_off),
        ]
    )
    return app


def _state(state: FaultState) -> web.Response:
    return web.Response(text=state.model_dump_json(), content_type="application/json")
