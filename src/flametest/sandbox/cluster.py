"""The cluster process: wiring and lifetime of everything inside the sandbox's namespaces.

Run as ``python -P -m flametest.sandbox.cluster SETTINGS_FILE API_DESCRIPTOR CONTROL_DESCRIPTOR`` by the supervisor.
One event loop holds the API server, controllers, scheduler, agent, Service rules and DNS. It ends when the supervisor
says so or vanishes, and as soon as any one part ends, with the reason in the log: a cluster is whole or gone.
"""

import asyncio
import ctypes
import gc
import logging
import os
import resource
import shutil
import socket
import ssl
import sys
from pathlib import Path

import uvloop

from flametest.sandbox import control, controlgroups, idmaps
from flametest.sandbox.agent import Agent, AgentSettings, ProcessRuntime
from flametest.sandbox.apiserver import Registry
from flametest.sandbox.apiserver.bootstrap import bootstrap
from flametest.sandbox.apiserver.server import ApiServer
from flametest.sandbox.bootstrap import API_INNER_PORT, DNS_PORT, system_endpoints
from flametest.sandbox.controllers import ControllerManager
from flametest.sandbox.errors import SandboxError
from flametest.sandbox.eventrecorder import EventRecorder
from flametest.sandbox.hostlink import HostLink
from flametest.sandbox.images import Catalogue, Images, ImageStore
from flametest.sandbox.images.copying import SKOPEO
from flametest.sandbox.images.offered import Offers, offered_file
from flametest.sandbox.images.unpacking import UMOCI
from flametest.sandbox.lifetime import Parts
from flametest.sandbox.network.directory import Directory
from flametest.sandbox.network.dns import Answerer, DnsServer
from flametest.sandbox.network.nodeports import NodePorts
from flametest.sandbox.network.pods import NamespacedPodNetwork
from flametest.sandbox.network.policing import PolicyRules, name_server_pod
from flametest.sandbox.network.services import ServiceRules
from flametest.sandbox.scheduler import Scheduler
from flametest.sandbox.settings import DNS_ADDRESS, KUBERNETES_ADDRESS, NAME_SERVER_ADDRESS, Settings
from flametest.sandbox.store import Store
from flametest.sandbox.tokens import ServiceAccountTokens

__all__ = ["main"]

_OPEN_FILES_MAX = 65_536
# By their numbers in malloc.h: M_ARENA_MAX, M_TRIM_THRESHOLD, and M_MMAP_THRESHOLD (both in bytes).
_HEAP_SETTINGS = {-8: 1, -1: 128 * 1024, -3: 64 * 1024}

_log = logging.getLogger(__name__)


def main(arguments: list[str]) -> int:
    """Run the cluster until it is told to stop; returns the exit code."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    _raise_file_limit()
    _keep_heap_small()
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


def _raise_file_limit() -> None:
    """Let this process, and pods after it, open as many files as container runtimes let them."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = _OPEN_FILES_MAX if hard_limit == resource.RLIM_INFINITY else min(hard_limit, _OPEN_FILES_MAX)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard_limit))


