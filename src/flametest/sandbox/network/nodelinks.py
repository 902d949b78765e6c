"""The link of a whole node, which can be unplugged: what a power cut looks like from elsewhere.

All that goes to the node's range of pods, or comes from it, is dropped without a word, as on a wire that leads
nowhere: clients run into their time limits, and no reset tells them that a process has died.
"""

from flametest.sandbox.network.netlink import Netlink
from flametest.sandbox.network.nftables import Nftables

__all__ = ["NodeLinks"]

_TABLE = "ip flametest-nodes"
_LOOPBACK_INDEX = 1

_BASE = f"""
add table {_TABLE}
table {_TABLE} {{
    set unplugged {{ type ipv4_addr; flags interval; }}
    chain passing {{
        type filter hook forward priority -10; policy accept;
        ip saddr @unplugged drop
        ip daddr @unplugged drop
    }}
    chain from-pods {{
        type filter hook input priority -10; policy accept;
        ip saddr @unplugged drop
    }}
    chain to-pods {{
        type filter hook output priority -10; policy accept;
        ip daddr @unplugged drop
    }}
}}
"""


class NodeLinks:
    """The links of one cluster's nodes, in the network namespace of the thread that made it."""

    def __init__(self, netlink: Netlink) -> None:
        """Make the table; raises SandboxError when the kernel refuses it."""
        self._netlink = netlink
        self._nftables = Nftables()
        self._nftables.run(_BASE)
        self._unplugged: set[str] = set()

    def unplug(self, pod_range: str) -> None:
        """Drop what goes to or comes from a range of addresses."""
        if pod_range in self._unplugged:
            return
        self._unplugged.add(pod_range)
        self._nftables.run(f"add element {_TABLE} unplugged {{ {pod_range} }}")
        # Without a route the sender would be told at once that there is none; so packets get as far as the rule.
        self._netlink.add_route(pod_range, _LOOPBACK_INDEX)

    def plug(self, pod_range: str) -> None:
        """Let pass again what goes to or comes from a range."""
        if pod_range not in self._unplugged:
            return
        self._unplugged.discard(pod_range)
        self._netlink.delete_route(pod_range, _LOOPBACK_INDEX)
        self._nftables.run(f"delete element {_TABLE} unplugged {{ {pod_range} }}")
