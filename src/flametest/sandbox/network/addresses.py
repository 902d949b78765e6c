"""Which address a pod gets: out of its node's range, and not soon the one that another pod has just left.

Pure bookkeeping. A connection that was still on its way to a dead pod must not reach its replacement, so addresses
are given out in a circle.
"""

import ipaddress

from flametest.sandbox.errors import SandboxError

__all__ = ["AddressPool"]

# The network's own address, and the first one, which nodes use for themselves.
_RESERVED_AT_START = 2


class AddressPool:
    """The addresses of one node's range, such as ``10.244.1.0/24``."""

    def __init__(self, pod_range: str) -> None:
        self._network = ipaddress.IPv4Network(pod_range)
        self._count = self._network.num_addresses - _RESERVED_AT_START - 1  # the last one is for broadcast
        self._next = 0
        self._taken: set[str] = set()

    def take(self) -> str:
        """Return a free address, the one that has been free for longest.

        Raises:
            SandboxError: all are taken.
        """
        for step in range(self._count):
            position = (self._next + step) % self._count
            address = str(self._network[_RESERVED_AT_START + position])
            if address not in self._taken:
                self._taken.add(address)
                self._next = (position + 1) % self._count
                return address
        message = f"the pod range {self._network} has no free address: {self._count} pods have one"
        raise SandboxError(message, "run fewer pods on this node")

    def give_back(self, address: str) -> None:
        """Make an address free again."""
        self._taken.discard(address)
