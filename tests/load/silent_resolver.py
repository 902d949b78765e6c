"""A prober that asks for a name, while the resolver of its machine is silent for known times.

Run by test_resolving.py as root of a network and a mount namespace of its own, where the address of a resolver is free
and the files that name it can be covered. It prints one JSON object for each silence: its length in seconds, and the
bracket that was measured. Queries are judged by the moment at which the kernel received them.
"""

import json
import os
import random
import socket
import struct
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from flametest.load.prober import Prober
from flametest.measure.objectives import Objectives
from flametest.measure.outage import user_visible_outage
from flametest.measure.samples import read_samples
from flametest.sandbox import namespaces

NAME = "shop.test"
SETTLE_SECONDS = 1.5
ADDRESS = (127, 0, 0, 1)
_A = 1
_RECEIVED_AT = 35  # SO_TIMESTAMPNS, see socket(7); the module has no name for it


class Resolver(threading.Thread):
    """Answers each query on loopback with one address, except in `silences`, which are wall clock."""

    def __init__(self) -> None:
        super().__init__(name="resolver", daemon=True)
        self.silences: list[tuple[float, float]] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, _RECEIVED_AT, 1)
        self._socket.bind(("127.0.0.1", 53))

    def run(self) -> None:
        """Answer until the process ends."""
        while True:
            query, ancillary, _, client = self._socket.recvmsg(512, 64)
            seconds, nanoseconds = struct.unpack("qq", ancillary[0][2])
            received = seconds + nanoseconds / 1e9
            if not any(start <= received < end for start, end in self.silences):
                self._socket.sendto(_answer(query), client)


def _answer(query: bytes) -> bytes:
    """Return the answer to a query of one question (RFC 1035): an address, or none of the type that is asked for."""
    end = query.index(b"\0", 12) + 5
    (kind,) = struct.unpack("!H", query[end - 4 : end - 2])
    records = struct.pack("!HHHIH4B", 0xC00C, _A, 1, 0, 4, *ADDRESS) if kind == _A else b""
    return query[:2] + struct.pack("!HHHHH", 0x8180, 1, bool(records), 0, 0) + query[12:end] + records


class Entry(BaseHTTPRequestHandler):
    """Answers everything well."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Takes many connections at once."""

    daemon_threads = True
    request_queue_size = 256


def cover(path: str, content: str, folder: Path) -> None:
    """Let a file of this mount namespace have another content."""
    (folder / Path(path).name).write_text(content)
    subprocess.run(["mount", "--bind", str(folder / Path(path).name), path], check=True)


def measured(url: str, folder: Path, resolver: Resolver, silences: list[float], chance: random.Random) -> None:
    """Probe while the resolver falls silent for each of ``silences``; print what each looked like."""
    with Prober(url, folder) as prober:
        prober.wait_first_samples()
        truths = []
        for seconds in silences:
            time.sleep(SETTLE_SECONDS + chance.uniform(0, 0.05))
            wall, now_ns = time.time(), time.monotonic_ns()
            resolver.silences.append((wall, wall + seconds))
            truths.append((seconds, now_ns, now_ns + round(seconds * 1e9)))
            time.sleep(seconds + SETTLE_SECONDS)
        summary = prober.stop()
    with prober.records_file.open(newline="") as lines:
        samples = read_samples(lines)
    margin_ns = round(SETTLE_SECONDS * 0.9e9)
    for seconds, start_ns, end_ns in truths:
        around = samples.sent_between(start_ns - margin_ns, end_ns + margin_ns)
        found = user_visible_outage(around, origin_ns=start_ns, affected_from_ns=start_ns, objectives=Objectives())
        assert found is not None
        bracket = [found.envelope.low, found.envelope.high] if found.envelope else []
        print(json.dumps({"truth": seconds, "bracket": bracket, "dropped": summary.dropped}), flush=True)


def main() -> None:
    """Measure; arguments are a folder, a seed and the silences."""
    folder, seed, silences = Path(sys.argv[1]), int(sys.argv[2]), [float(one) for one in sys.argv[3:]]
    namespaces.lift_loopback()
    cover("/etc/resolv.conf", "nameserver 127.0.0.1\n", folder)
    cover("/etc/nsswitch.conf", "hosts: dns\n", folder)
    resolver = Resolver()
    resolver.start()
    server = Server(("127.0.0.1", 0), Entry)
    threading.Thread(target=server.serve_forever, name="entry", daemon=True).start()
    record = folder / "record"
    record.mkdir()
    measured(f"http://{NAME}:{server.server_address[1]}/", record, resolver, silences, random.Random(seed))
    sys.stdout.flush()
    os._exit(0)  # without waiting for the threads of the server


if __name__ == "__main__":
    main()
