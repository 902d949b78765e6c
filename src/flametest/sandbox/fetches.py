"""The programs that fetch images and packages for a cluster: its supervisor starts them, being in the host's network.

A `Fetches` belongs to the supervisor's loop, which polls its descriptors. The kernel ends the programs with the
supervisor; see `flametest.sandbox.images.fetch`.
"""

import json
import os
import select
import subprocess
import sys
from typing import Any

__all__ = ["Fetches"]


class Fetches:
    """What is being fetched, by the descriptor on which its program will answer."""

    def __init__(self, store: str, poll: "select.poll") -> None:
        """Take the folder of the store, and where the descriptors are to be registered."""
        self._store = store
        self._poll = poll
        self._running: dict[int, tuple[int, subprocess.Popen[bytes]]] = {}

    def start(self, number: int, asked: dict[str, Any]) -> str:
        """Start to fetch what is asked for; return why that could not be started, empty when it was."""
        command = [sys.executable, "-P", "-m", "flametest.sandbox.images.fetch", self._store]
        try:
            # In memory, not on a disk, since it may hold a password; and a pipe might be full before it is read.
            descriptor = os.memfd_create("fetch", os.MFD_CLOEXEC)
            with open(descriptor, "w+b") as standard_input:
                standard_input.write(json.dumps(asked).encode())
                standard_input.seek(0)
                process = subprocess.Popen(command, stdin=standard_input, stdout=subprocess.PIPE)
        except OSError as error:
            return f"failed to fetch: no program could be started: {error}"
        assert process.stdout is not None
        self._running[process.stdout.fileno()] = (number, process)
        self._poll.register(process.stdout, select.POLLIN)
        return ""

    def finished(self, ready: set[int]) -> list[tuple[int, str]]:
        """Return number and error (empty for none) of what has ended, by the descriptors that are ready."""
        ended = []
        for descriptor in ready & self._running.keys():
            number, process = self._running.pop(descriptor)
            self._poll.unregister(descriptor)
            # It writes one short text at its very end.
            printed, _ = process.communicate()
            ended.append((number, _error(printed, process.returncode)))
        return ended

    def close(self) -> None:
        """End what still runs."""
        for _, process in self._running.values():
            process.kill()
            process.communicate()
        self._running.clear()


def _error(printed: bytes, code: int) -> str:
    try:
        return str(json.loads(printed).get("error", ""))
    except (ValueError, AttributeError):
        return f"failed to pull image: the program that fetches it ended with {code}"
