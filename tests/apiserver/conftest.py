"""Fixtures of the API server's tests: a registry with a fixed clock, and a server with a client."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from flametest.sandbox.apiserver import Registry, bootstrap
from tests.apiserver.serving import Client, ServerThread

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def registry() -> Registry:
    """A registry as it is when a cluster starts; its clock stands still and its names are the same in every run."""
    registry = Registry(clock=lambda: NOW, rng=random.Random(7))
    bootstrap(registry)
    return registry


@pytest.fixture(scope="module")
def server() -> Iterator[ServerThread]:
    """A server on a loopback port, one a module."""
    with ServerThread() as running:
        yield running


@pytest.fixture(scope="module")
def client(server: ServerThread) -> Iterator[Client]:
    """A client of the server, with its token."""
    client = Client(server)
    yield client
    client.close()