def _keep_heap_small() -> None:
    """Have the C library keep one heap and give free memory back (mallopt(3); nothing where it knows no such thing).

    Objects that stay lie among the buffers of requests that do not. With a heap for each thread and thresholds that
    rise by themselves, holes between them would add up to half as much again as is used.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        for parameter, value in _HEAP_SETTINGS.items():
            mallopt(parameter, value)


async def _run(settings: Settings, api: socket.socket, supervisor: socket.socket) -> int:
    nodes = settings.node_list()
    link = HostLink(supervisor)
    registry = Registry(Store(), root_certificate=settings.authority_file.read_text())
    bootstrap(registry, api_address=KUBERNETES_ADDRESS, dns_address=DNS_ADDRESS)
    for plural, obj in system_endpoints(nodes[0].address, NAME_SERVER_ADDRESS):
        registry.create(plural, obj)
    pod_network = NamespacedPodNetwork(nodes)
    pod_network.prepare()
    policies = PolicyRules(registry, [name_server_pod(NAME_SERVER_ADDRESS, DNS_PORT)])
    pod_network.add_listener(policies.pod_attached)
    agent = _make_agent(settings, registry, pod_network, link)
    async with Parts() as parts:
        _start_network(parts, settings, registry, link)
        parts.start("network policies", policies.run())
        parts.start("agent", agent.run())
        parts.start("scheduler", Scheduler(registry).run())
        parts.start("controllers", ControllerManager(registry).run())
        await parts.run_until(asyncio.create_task(_nodes_ready(registry, len(nodes)), name="wait for nodes"))
        await _start_api(parts, settings, registry, agent, api)
        gc.collect()
        # What is there now stays for good: no collection need look at it again.
        gc.freeze()
        link.announce_ready()
        await parts.run_until(link.stop)
    pod_network.close()
    return 0


def _make_agent(settings: Settings, registry: Registry, pod_network: NamespacedPodNetwork, link: HostLink) -> Agent:
    settings.pods_folder.mkdir(mode=0o700, exist_ok=True)
    return Agent(
        registry,
        pod_network,
        ProcessRuntime(str(settings.pods_folder), controlgroups.find(Path(settings.state_folder))),
        AgentSettings(
            state_folder=str(settings.pods_folder),
            nodes=tuple(settings.node_list()),
            tokens=ServiceAccountTokens(settings.token_file.read_text()),
            api_certificate=settings.authority_file.read_text(),
        ),
        EventRecorder(registry, "kubelet"),
        images=Images(
            Catalogue(
                Path(settings.images_file) if settings.images_file else None,
                offers=Offers(offered_file(Path(settings.state_folder))),
            ),
            ImageStore(Path(settings.image_store)) if settings.image_store else None,
            link.fetch if settings.image_store and all(map(shutil.which, (SKOPEO, UMOCI))) else None,
            install=link.install if settings.image_store else None,
            builds=settings.builds_file,
            one_user=not idmaps.has_other_users(),
        ),
    )


async def _start_api(parts: Parts, settings: Settings, registry: Registry, agent: Agent, api: socket.socket) -> None:
    """Serve the host on the socket that the supervisor bound there, and pods on the first node's address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings.certificate_file, settings.key_file)
    token = settings.token_file.read_text()
    limits_enforced = controlgroups.find(Path(settings.state_folder)) is not None
    inner = socket.create_server((settings.node_list()[0].address, API_INNER_PORT))
    for name, listener in (("API server", api), ("API server for pods", inner)):
        listener.setblocking(False)
        server = ApiServer(registry, token, agent, context, limits_enforced=limits_enforced)
        await server.serve(listener)
        parts.start(name, _hold(server))


async def _hold(server: ApiServer) -> None:
    """Keep a server that serves until cancelled, then close it."""
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        await server.close()


async def _nodes_ready(registry: Registry, count: int) -> None:
    """Return when so many nodes are Ready."""
    ready: set[str] = set()
    async for event in registry.watch("nodes"):
        conditions = event.object.get("status", {}).get("conditions") or []
        if any(one["type"] == "Ready" and one["status"] == "True" for one in conditions):
            ready.add(event.object["metadata"]["name"])
        if len(ready) >= count:
            return


def _start_network(parts: Parts, settings: Settings, registry: Registry, link: HostLink) -> None:
    nodes = settings.node_list()
    directory = Directory(registry)
    rules = ServiceRules([node.address for node in nodes])
    answerer = Answerer()
    node_ports = NodePorts(
        link.listen, EventRecorder(registry, "node-ports"), settings.node_port_address, nodes[0].address
    )
    for listener in (rules.update, answerer.update, node_ports.update):
        directory.add_listener(listener)
    parts.start("service directory", directory.run())
    parts.start("name server", DnsServer(answerer, NAME_SERVER_ADDRESS, DNS_PORT).run())
    parts.start("node ports", node_ports.run())


if __name__ == "__main__":
    code = main(sys.argv[1:])
    logging.shutdown()
    # Nothing is left to save, and the interpreter's own way out would walk all objects once more.
    os._exit(code)
