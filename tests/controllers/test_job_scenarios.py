"""Jobs: completions, failures, deadlines, and what is left when they end."""

from typing import Any

from flametest.sandbox.objects import Object
from tests.controllers.small_cluster import SmallCluster

JOBS = "jobs.batch"


def job(name: str = "work", **spec: Any) -> Object:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "kubediff/echo:1"}]}}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"template": template, **spec},
    }


def status_of(cluster: SmallCluster) -> Object:
    status: Object = cluster.get(JOBS, "work").get("status", {})
    return status


def told(cluster: SmallCluster) -> list[str]:
    return [f"{each['type']} {each['reason']}" for each in status_of(cluster).get("conditions", [])]


async def test_a_job_completes_when_so_many_pods_have_succeeded(cluster: SmallCluster) -> None:
    cluster.agent.exits = lambda pod: "Succeeded"
    cluster.create(JOBS, job(completions=3, parallelism=2))
    await cluster.until(lambda: len(told(cluster)) == 2)
    assert told(cluster) == ["SuccessCriteriaMet CompletionsReached", "Complete CompletionsReached"]
    status = status_of(cluster)
    assert (status["succeeded"], status.get("failed", 0), status.get("active", 0)) == (3, 0, 0)
    assert {"startTime", "completionTime"} <= set(status)
    assert status["uncountedTerminatedPods"] == {}
    await cluster.settled()
    assert len(cluster.pods()) == 3
    assert not any(pod["metadata"].get("finalizers") for pod in cluster.pods())
    assert cluster.events("Completed")


async def test_no_more_pods_run_at_once_than_the_parallelism(cluster: SmallCluster) -> None:
    cluster.create(JOBS, job(completions=5, parallelism=2))
    await cluster.until(lambda: status_of(cluster).get("active") == 2)
    await cluster.settled()
    assert len(cluster.pods()) == 2


async def test_a_job_whose_pods_fail_too_often_fails(cluster: SmallCluster) -> None:
    cluster.agent.exits = lambda pod: "Failed"
    cluster.create(JOBS, job(backoffLimit=0))
    await cluster.until(lambda: len(told(cluster)) == 2)
    assert told(cluster) == ["FailureTarget BackoffLimitExceeded", "Failed BackoffLimitExceeded"]
    assert status_of(cluster)["failed"] == 1


async def test_a_job_that_takes_too_long_is_ended(cluster: SmallCluster) -> None:
    cluster.create(JOBS, job(activeDeadlineSeconds=1))
    await cluster.until(lambda: "Failed DeadlineExceeded" in told(cluster))
    await cluster.until(lambda: not cluster.pods())


async def test_a_suspended_job_has_no_pods_until_it_is_resumed(cluster: SmallCluster) -> None:
    cluster.agent.exits = lambda pod: "Succeeded"
    cluster.create(JOBS, job(suspend=True))
    await cluster.until(lambda: told(cluster) == ["Suspended JobSuspended"])
    assert not cluster.pods()
    cluster.patch(JOBS, "work", lambda obj: obj["spec"].update(suspend=False))
    await cluster.until(lambda: "Complete CompletionsReached" in told(cluster))


async def test_a_finished_job_goes_after_its_time_to_live_with_its_pods(cluster: SmallCluster) -> None:
    cluster.agent.exits = lambda pod: "Succeeded"
    cluster.create(JOBS, job(ttlSecondsAfterFinished=0))
    await cluster.until(lambda: cluster.registry.get(JOBS, "default", "work") is None and not cluster.pods())


async def test_a_deleted_pod_counts_as_failed_and_is_not_held_by_its_finalizer(cluster: SmallCluster) -> None:
    cluster.create(JOBS, job())
    await cluster.until(lambda: status_of(cluster).get("ready") == 1)
    name = cluster.pods()[0]["metadata"]["name"]
    cluster.registry.delete("pods", "default", name)
    await cluster.until(lambda: status_of(cluster).get("failed") == 1)
    await cluster.until(lambda: name not in {pod["metadata"]["name"] for pod in cluster.pods()})


async def test_a_job_deleted_in_the_background_takes_its_pods_along(cluster: SmallCluster) -> None:
    cluster.create(JOBS, job())
    await cluster.until(lambda: status_of(cluster).get("ready") == 1)
    cluster.registry.delete(JOBS, "default", "work", propagation="Background")
    await cluster.until(lambda: not cluster.pods())
