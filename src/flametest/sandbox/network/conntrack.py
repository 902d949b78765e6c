"""Forgetting tracked UDP connections of a Service whose endpoint has gone.

Connection tracking keeps sending a client's datagrams to the endpoint that it first got. A TCP client learns from a
reset; a UDP client learns nothing, so its entries are deleted. TCP entries are left alone: deleting live ones would
break the graceful end of a pod. pyroute2 is imported here only when there is such a Service, which is seldom.
"""

import socket
from collections.abc import Iterable

__all__ = ["forget_udp"]


def forget_udp(addresses: Iterable[tuple[str, int]]) -> int:
    """Delete the entries of clients of these UDP Service addresses and return how many; blocks, for use in a thread."""
    from pyroute2.netlink.nfnetlink.nfctsocket import NFCTAttrTuple, NFCTSocket  # noqa: PLC0415 - 11 MB, seldom used

    deleted = 0
    with NFCTSocket() as connections:
        for address, port in addresses:
            wanted = NFCTAttrTuple(daddr=address, proto=socket.IPPROTO_UDP, dport=port)
            # The socket cannot send while a dump is being read, so the dump is read to its end first.
            for entry in list(connections.dump(tuple_orig=wanted)):
                original = NFCTAttrTuple.from_netlink(socket.AF_INET, entry.get_attr("CTA_TUPLE_ORIG"))
                connections.entry("del", tuple_orig=original)
                deleted += 1
    return deleted
