"""What the agent does beside the life of pods: nodes, heartbeats, access to pods."""

from pathlib import Path
from typing import Any

import pytest

from flametest.sandbox.agent.memory import MemoryRuntime, Program
from flametest.sandbox.errors import StatusError
from flametest.sandbox.images.catalogue import Catalogue
from flametest.sandbox.images.image import Image
from flametest.sandbox.podaccess import LogOptions


@pytest.fixture
def cluster(tmp_path: Path, bench_class: Any) -> Any:
    image = Image("app:1", command=("serve",))
    runtime = MemoryRuntime({("serve",): Program(output="hello\n", on_stop=None)})
    return bench_class(runtime, tmp_path, Catalogue(extra={"app:1": image}), lease_seconds=0.01, status_seconds=0.02)


async def test_every_node_registers_with_its_range_and_is_ready(cluster: Any) -> None:
    async with cluster:
        nodes = cluster.objects.list("nodes")
        assert [node["spec"]["podCIDR"] for node in nodes] == ["10.244.1.0/24", "10.244.2.0/24", "10.244.3.0/24"]
        node = nodes[0]
        ready = node["status"]["conditions"][-1]
        assert (ready["type"], ready["status"]) == ("Ready", "True")
        assert node["metadata"]["labels"]["kubernetes.io/hostname"] == "sandbox-1"
        assert {"address": "10.240.0.1", "type": "InternalIP"} in node["status"]["addresses"]
        assert int(node["status"]["allocatable"]["cpu"]) >= 1


async def test_leases_are_renewed_and_status_is_reported_again(cluster: Any) -> None:
    def lease() -> str:
        found = cluster.objects.get("leases.coordination.k8s.io", "kube-node-lease", "sandbox-2")
        return str(found["spec"]["renewTime"])

    async with cluster:
        first = lease()
        await cluster.until(lambda: lease() != first)


async def test_a_node_that_was_marked_unready_says_that_it_is_ready(cluster: Any) -> None:
    async with cluster:
        node = cluster.objects.get("nodes", "", "sandbox-1")
        node["status"]["conditions"][-1]["status"] = "Unknown"
        cluster.objects.update_status("nodes", node)

        def status() -> str:
            return str(cluster.objects.get("nodes", "", "sandbox-1")["status"]["conditions"][-1]["status"])

        await cluster.until(lambda: status() == "True")


async def test_pods_of_other_nodes_are_left_alone(cluster: Any) -> None:
    async with cluster:
        cluster.create("theirs", nodeName="other", containers=[{"name": "main", "image": "app:1"}])
        cluster.create("ours", containers=[{"name": "main", "image": "app:1"}])
        await cluster.until_phase("ours", "Running")
        assert cluster.pod("theirs")["status"]["phase"] == "Pending"


async def test_logs_of_what_is_not_there_are_refused_with_the_reason(cluster: Any) -> None:
    async with cluster:
        cluster.create("web", containers=[{"name": "main", "image": "app:1"}])
        cluster.create("none", containers=[{"name": "main", "image": "none:1"}])
        await cluster.until_phase("web", "Running")
        await cluster.until(lambda: "waiting" in cluster.container("none").get("state", {}))
        for pod, container, previous, text in (
            ("gone", "main", False, 'pods "gone" not found'),
            ("web", "other", False, "container other is not valid for pod web"),
            ("web", "main", True, 'previous terminated container "main" in pod "web" not found'),
            ("none", "main", False, 'container "main" in pod "none" is waiting to start'),
        ):
            with pytest.raises(StatusError, match=text):
                cluster.agent.logs("default", pod, container, LogOptions(previous=previous))


async def test_a_followed_log_ends_with_the_pod(cluster: Any) -> None:
    async with cluster:
        cluster.create("web", containers=[{"name": "main", "image": "app:1"}])
        await cluster.until_phase("web", "Running")
        pieces = cluster.agent.logs("default", "web", "main", LogOptions(follow=True))
        assert await anext(pieces) == b"hello\n"
        cluster.objects.delete("pods", "default", "web", grace_seconds=0)
        assert [piece async for piece in pieces] == []


async def test_commands_run_in_running_containers_only(cluster: Any) -> None:
    async with cluster:
        cluster.create("web", containers=[{"name": "main", "image": "app:1"}])
        await cluster.until_phase("web", "Running")
        process = await cluster.agent.execute("default", "web", "main", ["true"], stdin=False, tty=False)
        assert await process.wait() == 0
        cluster.create("none", containers=[{"name": "main", "image": "none:1"}])
        await cluster.until(lambda: "waiting" in cluster.container("none").get("state", {}))
        with pytest.raises(StatusError, match="container not found"):
            await cluster.agent.execute("default", "none", "main", ["true"], stdin=False, tty=False)


async def test_a_pod_that_a_finalizer_holds_is_not_started_again(cluster: Any) -> None:
    class Held(type(cluster.objects)):  # type: ignore[misc]
        def delete(self, resource: str, namespace: str, name: str, **options: Any) -> None:
            if options.get("grace_seconds") != 0:
                super().delete(resource, namespace, name, **options)

    async with cluster:
        cluster.create("web", containers=[{"name": "main", "image": "app:1"}], terminationGracePeriodSeconds=0)
        await cluster.until_phase("web", "Running")
        cluster.objects.__class__ = Held
        cluster.objects.delete("pods", "default", "web")
        await cluster.until(lambda: not cluster.network.attached)
        pod = cluster.pod("web")
        pod["metadata"]["finalizers"] = []
        cluster.objects.update("pods", pod)
        cluster.create("next", containers=[{"name": "main", "image": "app:1"}])
        await cluster.until_phase("next", "Running")
        assert cluster.pod("web")["status"]["phase"] == "Failed"
        assert len(cluster.runtime.started) == 2
