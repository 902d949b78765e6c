"""A node whose link is unplugged: what others notice of it, for real, in namespaces that the test makes for itself."""

import asyncio
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from flametest.sandbox.network.pods import NamespacedPodNetwork
from flametest.sandbox.settings import NodeSettings

pytestmark = pytest.mark.sandbox

InNamespaces = Callable[[Callable[[], Any]], Any]

NODES = [NodeSettings(f"sandbox-{number}", f"10.240.0.{number}", f"10.244.{number}.0/24") for number in (1, 2)]

# A pod accepts connections and holds them; it says nothing.
HOLDER = """
import socket
with socket.create_server(("", 8000)) as server:
    print("listening", flush=True)
    links = []
    while True:
        links.append(server.accept()[0])
"""


def attempt(address: str) -> str:
    """Return what becomes of a connection."""
    try:
        socket.create_connection((address, 8000), timeout=0.5).close()
    except OSError as error:
        return type(error).__name__
    return "connected"


def attempt_from(namespace_path: str, address: str) -> str:
    code = f"import runpy; print(runpy.run_path({__file__!r})['attempt']({address!r}))"
    command = ["nsenter", f"--net={namespace_path}", sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=True).stdout.strip()


def start_holder(namespace_path: str) -> "subprocess.Popen[str]":
    command = ["nsenter", f"--net={namespace_path}", sys.executable, "-c", HOLDER]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "listening\n"
    return holder


def power_cut() -> Any:
    async def scenario() -> Any:
        network = NamespacedPodNetwork(NODES)
        network.prepare()
        lost = await network.attach("lost", NODES[1].pod_range)
        other = await network.attach("other", NODES[0].pod_range)
        holder = start_holder(lost.namespace_path)
        before = [attempt(lost.ip), attempt_from(other.namespace_path, lost.ip)]
        link = socket.create_connection((lost.ip, 8000), timeout=0.5)

        network.unplug(NODES[1].pod_range)
        network.unplug(NODES[1].pod_range)
        holder.kill()
        holder.wait()
        try:
            heard = repr(link.recv(1))
        except TimeoutError:
            heard = "nothing"
        link.close()
        await network.detach("lost")
        cut = [
            attempt(lost.ip),
            attempt_from(other.namespace_path, lost.ip),
            attempt_from(other.namespace_path, other.ip),
        ]

        network.plug(NODES[1].pod_range)
        network.plug(NODES[1].pod_range)
        back = await network.attach("back", NODES[1].pod_range)
        healed = attempt_from(other.namespace_path, back.ip)
        network.close()
        return before, heard, cut, healed

    return asyncio.run(scenario())


def test_nobody_hears_that_a_node_has_died_and_nobody_reaches_it(in_namespaces: InNamespaces) -> None:
    before, heard, cut, healed = in_namespaces(power_cut)
    assert before == ["connected", "connected"]
    assert heard == "nothing"
    assert cut == ["TimeoutError", "TimeoutError", "ConnectionRefusedError"]
    # The new pod has the node's network, where nothing listens yet.
    assert healed == "ConnectionRefusedError"
