"""Loopback addresses and ports of tests, so that several of them, and a sandbox of the user's own, never meet."""

import os
import random
import socket
import zlib

__all__ = ["free_port", "own_address"]

_PORTS = range(10_000, 30_000)  # the kernel chooses none of them by itself (net.ipv4.ip_local_port_range)


def own_address(name: str) -> str:
    """Return an address of 127.64.0.0/10 that only this process uses, and only under this name."""
    digest = zlib.crc32(f"{os.getpid()} {name}".encode())
    return f"127.{64 + digest % 64}.{digest >> 8 & 0xFF}.{1 + (digest >> 16) % 254}"


def free_port() -> int:
    """Return a port of 127.0.0.1 at which nobody listens, and which no other test gets while this process lives.

    A port that was free for a moment is not reserved: a program that takes long to start may find another test's there,
    and be taken for it. So each port has a name among the kernel's abstract addresses, which ends with its owner.
    """
    while True:
        port = random.SystemRandom().choice(_PORTS)
        reserved = socket.socket(socket.AF_UNIX)
        try:
            reserved.bind(f"\0flametest port {port}")
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            reserved.close()
            continue
        reserved.detach()  # the kernel closes it when this process ends
        return port
