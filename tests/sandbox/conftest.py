"""Sandboxes for tests, each with a state folder and a loopback address of its own."""

import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from flametest.sandbox.launch import Sandbox, SandboxOptions, find, start


@pytest.fixture
def options(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[SandboxOptions]:
    """Return options for a sandbox of this test's own; it is stopped afterwards if it lives."""
    digest = zlib.crc32(f"{os.getpid()} {request.node.nodeid}".encode())
    address = f"127.{64 + digest % 64}.{digest >> 8 & 0xFF}.{1 + (digest >> 16) % 254}"
    made = SandboxOptions(name="test", home=tmp_path / "home", node_port_address=address)
    yield made
    if (sandbox := find(made)) is not None:
        sandbox.stop()


@pytest.fixture
def sandbox(options: SandboxOptions) -> Sandbox:
    """Return a sandbox that runs."""
    return start(options)
