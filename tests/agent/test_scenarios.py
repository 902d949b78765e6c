"""The life of pods, told once and lived twice: with containers in memory and with real processes.

Each program is given as the shell script that a real container runs and as the `Program` that stands for it.
"""

import asyncio
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flametest.sandbox import controlgroups
from flametest.sandbox.agent.memory import MemoryRuntime, Program
from flametest.sandbox.agent.processes import ProcessRuntime
from flametest.sandbox.agent.runtime import ContainerOptions
from flametest.sandbox.images.catalogue import Catalogue
from flametest.sandbox.images.image import Image

SERVE = "trap 'exit 0' TERM; touch /tmp/up; while :; do sleep 0.02; done"
# Process 1 is deaf to a signal until it has its handler.
HEARS = {"exec": {"command": ["sh", "-c", "test -e /tmp/up"]}, "periodSeconds": 0.05, "timeoutSeconds": 5}
STUBBORN = "trap '' TERM; while :; do sleep 0.02; done"
FAIL_PROBE = "test -e /tmp/ready"

GREEDY = "text=$(head -c 200000000 /dev/zero | tr '\\0' x)"

PROGRAMS = {
    SERVE: Program(),
    STUBBORN: Program(on_stop=None),
    GREEDY: Program(code=0, memory_bytes=200_000_000),
    "exit 0": Program(code=0, on_stop=None),
    "exit 1": Program(code=1),
    "echo done; exit 3": Program(output="done\n", code=3),
    'echo "$GREETING"': Program(output="{GREETING}\n", code=0),
    f"{SERVE} # never ready": Program(commands={("sh", "-c", FAIL_PROBE): 1}),
}

MakeBench = Callable[..., Any]


def program_of(container: ContainerOptions) -> Program | None:
    return PROGRAMS.get(container.arguments[-1]) if container.arguments[0] == "sh" else None


@pytest.fixture(params=["memory", pytest.param("processes", marks=pytest.mark.sandbox)])
def bench(request: pytest.FixtureRequest, tmp_path: Path, bench_class: MakeBench) -> Iterator[MakeBench]:
    groups = controlgroups.make(tmp_path) if request.param == "processes" else None
    runtime = (
        MemoryRuntime(program_of) if request.param == "memory" else ProcessRuntime(str(tmp_path / "runtime"), groups)
    )
    catalogue = Catalogue(extra={"shell:1": Image("shell:1", environment=(("PATH", "/usr/bin:/bin"),))})
    descriptors = len(os.listdir("/proc/self/fd"))

    def make(**settings: Any) -> Any:
        return bench_class(runtime, tmp_path, catalogue, **settings)

    yield make
    assert controlgroups.remove(tmp_path)
    assert not os.path.isdir(tmp_path / "pods") or os.listdir(tmp_path / "pods") == []
    # The event loop is closed by now or holds a few of its own; a container's pipes would be many more.
    assert len(os.listdir("/proc/self/fd")) <= descriptors + 8


@pytest.fixture
def _enforced(request: pytest.FixtureRequest, bench: MakeBench, tmp_path: Path) -> None:
    """Skip what needs limits where the kernel does not let anybody set them."""
    if request.node.callspec.params["bench"] == "processes" and controlgroups.find(tmp_path) is None:
        pytest.skip("no control groups can be made here")


def shell(script: str, name: str = "main", **fields: Any) -> dict[str, Any]:
    return {"name": name, "image": "shell:1", "command": ["sh", "-c", script], **fields}


def reason(container: dict[str, Any]) -> str:
    return str(container.get("state", {}).get("waiting", {}).get("reason", ""))


async def test_a_pod_runs_is_ready_and_ends_gracefully_when_it_is_deleted(bench: MakeBench) -> None:
    async with bench() as cluster:
        cluster.create("web", containers=[shell(SERVE, readinessProbe=HEARS)])
        await cluster.until(lambda: "Ready" in cluster.conditions("web"))
        assert cluster.pod("web")["status"]["podIP"] == "127.0.0.1"
        cluster.objects.delete("pods", "default", "web")
        await cluster.until_gone("web")
        last = cluster.objects.last("pods").object["status"]
        assert last["phase"] == "Succeeded"
        assert last["containerStatuses"][0]["state"]["terminated"]["reason"] == "Completed"


