"""Service addresses of the cluster: keeps the kernel's rules at what Services and EndpointSlices say.

`ServiceRules` is a listener of the directory; what the rules are is decided in `flametest.sandbox.network.rules`.
"""

import asyncio
import logging
from collections.abc import Iterable
from pathlib import Path

from flametest.sandbox.network.conntrack import forget_udp
from flametest.sandbox.network.directory import Snapshot
from flametest.sandbox.network.nftables import Nftables
from flametest.sandbox.network.rules import Ruleset, base, commands, plan, udp_addresses_changed

__all__ = ["ServiceRules"]

_log = logging.getLogger(__name__)


# Connections that ended are remembered for 120 s by default: under load that fills the kernel's table, which then
# drops what is new. The setting is there only once a rule uses connection tracking.
_TIME_WAIT_SETTING = Path("/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_time_wait")
_TIME_WAIT_SECONDS = 10


def _shorten_memory() -> None:
    try:
        _TIME_WAIT_SETTING.write_text(str(_TIME_WAIT_SECONDS))
    except OSError as error:
        _log.warning("connections that ended stay in the kernel's table for its own time: %s", error)


class ServiceRules:
    """The rules of one cluster, in the network namespace of the thread that made it."""

    def __init__(self, node_addresses: Iterable[str]) -> None:
        """Make the table; raises SandboxError when the kernel refuses it."""
        self._nftables = Nftables()
        self._nftables.run(base(node_addresses))
        _shorten_memory()
        self._ruleset = Ruleset()
        self._flushes: set[asyncio.Task[None]] = set()

    def update(self, snapshot: Snapshot) -> None:
        """Bring the kernel's rules to the snapshot in one transaction; raises SandboxError when it is refused."""
        wanted = plan(snapshot.services, snapshot.slices)
        if changes := commands(self._ruleset, wanted):
            self._nftables.run(changes)
        stale = udp_addresses_changed(self._ruleset, wanted)
        self._ruleset = wanted
        if stale:
            flush = asyncio.create_task(self._forget(stale), name="forget UDP connections")
            self._flushes.add(flush)
            flush.add_done_callback(self._flushes.discard)

    async def _forget(self, addresses: set[tuple[str, int]]) -> None:
        try:
            count = await asyncio.to_thread(forget_udp, addresses)
        except OSError as error:
            # Clients of these Services lose datagrams until their entries time out, after 30 s of silence.
            _log.warning("tracked UDP connections of %s cannot be forgotten: %s", sorted(addresses), error)
        else:
            _log.debug("%d tracked UDP connections of %s forgotten", count, sorted(addresses))
