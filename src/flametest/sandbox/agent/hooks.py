"""Lifecycle hooks of containers: postStart and preStop, by command, HTTP request or sleep."""

import asyncio
from typing import Any

from flametest.sandbox.agent.probes import Execute, NotExecutedError, http_get, port_number
from flametest.sandbox.objects import Object

__all__ = ["HookError", "run_hook"]


class HookError(Exception):
    """A hook failed; the message is for the event."""


async def run_hook(hook: dict[str, Any], container: Object, address: str, execute: Execute) -> None:
    """Run one handler to its end; the caller bounds the time.

    Raises:
        HookError: the command ended with another code than 0, or the request failed.
    """
    if "sleep" in hook:
        await asyncio.sleep(float(hook["sleep"].get("seconds", 0)))
    elif "exec" in hook:
        command = list(hook["exec"].get("command") or [])
        try:
            code, output = await execute(command)
        except NotExecutedError as error:
            raise HookError(f"command '{' '.join(command)}': {error}") from error
        if code != 0:
            raise HookError(f"command '{' '.join(command)}' exited with {code}: {output.decode(errors='replace')}")
    elif "httpGet" in hook:
        spec = hook["httpGet"]
        headers = [(str(header["name"]), str(header["value"])) for header in spec.get("httpHeaders") or []]
        path = "/" + str(spec.get("path") or "/").removeprefix("/")
        host = str(spec.get("host") or address)
        try:
            tls = spec.get("scheme", "HTTP") == "HTTPS"
            await http_get(host, port_number(spec["port"], container), path, headers, tls=tls)
        except (OSError, ValueError) as error:
            raise HookError(str(error)) from error