async def test_a_pods_status_changes_in_the_order_of_a_real_node(bench: MakeBench) -> None:
    async with bench() as cluster:
        cluster.create("web", containers=[shell(SERVE, readinessProbe=HEARS)])
        await cluster.until(lambda: "Ready" in cluster.conditions("web"))
        cluster.objects.delete("pods", "default", "web")
        await cluster.until_gone("web")
        seen = []
        for event in cluster.objects.history:
            status = event.object.get("status", {})
            if event.resource == "pods" and status.get("containerStatuses"):
                true = [c["type"] for c in status["conditions"] if c["status"] == "True"]
                container = status["containerStatuses"][0]
                seen.append(
                    (status["phase"], next(iter(container["state"])), container["ready"], len(true), "podIP" in status)
                )
        assert list(dict.fromkeys(seen)) == [
            ("Pending", "waiting", False, 1, False),
            ("Pending", "waiting", False, 2, False),
            ("Running", "running", False, 2, True),
            ("Running", "running", True, 4, True),
            ("Succeeded", "terminated", False, 1, True),
        ]


async def test_a_container_that_ignores_the_signal_is_killed_at_the_end_of_its_grace(bench: MakeBench) -> None:
    async with bench() as cluster:
        cluster.create("web", terminationGracePeriodSeconds=1, containers=[shell(STUBBORN)])
        await cluster.until_phase("web", "Running")
        cluster.objects.delete("pods", "default", "web")
        await cluster.until_gone("web")
        ended = cluster.objects.last("pods").object["status"]["containerStatuses"][0]["state"]["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (137, "Error")


async def test_an_agent_that_ends_waits_for_the_files_of_a_pod_that_has_gone(
    bench: MakeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, released, remove = threading.Event(), threading.Event(), shutil.rmtree

    def slow_removal(*arguments: Any, **options: Any) -> None:
        begun.set()
        assert released.wait(20.0)
        remove(*arguments, **options)

    monkeypatch.setattr(shutil, "rmtree", slow_removal)
    async with bench() as cluster:
        cluster.create("web", containers=[shell(SERVE)])
        await cluster.until_phase("web", "Running")
        cluster.objects.delete("pods", "default", "web", grace_seconds=0)
        await cluster.until(begun.is_set)
        ending = asyncio.create_task(cluster.end())
        await asyncio.wait([ending], timeout=0.2)
        assert not ending.done()
        released.set()
        await ending
        assert os.listdir(cluster.folder / "pods") == []


async def test_a_shorter_grace_period_of_a_second_deletion_counts(bench: MakeBench) -> None:
    async with bench() as cluster:
        cluster.create("web", terminationGracePeriodSeconds=600, containers=[shell(STUBBORN)])
        await cluster.until_phase("web", "Running")
        cluster.objects.delete("pods", "default", "web")
        await cluster.until(lambda: ("Killing", "Stopping container main") in cluster.events("web"))
        cluster.objects.delete("pods", "default", "web", grace_seconds=1)
        await cluster.until_gone("web")


async def test_a_pod_whose_object_vanishes_is_ended_at_once(bench: MakeBench) -> None:
    async with bench() as cluster:
        cluster.create("web", containers=[shell(STUBBORN)])
        await cluster.until_phase("web", "Running")
        cluster.objects.delete("pods", "default", "web", grace_seconds=0)
        await cluster.until(lambda: not cluster.network.attached, 20.0)  # well within its grace period of 30 s
        assert cluster.objects.last("pods").type == "DELETED"


async def test_a_pod_that_never_restarts_fails_with_the_code_of_its_command(bench: MakeBench) -> None:
    async with bench() as cluster:
        cluster.create("once", restartPolicy="Never", containers=[shell("echo done; exit 3")])
        await cluster.until_phase("once", "Failed")
        ended = cluster.container("once")["state"]["terminated"]
        assert (ended["exitCode"], ended["reason"]) == (3, "Error")
        assert await cluster.text("once") == "done\n"
        await cluster.until(lambda: not cluster.network.attached)
        cluster.objects.delete("pods", "default", "once")
        await cluster.until_gone("once")


@pytest.mark.usefixtures("_enforced")
async def test_a_container_that_takes_more_memory_than_its_limit_is_killed(bench: MakeBench) -> None:
    async with bench(backoff_seconds=0.05) as cluster:
        container = shell(GREEDY, resources={"limits": {"memory": "32Mi"}})
        cluster.create("greedy", containers=[container])
        ended = await cluster.until(lambda: cluster.container("greedy").get("lastState", {}).get("terminated"))
        assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")
        await cluster.until(lambda: cluster.container("greedy")["restartCount"] >= 2)
        enough = shell(GREEDY, resources={"limits": {"memory": "1Gi"}})
        cluster.create("modest", restartPolicy="Never", containers=[enough])
        await cluster.until_phase("modest", "Succeeded")


async def test_the_end_of_the_log_explains_a_failure_where_that_is_wanted(bench: MakeBench) -> None:
    async with bench() as cluster:
        container = shell("echo done; exit 3", terminationMessagePolicy="FallbackToLogsOnError")
        cluster.create("once", restartPolicy="Never", containers=[container])
        await cluster.until_phase("once", "Failed")
        assert cluster.container("once")["state"]["terminated"]["message"] == "done\n"


async def test_a_pod_on_the_hosts_network_has_the_nodes_address(bench: MakeBench) -> None:
    async with bench() as cluster:
        cluster.create("web", hostNetwork=True, containers=[shell(SERVE)])
        await cluster.until_phase("web", "Running")
        assert cluster.pod("web")["status"]["podIP"] == "10.240.0.1"
        assert not cluster.network.attached


async def test_a_pod_that_completes_has_succeeded(bench: MakeBench) -> None:
    async with bench() as cluster:
        cluster.create("job", restartPolicy="OnFailure", containers=[shell("exit 0")])
        await cluster.until_phase("job", "Succeeded")


async def test_a_crashing_container_is_restarted_once_and_then_held_back(bench: MakeBench) -> None:
    async with bench() as cluster:
        cluster.create("crash", containers=[shell("exit 1")])
        await cluster.until(lambda: reason(cluster.container("crash")) == "CrashLoopBackOff")
        container = cluster.container("crash")
        uid = cluster.pod("crash")["metadata"]["uid"]
        assert container["restartCount"] == 1
        assert container["lastState"]["terminated"]["exitCode"] == 1
        assert container["state"]["waiting"]["message"] == (
            f"back-off 10s restarting failed container=main pod=crash_default({uid})"
        )
        assert cluster.pod("crash")["status"]["phase"] == "Running"
        text = f"Back-off restarting failed container main in pod crash_default({uid})"
        assert ("BackOff", text) in cluster.events("crash")


async def test_the_log_before_the_last_restart_can_be_read(bench: MakeBench) -> None:
    async with bench(backoff_seconds=0.05) as cluster:
        cluster.create("crash", containers=[shell("echo done; exit 3")])
        await cluster.until(lambda: cluster.container("crash").get("restartCount", 0) >= 3)
        assert await cluster.text("crash", previous=True) == "done\n"


async def test_init_containers_come_first_and_show_in_the_status(bench: MakeBench) -> None:
    async with bench() as cluster:
        cluster.create("web", initContainers=[shell("exit 0", "init")], containers=[shell(SERVE)])
        await cluster.until(lambda: "Ready" in cluster.conditions("web"))
        init = cluster.pod("web")["status"]["initContainerStatuses"][0]
        assert init["state"]["terminated"]["reason"] == "Completed"
        assert init["ready"]
        assert "PodInitializing" in {
            reason(event.object["status"]["containerStatuses"][0])
            for event in cluster.objects.history
            if event.resource == "pods" and event.object["status"].get("containerStatuses")
        }


async def test_a_container_that_is_not_ready_leaves_the_pod_unready_and_says_so(bench: MakeBench) -> None:
    async with bench() as cluster:
        probe = {"exec": {"command": ["sh", "-c", FAIL_PROBE]}, "periodSeconds": 0.05}
        cluster.create("web", containers=[shell(f"{SERVE} # never ready", readinessProbe=probe)])
        await cluster.until(lambda: any(reason == "Unhealthy" for reason, _ in cluster.events("web")))
        assert cluster.container("web")["started"]
        assert "Ready" not in cluster.conditions("web")
        assert cluster.pod("web")["status"]["phase"] == "Running"


async def test_a_container_that_fails_its_liveness_probe_is_restarted(bench: MakeBench) -> None:
    async with bench() as cluster:
        probe = {"exec": {"command": ["sh", "-c", FAIL_PROBE]}, "periodSeconds": 0.05, "failureThreshold": 2}
        cluster.create("web", containers=[shell(f"{SERVE} # never ready", livenessProbe=probe)])
        await cluster.until(lambda: cluster.container("web").get("restartCount", 0) >= 1)
        assert ("Killing", "Container main failed liveness probe, will be restarted") in cluster.events("web")


async def test_the_pre_stop_hook_runs_before_the_signal(bench: MakeBench) -> None:
    async with bench() as cluster:
        hook = {"preStop": {"sleep": {"seconds": 0.3}}}
        cluster.create("web", containers=[shell(SERVE, lifecycle=hook)])
        await cluster.until_phase("web", "Running")
        loop = asyncio.get_running_loop()
        began = loop.time()
        cluster.objects.delete("pods", "default", "web")
        await cluster.until_gone("web")
        assert loop.time() - began >= 0.3


async def test_a_missing_config_map_holds_a_container_back_until_it_appears(bench: MakeBench) -> None:
    async with bench() as cluster:
        source = {"configMapKeyRef": {"name": "words", "key": "hello"}}
        env = [{"name": "GREETING", "valueFrom": source}]
        cluster.create("greet", restartPolicy="Never", containers=[shell('echo "$GREETING"', env=env)])
        await cluster.until(lambda: reason(cluster.container("greet")) == "CreateContainerConfigError")
        assert cluster.container("greet")["state"]["waiting"]["message"] == 'configmap "words" not found'
        metadata = {"name": "words", "namespace": "default"}
        cluster.objects.create("configmaps", {"metadata": metadata, "data": {"hello": "good day"}})
        await cluster.until_phase("greet", "Succeeded")
        assert await cluster.text("greet") == "good day\n"


async def test_an_unknown_image_is_pulled_in_vain_and_then_held_back(bench: MakeBench) -> None:
    async with bench() as cluster:
        cluster.create("none", containers=[{"name": "main", "image": "kubediff/none:1"}])
        await cluster.until(lambda: reason(cluster.container("none")) == "ImagePullBackOff")
        shown = [
            reason(event.object["status"]["containerStatuses"][0])
            for event in cluster.objects.history
            if event.resource == "pods" and event.object["status"].get("containerStatuses")
        ]
        assert list(dict.fromkeys(shown)) == ["ContainerCreating", "ErrImagePull", "ImagePullBackOff"]
        assert ("Failed", "Error: ErrImagePull") in cluster.events("none")
        assert ("BackOff", 'Back-off pulling image "kubediff/none:1"') in cluster.events("none")


async def test_an_unknown_image_that_may_not_be_pulled_says_so(bench: MakeBench) -> None:
    async with bench() as cluster:
        cluster.create("none", containers=[{"name": "main", "image": "kubediff/none:1", "imagePullPolicy": "Never"}])
        await cluster.until(lambda: reason(cluster.container("none")) == "ErrImageNeverPull")


async def test_a_command_that_does_not_exist_is_a_start_error(bench: MakeBench) -> None:
    async with bench() as cluster:
        container = {"name": "main", "image": "shell:1", "command": ["no-such-program"]}
        cluster.create("web", restartPolicy="Never", containers=[container])
        await cluster.until_phase("web", "Failed")
        ended = cluster.container("web")["state"]["terminated"]
        assert (ended["reason"], ended["exitCode"]) == ("StartError", 128)
        assert 'exec: "no-such-program": executable file not found in $PATH' in ended["message"]


async def test_a_pod_that_lives_too_long_is_ended(bench: MakeBench) -> None:
    async with bench() as cluster:
        cluster.create("web", activeDeadlineSeconds=0.2, containers=[shell(SERVE)])
        await cluster.until_phase("web", "Failed")
        assert cluster.pod("web")["status"]["reason"] == "DeadlineExceeded"


async def test_a_deleted_pod_that_waits_for_its_volume_goes_at_once(bench: MakeBench) -> None:
    async with bench() as cluster:
        volume = {"name": "v", "configMap": {"name": "gone"}}
        cluster.create("web", volumes=[volume], containers=[shell(SERVE)])
        await cluster.until(lambda: any(reason == "FailedMount" for reason, _ in cluster.events("web")))
        text = 'MountVolume.SetUp failed for volume "v" : configmap "gone" not found'
        assert ("FailedMount", text) in cluster.events("web")
        cluster.objects.delete("pods", "default", "web")
        await cluster.until_gone("web")


async def test_an_agent_that_is_stopped_ends_its_pods_and_leaves_their_objects(bench: MakeBench) -> None:
    async with bench() as cluster:
        cluster.create("web", containers=[shell(STUBBORN)])
        await cluster.until_phase("web", "Running")
    assert cluster.pod("web")["status"]["phase"] == "Running"
    assert not cluster.network.attached
