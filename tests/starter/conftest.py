"""One sandbox with all systems for the tests of a file."""

from collections.abc import Iterator

import pytest

from tests.starter.cluster import Cluster, running_cluster


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Return a sandbox with every system that the project ships."""
    with running_cluster(tmp_path_factory.mktemp("home"), request.module.__name__) as running:
        yield running
