"""Loopback addresses for the node ports of sandboxes that run at the same time: of two, each needs its own."""

import socket
import zlib

__all__ = ["loopback_address", "reserve_address"]


def loopback_address(name: str) -> str:
    """Return an address of 127.64.0.0/10: one of four million, always the same for a name."""
    digest = zlib.crc32(name.encode())
    return f"127.{64 + digest % 64}.{digest >> 8 & 0xFF}.{1 + (digest >> 16) % 254}"


def reserve_address(name: str) -> str:
    """Return an address of 127.64.0.0/10 that no other process has reserved, and reserve it until this process ends.

    The reservation is a name among the kernel's abstract socket addresses, which the kernel frees with its process.
    """
    attempt = 0
    while True:
        address = loopback_address(f"{name} {attempt}")
        reserved = socket.socket(socket.AF_UNIX)
        try:
            reserved.bind(f"\0flametest address {address}")
        except OSError:
            reserved.close()
            attempt += 1
            continue
        reserved.detach()
        return address
