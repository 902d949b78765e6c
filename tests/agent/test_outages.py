"""A node that is switched off by its annotation, and switched on again."""

import signal
from pathlib import Path
from typing import Any

import pytest

from flametest.sandbox.agent.containers import FROZEN_ANNOTATION
from flametest.sandbox.agent.memory import MemoryRuntime, Program
from flametest.sandbox.agent.outages import STOPPED_ANNOTATION, resume
from flametest.sandbox.agent.state import Running, Terminated, Waiting, records_of
from flametest.sandbox.images.catalogue import Catalogue
from flametest.sandbox.images.image import Image


@pytest.fixture
def cluster(tmp_path: Path, bench_class: Any) -> Any:
    image = Image("app:1", command=("serve",))
    runtime = MemoryRuntime({("serve",): Program(output="hello\n", on_stop=None)})
    return bench_class(runtime, tmp_path, Catalogue(extra={"app:1": image}), lease_seconds=0.01, status_seconds=60)


def switch(cluster: Any, stopped: str) -> None:
    node = cluster.objects.get("nodes", "", "sandbox-1")
    node["metadata"].setdefault("annotations", {})[STOPPED_ANNOTATION] = stopped
    cluster.objects.update("nodes", node)


def renewed(cluster: Any, name: str) -> str:
    return str(cluster.objects.get("leases.coordination.k8s.io", "kube-node-lease", name)["spec"]["renewTime"])


async def test_a_stopped_node_falls_silent_and_its_pods_die_without_a_word(cluster: Any) -> None:
    async with cluster:
        cluster.create("one", containers=[{"name": "main", "image": "app:1"}])
        await cluster.until(lambda: cluster.container("one").get("ready"))
        switch(cluster, "true")
        await cluster.until(lambda: not cluster.network.attached)
        assert cluster.network.unplugged == {"10.244.1.0/24"}
        first, other = renewed(cluster, "sandbox-1"), renewed(cluster, "sandbox-2")
        await cluster.until(lambda: renewed(cluster, "sandbox-2") != other)
        assert renewed(cluster, "sandbox-1") == first
        assert cluster.pod("one")["status"]["phase"] == "Running"
        assert cluster.container("one")["ready"] is True


async def test_a_pod_that_is_bound_or_deleted_meanwhile_waits_for_the_node(cluster: Any) -> None:
    async with cluster:
        cluster.create("one", containers=[{"name": "main", "image": "app:1"}])
        await cluster.until(lambda: cluster.container("one").get("ready"))
        switch(cluster, "true")
        await cluster.until(lambda: not cluster.network.attached)
        cluster.create("two", containers=[{"name": "main", "image": "app:1"}])
        cluster.objects.delete("pods", "default", "one")
        other = renewed(cluster, "sandbox-2")
        await cluster.until(lambda: renewed(cluster, "sandbox-2") != other)
        assert cluster.pod("two")["status"]["phase"] == "Pending"
        assert "deletionTimestamp" in cluster.pod("one")["metadata"]
        switch(cluster, "false")
        await cluster.until_phase("two", "Running")
        await cluster.until(lambda: cluster.objects.get("pods", "default", "one") is None)


async def test_a_node_that_is_switched_on_restarts_the_pods_that_it_still_has(cluster: Any) -> None:
    async with cluster:
        cluster.create("one", containers=[{"name": "main", "image": "app:1"}])
        await cluster.until(lambda: cluster.container("one").get("ready"))
        uid = cluster.pod("one")["metadata"]["uid"]
        switch(cluster, "true")
        # At once, so that the pod's remains are still being cleared away.
        await cluster.until(lambda: cluster.network.unplugged)
        switch(cluster, "false")
        await cluster.until(lambda: cluster.container("one").get("restartCount") == 1)
        await cluster.until(lambda: cluster.container("one").get("ready"))
        assert cluster.pod("one")["metadata"]["uid"] == uid
        assert cluster.container("one")["lastState"]["terminated"]["exitCode"] == 255
        assert cluster.network.unplugged == set()
        assert "Starting" in [reason for reason, _ in cluster.events("sandbox-1")]


def test_what_ran_counts_as_ended_and_what_was_held_back_still_is() -> None:
    names = ("ran", "crashed", "new")
    records = records_of({"containers": [{"name": name, "image": "app:1"} for name in names]})
    ended = {"exitCode": 3, "reason": "Error", "finishedAt": "2026-01-02T03:04:05Z"}
    status = {
        "containerStatuses": [
            {"name": "ran", "restartCount": 2, "state": {"running": {"startedAt": "2026-01-02T03:04:05Z"}}},
            {
                "name": "crashed",
                "restartCount": 4,
                "state": {"waiting": {"reason": "CrashLoopBackOff"}},
                "lastState": {"terminated": ended},
            },
        ]
    }
    resume(records, status, 1_800_000_000.0)
    ran, crashed, new = records
    assert isinstance(ran.state, Terminated)
    assert (ran.state.exit_code, ran.restarts) == (255, 2)
    assert isinstance(crashed.state, Waiting)
    assert crashed.last is not None
    assert (crashed.last.exit_code, crashed.restarts) == (3, 4)
    assert not isinstance(new.state, Running)
    assert new.restarts == 0


async def test_the_container_that_an_annotation_names_is_stopped_until_it_goes(cluster: Any) -> None:
    def annotate(value: str | None) -> None:
        pod = cluster.pod("one")
        pod["metadata"]["annotations"] = {FROZEN_ANNOTATION: value} if value else {}
        cluster.objects.update("pods", pod)

    async with cluster:
        cluster.create("one", containers=[{"name": "main", "image": "app:1"}])
        await cluster.until(lambda: cluster.container("one").get("ready"))
        annotate("containerd://another")
        annotate(cluster.container("one")["containerID"])
        await cluster.until(lambda: cluster.runtime.signals)
        annotate(None)
        await cluster.until(lambda: len(cluster.runtime.signals) > 1)
        assert cluster.runtime.signals == [("main", signal.SIGSTOP), ("main", signal.SIGCONT)]
        assert cluster.container("one")["restartCount"] == 0
