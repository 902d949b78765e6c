"""The cluster's name server: UDP and TCP on one address, for as long as the cluster.

`Answerer` turns one query into one answer, without I/O; `DnsServer` moves them. Packing an answer takes most of the
time, so that the answers to a query are packed once, kept by the query's bytes without its id, and forgotten when the
names change. Several addresses come in turning order, as CoreDNS' plugin `loadbalance` gives them. Names outside the
cluster are refused: the sandbox has no way out.
"""

import asyncio
import contextlib
import itertools
import logging
import struct
from collections.abc import Iterator
from typing import cast

from dnslib import CNAME, EDNS0, PTR, QTYPE, RCODE, RR, SOA, SRV, A, DNSError, DNSHeader, DNSLabel, DNSRecord

from flametest.sandbox.network.directory import Snapshot
from flametest.sandbox.network.zone import Entry, Zone, build_zone
from flametest.sandbox.settings import CLUSTER_DOMAIN

__all__ = ["TTL_SECONDS", "Answerer", "DnsServer"]

TTL_SECONDS = 5

_HEADER_BYTES = 12
_UDP_BYTES_DEFAULT = 512
_UDP_BYTES_MAX = 1232
_ANSWERS_KEPT_MAX = 4096
_TURNS_MAX = 8
_ALIASES_MAX = 8
_CONNECTIONS_MAX = 64
_IDLE_SECONDS_MAX = 10.0
_CLASS_IN = 1

_log = logging.getLogger(__name__)


class Answerer:
    """Answers queries; a listener of the directory. The zone is built when it is first asked for after a change."""

    def __init__(self) -> None:
        self._snapshot = Snapshot()
        self._zone: Zone | None = None
        self._kept: dict[tuple[bool, bytes], Iterator[bytes]] = {}

    def update(self, snapshot: Snapshot) -> None:
        """Answer from what is there now."""
        self._snapshot = snapshot
        self._zone = None
        self._kept.clear()

    def answer(self, query: bytes, *, tcp: bool = False) -> bytes | None:
        """Return the answer's bytes, or None for what is no query and gets none."""
        if len(query) < _HEADER_BYTES or query[2] & 0x80:
            return None
        key = (tcp, query[2:])
        turns = self._kept.get(key)
        if turns is None:
            if len(self._kept) >= _ANSWERS_KEPT_MAX:
                self._kept.clear()
            turns = self._kept[key] = itertools.cycle(self._pack(query, tcp=tcp))
        return query[:2] + next(turns)

    def _pack(self, query: bytes, *, tcp: bool) -> list[bytes]:
        """Return the answers without their ids, one for each order of the records."""
        try:
            record = DNSRecord.parse(query)
        except (DNSError, ValueError, IndexError, struct.error):
            return [bytes(DNSRecord(DNSHeader(qr=1, rcode=RCODE.FORMERR)).pack())[2:]]
        options = next((extra for extra in record.ar if extra.rtype == QTYPE.OPT), None)
        limit = 65535 if tcp else _UDP_BYTES_DEFAULT
        if options is not None and not tcp:
            limit = min(max(options.rclass, _UDP_BYTES_DEFAULT), _UDP_BYTES_MAX)
        reply, count = self._reply(record)
        packed = []
        for _ in range(min(max(count, 1), _TURNS_MAX)):
            if options is not None:
                reply.ar = [*(extra for extra in reply.ar if extra.rtype != QTYPE.OPT), EDNS0(udp_len=_UDP_BYTES_MAX)]
            packed.append(_fit(reply, limit)[2:])
            reply.rr = reply.rr[1:] + reply.rr[:1]
        return packed

    def _reply(self, query: DNSRecord) -> tuple[DNSRecord, int]:
        """Return the answer, and how many of its records may turn."""
        reply = query.reply(ra=0)
        reply.header.rd = query.header.rd
        if query.header.opcode != 0:
            reply.header.rcode = RCODE.NOTIMP
        elif len(query.questions) != 1:
            reply.header.rcode = RCODE.FORMERR
        else:
            name = _text(query.q.qname)
            if not Zone.holds(name) or query.q.qclass != _CLASS_IN:
                reply.header.rcode, reply.header.aa = RCODE.REFUSED, 0
            else:
                return reply, self._fill(reply, query.q.qname, name, query.q.qtype)
        return reply, 1

    def _fill(self, reply: DNSRecord, owner: DNSLabel, name: str, kind: int) -> int:
        if self._zone is None:
            self._zone = build_zone(self._snapshot.services, self._snapshot.slices, self._snapshot.namespaces)
        entry = self._zone.find(name)
        for _ in range(_ALIASES_MAX):
            if entry is None or not entry.alias or kind == QTYPE.CNAME:
                break
            reply.add_answer(_record(owner, QTYPE.CNAME, CNAME(entry.alias)))
            owner, name = DNSLabel(entry.alias), entry.alias
            entry = self._zone.find(name)
        if entry is not None:
            count = _add_records(reply, owner, entry, kind)
            if kind == QTYPE.SRV:
                _add_targets(reply, self._zone, entry)
            if reply.rr:
                return count if count == len(reply.rr) else 1
        elif not reply.rr:
            reply.header.rcode = RCODE.NXDOMAIN
        if not reply.rr:
            reply.add_auth(_start_of_authority())
        return 1


