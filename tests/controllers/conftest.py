"""The small cluster that scenario tests of controllers run against."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable

import pytest

from flametest.sandbox.apiserver import Registry
from flametest.sandbox.controllers import ControllerManager
from flametest.sandbox.scheduler import Scheduler
from tests.controllers.small_cluster import WATCHED, PretendAgent, SmallCluster, node_object


@pytest.fixture
def node_names() -> Iterable[str]:
    return ("sandbox-1", "sandbox-2", "sandbox-3")


@pytest.fixture
async def cluster(node_names: Iterable[str], caplog: pytest.LogCaptureFixture) -> AsyncIterator[SmallCluster]:
    registry = Registry()
    for namespace in ("default", "kube-system", "kube-node-lease"):
        registry.create("namespaces", {"metadata": {"name": namespace}})
    for name in node_names:
        registry.create("nodes", node_object(name))
    agent = PretendAgent(registry)
    small = SmallCluster(registry, agent)
    parts = (ControllerManager(registry).run(), Scheduler(registry).run(), agent.run(), small.record(*WATCHED))
    tasks = [asyncio.create_task(part) for part in parts]
    yield small
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results), results
    # A controller that stumbles is logged and goes on; here that has to fail the test.
    assert not [record.getMessage() for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
