"""Loopback addresses for sandboxes of tests, so that several of them, and one of the user's own, never meet."""

import os
import zlib

__all__ = ["own_address"]


def own_address(name: str) -> str:
    """Return an address of 127.64.0.0/10 that only this process uses, and only under this name."""
    digest = zlib.crc32(f"{os.getpid()} {name}".encode())
    return f"127.{64 + digest % 64}.{digest >> 8 & 0xFF}.{1 + (digest >> 16) % 254}"