def _text(name: DNSLabel) -> str:
    # Labels are bytes and need not be text; whatever is not will not be found.
    return b".".join(name.label).decode("latin-1").lower()


def _record(owner: DNSLabel, kind: int, data: object) -> RR:
    return RR(owner, kind, ttl=TTL_SECONDS, rdata=data)


def _add_records(reply: DNSRecord, owner: DNSLabel, entry: Entry, kind: int) -> int:
    """Add the records of one kind and return how many."""
    match kind:
        case QTYPE.A:
            found: list[object] = [A(address) for address in entry.addresses]
        case QTYPE.SRV:
            weight = 100 // max(len(entry.services), 1)
            found = [SRV(0, weight, port, target) for port, target in entry.services]
        case QTYPE.PTR:
            found = [PTR(target) for target in entry.pointers]
        case QTYPE.CNAME:
            found = [CNAME(entry.alias)] if entry.alias else []
        case _:
            found = []
    for data in found:
        reply.add_answer(_record(owner, kind, data))
    return len(found)


def _add_targets(reply: DNSRecord, zone: Zone, entry: Entry) -> None:
    for target in dict.fromkeys(target for _, target in entry.services):
        for address in (zone.find(target) or Entry()).addresses:
            reply.add_ar(_record(DNSLabel(target), QTYPE.A, A(address)))


def _start_of_authority() -> RR:
    times = (1, 7200, 1800, 86400, TTL_SECONDS)
    data = SOA(f"ns.dns.{CLUSTER_DOMAIN}", f"hostmaster.{CLUSTER_DOMAIN}", times)
    return _record(DNSLabel(CLUSTER_DOMAIN), QTYPE.SOA, data)


def _fit(reply: DNSRecord, limit_bytes: int) -> bytes:
    """Return the packed answer; one that is too long is only the question, marked so that it is asked over TCP."""
    packed = bytes(reply.pack())
    if len(packed) <= limit_bytes:
        return packed
    short = DNSRecord(reply.header, q=reply.q)
    short.header.tc = 1
    truncated = bytes(short.pack())
    reply.header.tc = 0
    return truncated


class DnsServer:
    """Serves an `Answerer` on one address."""

    def __init__(self, answerer: Answerer, address: str, port: int = 53) -> None:
        self._answerer = answerer
        self._address = address
        self._port = port
        self._connections = 0

    async def run(self, ready: "asyncio.Future[None] | None" = None) -> None:
        """Serve until cancelled; sets ``ready`` when both sockets are open. Raises OSError if one is taken."""
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _UdpProtocol(self._answerer), local_addr=(self._address, self._port)
        )
        try:
            async with await asyncio.start_server(self._serve_stream, self._address, self._port) as server:
                if ready is not None:
                    ready.set_result(None)
                await server.serve_forever()
        finally:
            transport.close()

    async def _serve_stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        try:
            if self._connections <= _CONNECTIONS_MAX:
                while (query := await _read_framed(reader)) is not None:
                    answer = self._answerer.answer(query, tcp=True)
                    if answer is None:
                        break
                    writer.write(struct.pack("!H", len(answer)) + answer)
                    await asyncio.wait_for(writer.drain(), _IDLE_SECONDS_MAX)
        except (OSError, TimeoutError):
            _log.debug("a DNS client over TCP went away")
        finally:
            self._connections -= 1
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _read_framed(reader: asyncio.StreamReader) -> bytes | None:
    """Return one message behind its two bytes of length; None at the end of the stream or after a long silence."""
    try:
        (length,) = struct.unpack("!H", await asyncio.wait_for(reader.readexactly(2), _IDLE_SECONDS_MAX))
        return await asyncio.wait_for(reader.readexactly(length), _IDLE_SECONDS_MAX)
    except (asyncio.IncompleteReadError, TimeoutError):
        return None


class _UdpProtocol(asyncio.DatagramProtocol):
    def __init__(self, answerer: Answerer) -> None:
        self._answerer = answerer
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._answerer.answer(data)
        if answer is not None and self._transport is not None:
            self._transport.sendto(answer, addr)
