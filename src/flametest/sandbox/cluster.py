"""The cluster process: wiring and lifetime of everything inside the sandbox's namespaces.

Run as ``python -P -m flametest.sandbox.cluster SETTINGS_FILE API_DESCRIPTOR CONTROL_DESCRIPTOR`` by the supervisor.
One event loop holds the API server, controllers, scheduler, agent, Service rules and DNS. It ends when the supervisor
says so or vanishes, and as soon as any one part ends, with the reason in the log: a cluster is whole or gone.
"""

import asyncio
import gc
import logging
import os
import socket
import sys
from pathlib import Path

import uvloop

from flametest.sandbox import control
from flametest.sandbox.errors import SandboxError
from flametest.sandbox.lifetime import Parts
from flametest.sandbox.settings import Settings

__all__ = ["main"]

_log = logging.getLogger(__name__)


def main(arguments: list[str]) -> int:
    """Run the cluster until it is told to stop; returns the exit code."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    settings = Settings.from_json(Path(arguments[0]).read_text())
    api = socket.socket(fileno=int(arguments[1]))
    supervisor = socket.socket(fileno=int(arguments[2]))
    for inherited in (api, supervisor):
        inherited.setblocking(False)
        inherited.set_inheritable(False)
    try:
        return uvloop.run(_run(settings, api, supervisor))
    except SandboxError as error:
        _log.exception("the cluster ends")
        control.send(supervisor, {"type": "failed", "message": str(error), "remedy": error.remedy})
        return 1


async def _run(settings: Settings, api: socket.socket, supervisor: socket.socket) -> int:
    loop = asyncio.get_running_loop()
    stop: asyncio.Future[None] = loop.create_future()
    loop.add_reader(supervisor, lambda: _hear(supervisor, stop))
    async with Parts() as parts:
        gc.freeze()
        control.send(supervisor, {"type": "ready"})
        await parts.run_until(stop)
    return 0


def _hear(supervisor: socket.socket, stop: "asyncio.Future[None]") -> None:
    """Read one message of the supervisor; its end and its word are the two reasons to stop."""
    message = control.receive(supervisor)
    if (message is None or message.content["type"] == "stop") and not stop.done():
        stop.set_result(None)


if __name__ == "__main__":
    code = main(sys.argv[1:])
    logging.shutdown()
    # Nothing is left to save, and the interpreter's own way out would walk all objects once more.
    os._exit(code)
