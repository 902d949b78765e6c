"""Network namespaces of pods: one each, joined to the cluster's by a routed pair of interfaces, without a bridge.

`NamespacedPodNetwork` serves the agent for the life of the cluster process. A pod has one address (/32) on eth0 and
reaches everything through the gateway 169.254.1.1, which every outer interface bears; the cluster's namespace routes
each pod's address to its interface. The names of interfaces and namespaces are numbered and never come again, because
the kernel takes a namespace's interfaces away a little after the namespace.

To attach takes about 2 ms; to detach takes 25 ms, since the kernel waits for its readers when an interface goes. Each
has a thread of its own, so that neither the event loop nor a new pod waits for an old one. The attaching thread enters
each new namespace for a moment; no other thread moves.
"""

import asyncio
import contextlib
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from flametest.sandbox import namespaces
from flametest.sandbox.errors import SandboxError
from flametest.sandbox.network.addresses import AddressPool
from flametest.sandbox.network.netlink import Netlink
from flametest.sandbox.network.nodelinks import NodeLinks
from flametest.sandbox.podnetwork import PodAddress
from flametest.sandbox.settings import NAME_SERVER_ADDRESS, SERVICE_RANGE, NodeSettings

__all__ = ["NamespacedPodNetwork"]

_GATEWAY = "169.254.1.1"
# Of the network namespace of the thread that opens it. Container runtimes let every user of a pod bind every port.
_UNPRIVILEGED_PORT_START = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
_LOOPBACK_INDEX = 1
_POD_INTERFACE = "eth0"
_POD_INTERFACE_INDEX = 2
# The kernel numbers interfaces from 1 upwards; ours are out of its way, so that none has to be looked up.
_OUTER_INDEX_START = 1000


@dataclass(frozen=True, slots=True)
class _Attachment:
    """What one pod was given."""

    number: int
    pod_range: str
    address: str
    namespace_path: Path
    made: "asyncio.Future[None]"


class NamespacedPodNetwork:
    """Implements `flametest.sandbox.podnetwork.PodNetwork` with the kernel's network namespaces."""

    def __init__(self, nodes: list[NodeSettings], folder: Path = Path("/run/netns")) -> None:
        """Take the nodes and the folder, private to the cluster's mounts, for the files that name namespaces."""
        self._nodes = nodes
        self._folder = folder
        self._node_addresses = {node.pod_range: node.address for node in nodes}
        self._pools = {node.pod_range: AddressPool(node.pod_range) for node in nodes}
        self._attachments: dict[str, _Attachment] = {}
        self._numbers = itertools.count(1)
        self._attaching = _Worker("pod-network-attach")
        self._detaching = _Worker("pod-network-detach")
        self._links: NodeLinks | None = None
        self._listeners: list[Callable[[str, str], None]] = []

    def add_listener(self, listener: Callable[[str, str], None]) -> None:
        """Call ``listener`` with the uid and address of each pod from now on, before anything runs in it."""
        self._listeners.append(listener)

    def prepare(self) -> None:
        """Set up the cluster's own namespace: node addresses, and a route so that Service addresses can be sent to."""
        self._folder.mkdir(exist_ok=True)
        netlink = self._attaching.netlink
        for node in self._nodes:
            netlink.add_address(_LOOPBACK_INDEX, node.address)
        netlink.add_address(_LOOPBACK_INDEX, NAME_SERVER_ADDRESS)
        self._links = NodeLinks(netlink)
        # Rules turn these into pod addresses; the interface only has to exist for the first look-up of a route.
        netlink.add_route(SERVICE_RANGE, _LOOPBACK_INDEX, source=self._nodes[0].address)

    async def attach(self, pod_uid: str, pod_range: str) -> PodAddress:
        """See `PodNetwork.attach`; a pod that is attached keeps what it has."""
        if (known := self._attachments.get(pod_uid)) is not None:
            return PodAddress(known.address, str(known.namespace_path))
        pool = self._pools.get(pod_range)
        if pool is None:
            raise SandboxError(f"pod range {pod_range}: expected one of {', '.join(self._pools)}")
        number = next(self._numbers)
        address, path = pool.take(), self._folder / f"pod-{number}"
        made = self._attaching.run(lambda: self._attach(number, address, path, self._node_addresses[pod_range]))
        self._attachments[pod_uid] = _Attachment(number, pod_range, address, path, made)
        try:
            # Shielded, since a half-made namespace that nobody waits for could not be taken away.
            await asyncio.shield(made)
        except OSError as error:
            await self.detach(pod_uid)
            raise SandboxError(f"the kernel refused a pod its network: {error}") from error
        for listener in self._listeners:
            listener(pod_uid, address)
        return PodAddress(address, str(path))

    async def detach(self, pod_uid: str) -> None:
        """See `PodNetwork.detach`."""
        attachment = self._attachments.pop(pod_uid, None)
        if attachment is not None:
            await asyncio.gather(attachment.made, return_exceptions=True)
            await asyncio.shield(self._detaching.run(lambda: self._detach(attachment)))
            self._pools[attachment.pod_range].give_back(attachment.address)

    def unplug(self, pod_range: str) -> None:
        """See `PodNetwork.unplug`."""
        if self._links is not None:
            self._links.unplug(pod_range)

    def plug(self, pod_range: str) -> None:
        """See `PodNetwork.plug`."""
        if self._links is not None:
            self._links.plug(pod_range)

    def close(self) -> None:
        """End the threads; the namespaces go with the cluster's process namespace."""
        self._attaching.close()
        self._detaching.close()

    def _attach(self, number: int, address: str, path: Path, source: str) -> None:
        outer = self._attaching.netlink
        index = _OUTER_INDEX_START + number
        path.touch()
        with namespaces.new_network_namespace():
            namespaces.mount("/proc/thread-self/ns/net", str(path), flags=namespaces.MountFlag.BIND)
            namespaces.lift_loopback()
            _UNPRIVILEGED_PORT_START.write_text("0")
            inner = Netlink()
        with contextlib.closing(inner), path.open() as namespace:
            outer.add_veth(f"pod{number}", index, _POD_INTERFACE, _POD_INTERFACE_INDEX, namespace.fileno())
            outer.add_address(index, _GATEWAY)
            outer.set_up(index)
            inner.set_up(_POD_INTERFACE_INDEX)
            outer.add_route(f"{address}/32", index, source=source)
            inner.add_address(_POD_INTERFACE_INDEX, address)
            inner.add_route(f"{_GATEWAY}/32", _POD_INTERFACE_INDEX)
            inner.add_route("0.0.0.0/0", _POD_INTERFACE_INDEX, gateway=_GATEWAY)

    def _detach(self, attachment: _Attachment) -> None:
        # What a failed attach did not come to make is not there to be taken away.
        with contextlib.suppress(OSError):
            self._detaching.netlink.delete_link(_OUTER_INDEX_START + attachment.number)
        with contextlib.suppress(OSError):
            namespaces.unmount(str(attachment.namespace_path))
        attachment.namespace_path.unlink(missing_ok=True)


class _Worker:
    """One thread with a netlink socket of its own, in the network namespace in which it was made."""

    def __init__(self, name: str) -> None:
        self.netlink = Netlink()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    def run(self, step: Callable[[], None]) -> "asyncio.Future[None]":
        """Run a step after those before it."""
        return asyncio.get_running_loop().run_in_executor(self._thread, step)

    def close(self) -> None:
        """Let the thread end; steps that have not begun are dropped."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self.netlink.close()
