"""Waiting ends when everything is ready for good, or when it is hopeless, and then says everything that is wrong."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from flametest.kube.errors import NotFoundError, NotReadyError
from flametest.kube.hopeless import Setting
from flametest.kube.pages import Listing, whole_list
from flametest.kube.readiness import Readiness
from flametest.run.settling import JOBS_SECONDS, RESTARTED_SECONDS, UNPROBED_SECONDS, Patience, await_settled

Object = dict[str, Any]
PATIENCE = Patience(120, Setting(pulls_images=False, grows=False))


def pod(
    part: str, number: int = 1, *, ready: bool = False, restarts: int = 0, probed: bool = False, **state: Any
) -> Object:
    owner = {"kind": "StatefulSet", "name": part, "uid": part, "controller": True}
    status = {"name": "main", "image": f"{part}:1", "restartCount": restarts, "ready": ready, **state}
    container: Object = {"name": "main"} | ({"readinessProbe": {"tcpSocket": {"port": 1}}} if probed else {})
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {
        "metadata": {
            "name": f"{part}-{number}",
            "uid": f"{part}{number}",
            "namespace": "shop",
            "ownerReferences": [owner],
        },
        "spec": {"containers": [container]},
        "status": {"phase": "Running", "conditions": conditions, "containerStatuses": [status]},
    }


def crashed(part: str, restarts: int, number: int = 1) -> Object:
    state = {"waiting": {"reason": "CrashLoopBackOff"}}
    return pod(part, number, restarts=restarts, state=state, lastState={"terminated": {"exitCode": 1}})


def without_image(part: str, number: int = 1) -> Object:
    return pod(part, number, state={"waiting": {"reason": "ErrImageNeverPull", "message": "never"}})


@dataclass
class PretendedCluster:
    """A cluster whose pods are a function of the seconds that have passed on its clock."""

    pods: Callable[[float], list[Object]]
    events: list[Object] = field(default_factory=list)
    logs: str = "Traceback\nboom"
    seconds: float = 0.0
    jobs: Callable[[float], list[Object]] = lambda _: []
    shown: list[str] = field(default_factory=list)
    left: tuple[str, ...] = ()
    answers_after: float = 0.0
    asking: float = 0.0

    @property
    def api(self) -> "PretendedCluster":
        return self

    def get(self, path: str) -> Object:
        return {"items": self.pods(self.seconds) if path.endswith("pods") else self.events}

    def listed(self, path: str) -> Listing:
        self.seconds += self.answers_after
        self.asking += self.answers_after
        return whole_list(lambda _: self.get(path), {})

    def text(self, path: str, query: dict[str, str]) -> str:
        if not self.logs:
            raise NotFoundError("no log", code=404)
        return self.logs

    def readiness(self, namespace: str) -> list[Readiness]:
        parts: dict[str, list[bool]] = {}
        for one in self.pods(self.seconds):
            name = one["metadata"]["ownerReferences"][0]["name"]
            parts.setdefault(name, []).append(one["status"]["conditions"][0]["status"] == "True")
        return [
            Readiness("StatefulSet", name, len(all_), sum(all_), len(all_), len(all_), True)
            for name, all_ in parts.items()
        ]

    def further(self, applied: object) -> list[Object]:
        return self.jobs(self.seconds)

    def wait(self, patience: Patience = PATIENCE) -> float:
        client: Any = self
        clock = lambda: self.seconds  # noqa: E731
        self.left = await_settled(client, ["shop"], patience, self.shown.append, clock=clock, pause=self.pause)
        return self.seconds

    def pause(self, seconds: float) -> None:
        self.seconds += seconds


def test_pods_that_their_probes_vouch_for_are_not_waited_for_much_longer() -> None:
    cluster = PretendedCluster(lambda now: [pod("web", ready=now >= 5, probed=True)])
    assert 5 < cluster.wait() < 6


def test_an_api_server_that_is_slow_is_asked_for_a_quarter_of_the_time_at_most() -> None:
    cluster = PretendedCluster(lambda now: [pod("web", ready=now >= 60, probed=True)], answers_after=0.5)
    assert 60 < cluster.wait() < 70
    assert cluster.asking < 0.3 * cluster.seconds


def test_a_pod_without_a_probe_has_to_stay_ready_for_a_while() -> None:
    cluster = PretendedCluster(lambda now: [pod("web", ready=True)])
    assert cluster.wait() >= UNPROBED_SECONDS


def test_a_restart_begins_the_while_anew_and_lengthens_it() -> None:
    cluster = PretendedCluster(lambda now: [pod("web", ready=True, restarts=int(now >= 2))])
    assert cluster.wait() >= 2 + RESTARTED_SECONDS


def test_a_process_that_ends_at_once_is_never_taken_for_ready() -> None:
    # Ready for a moment after each start, as a pod without a probe is.
    def pods(now: float) -> list[Object]:
        restarts = (now >= 1) + (now >= 11) + (now >= 31)
        return [pod("web", ready=True) if now < 1 else crashed("web", restarts)]

    cluster = PretendedCluster(pods)
    with pytest.raises(NotReadyError, match="StatefulSet web 0/1") as raised:
        cluster.wait()
    assert cluster.seconds < 15
    assert "exit code 1" in raised.value.details[0]
    assert [one.strip() for one in raised.value.details[1:]] == ["| Traceback", "| boom"]


def test_one_that_may_have_waited_for_another_is_given_a_start_after_that() -> None:
    def pods(now: float) -> list[Object]:
        web = pod("web", ready=True, restarts=3) if now >= 35 else crashed("web", 2 if now >= 10 else 1)
        return [web, pod("db", ready=now >= 20, probed=True)]

    assert PretendedCluster(pods).wait() >= 35


def test_one_that_ends_again_although_the_other_is_ready_is_hopeless() -> None:
    def pods(now: float) -> list[Object]:
        return [crashed("web", 3 if now >= 30 else 2), pod("db", ready=now >= 20, probed=True)]

    cluster = PretendedCluster(pods)
    with pytest.raises(NotReadyError, match="StatefulSet web 0/1"):
        cluster.wait()
    assert 30 <= cluster.seconds < 36


def test_what_is_hopeless_ends_the_waiting_and_hides_nothing_else() -> None:
    image = [without_image("web", number) for number in (1, 2, 3)]
    slow = pod("db", probed=True, state={"running": {"startedAt": "2026-01-01T00:00:00Z"}})
    cluster = PretendedCluster(lambda _: [*image, crashed("cache", 1), slow])
    with pytest.raises(NotReadyError) as raised:
        cluster.wait()
    assert cluster.seconds < 10
    told = raised.value.details
    assert sum("ErrImageNeverPull" in line for line in told) == 1
    assert any("web (3 pods)" in line for line in told)
    assert any("cache" in line and "exit code 1" in line for line in told)
    assert any("db" in line and "is not ready" in line for line in told)
    assert all(part in raised.value.message for part in ("web 0/3", "cache 0/1", "db 0/1"))


def test_what_an_event_tells_of_an_image_is_told_once() -> None:
    state = {"waiting": {"reason": "ImagePullBackOff"}}
    message = 'Failed to pull image "web:1": web:1: not found'
    about = {"kind": "Pod", "uid": "web1", "name": "web-1"}
    event = {"type": "Warning", "reason": "Failed", "message": message, "involvedObject": about}
    cluster = PretendedCluster(lambda _: [pod("web", state=state)], events=[event])
    with pytest.raises(NotReadyError) as raised:
        cluster.wait()
    assert list(raised.value.details) == [
        "StatefulSet web: container main: image web:1 cannot be had",
        f"  | {message}",
    ]


def test_a_pod_that_only_waits_is_told_with_the_last_that_happened_to_it() -> None:
    about = {"kind": "Pod", "uid": "db1", "name": "db-1"}
    event = {"type": "Normal", "reason": "Pulling", "message": 'Pulling image "db:1"', "involvedObject": about}
    waiting = pod("db", probed=True, state={"waiting": {"reason": "ContainerCreating"}})
    cluster = PretendedCluster(lambda _: [without_image("web"), waiting], events=[event])
    with pytest.raises(NotReadyError) as raised:
        cluster.wait()
    assert raised.value.details[-1] == 'StatefulSet db (Running): Pulling image "db:1"'


def test_what_failed_before_it_was_applied_again_is_given_the_time_of_another_attempt() -> None:
    since = datetime(2026, 1, 1, 12, 0, 0, 500_000, UTC)
    patience = Patience(300, Setting(pulls_images=True, grows=False), since)
    about = {"kind": "Pod", "uid": "web1", "name": "web-1"}
    message = 'Failed to pull image "web:1": unauthorized'

    def cluster(last: str, ready_at: float) -> PretendedCluster:
        def pods(now: float) -> list[Object]:
            state = {"running": {}} if now >= ready_at else {"waiting": {"reason": "ImagePullBackOff"}}
            made = pod("web", ready=now >= ready_at, probed=True, state=state)
            made["metadata"]["creationTimestamp"] = "2026-01-01T11:59:00Z"
            return [made]

        event = {"type": "Warning", "reason": "Failed", "message": message, "involvedObject": about}
        return PretendedCluster(pods, events=[event | {"lastTimestamp": last}])

    assert 40 <= cluster("2026-01-01T11:59:59Z", ready_at=40).wait(patience) < 45
    again = cluster("2026-01-01T12:00:00Z", ready_at=40)
    with pytest.raises(NotReadyError, match="StatefulSet web 0/1"):
        again.wait(patience)
    assert again.seconds < 20


def test_what_crashed_long_before_counts_when_it_crashes_again() -> None:
    patience = Patience(300, Setting(pulls_images=False, grows=False), datetime(2026, 1, 1, 12, 0, 0, 0, UTC))

    def pods(now: float) -> list[Object]:
        made = crashed("web", 6 if now < 40 else 7)
        made["metadata"]["creationTimestamp"] = "2026-01-01T11:00:00Z"
        finished = "2026-01-01T11:58:00Z" if now < 40 else "2026-01-01T12:00:40Z"
        made["status"]["containerStatuses"][0]["lastState"]["terminated"]["finishedAt"] = finished
        return [made, pod("db", probed=True, ready=now >= 50)]

    cluster = PretendedCluster(pods)
    with pytest.raises(NotReadyError, match="StatefulSet web 0/1"):
        cluster.wait(patience)
    assert 40 <= cluster.seconds < 50


def test_a_fault_that_passes_in_time_is_none() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}

    def pods(now: float) -> list[Object]:
        found = pod("web", ready=now >= 10, probed=True)
        if now < 10:
            found["status"]["conditions"].append(condition)
        return [found]

    assert PretendedCluster(pods).wait() < 12


def test_a_fault_that_stays_is_told_when_its_patience_is_over() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    found = pod("web")
    found["status"]["conditions"].append(condition)
    cluster = PretendedCluster(lambda _: [found])
    with pytest.raises(NotReadyError) as raised:
        cluster.wait()
    assert 10 < cluster.seconds < 30
    assert "0/3 nodes" in raised.value.details[0]


def test_waiting_in_vain_ends_at_its_time_and_says_how_long_it_was() -> None:
    cluster = PretendedCluster(
        lambda _: [pod("web", probed=True, state={"running": {"startedAt": "2026-01-01T00:00:00Z"}})], logs=""
    )
    with pytest.raises(NotReadyError, match="not ready after 120 s: StatefulSet web 0/1"):
        cluster.wait()
    assert 120 <= cluster.seconds < 125


def job(name: str, *, failed: int = 0, **conditions: str) -> Object:
    told = [{"type": kind, "status": "True", "reason": reason} for kind, reason in conditions.items()]
    status = {"succeeded": int("Complete" in conditions), "failed": failed, "conditions": told}
    metadata = {"name": name, "uid": name, "namespace": "shop"}
    return {"kind": "Job", "metadata": metadata, "spec": {"completions": 1}, "status": status}


def of_job(name: str, *, phase: str = "Running", **state: Any) -> Object:
    made = pod(name, ready=phase == "Running", **state)
    made["metadata"]["ownerReferences"][0]["kind"] = "Job"
    made["status"]["phase"] = phase
    return made


def ready_web(_: float) -> list[Object]:
    return [pod("web", ready=True, probed=True)]


def test_pods_that_have_done_their_work_are_not_waited_for() -> None:
    cluster = PretendedCluster(ready_web)
    client: Any = cluster
    done, strange = of_job("seed", phase="Succeeded"), of_job("of another")
    client.get = lambda path: {"items": [*ready_web(0), done, strange] if path.endswith("pods") else []}
    assert cluster.wait() < 2


def test_a_job_is_waited_for_until_it_has_completed() -> None:
    cluster = PretendedCluster(ready_web, jobs=lambda now: [job("seed", Complete="") if now >= 9 else job("seed")])
    assert 9 <= cluster.wait() < 10
    assert cluster.shown[-1] == "web 1/1, Job seed 1/1"
    assert cluster.left == ()


def test_a_job_that_only_goes_on_is_left_running_and_named() -> None:
    cluster = PretendedCluster(ready_web, jobs=lambda _: [job("load")])
    client: Any = cluster
    client.get = lambda path: {"items": [*ready_web(0), of_job("load")] if path.endswith("pods") else []}
    assert JOBS_SECONDS <= cluster.wait() < JOBS_SECONDS + 3
    assert cluster.left == ("load",)


def test_a_job_that_fails_is_told_with_the_last_words_of_its_pod() -> None:
    ended = of_job("seed", phase="Failed", state={"terminated": {"exitCode": 3, "finishedAt": "2026-01-01T00:00:00Z"}})
    cluster = PretendedCluster(ready_web, jobs=lambda _: [job("seed", failed=1, Failed="BackoffLimitExceeded")])
    client: Any = cluster
    client.get = lambda path: {"items": [*ready_web(0), ended] if path.endswith("pods") else []}
    with pytest.raises(NotReadyError, match="Job seed 0/1") as raised:
        cluster.wait()
    assert cluster.seconds < 5
    told = [line.strip() for line in raised.value.details]
    assert told == [
        "Job seed: it has failed: BackoffLimitExceeded; container main has ended, with exit code 3",
        "| Traceback",
        "| boom",
    ]


def test_a_job_whose_pods_fail_one_after_the_other_is_hopeless_before_it_gives_up() -> None:
    ended = of_job("seed", phase="Failed", state={"terminated": {"exitCode": 3, "finishedAt": "2026-01-01T00:00:00Z"}})
    cluster = PretendedCluster(ready_web, jobs=lambda now: [job("seed", failed=int(now // 10))])
    client: Any = cluster
    client.get = lambda path: {"items": [*ready_web(0), ended] if path.endswith("pods") else []}
    with pytest.raises(NotReadyError, match="Job seed 0/1") as raised:
        cluster.wait()
    assert 40 <= cluster.seconds < 45
    assert "its pods end again and again; container main has ended, with exit code 3" in raised.value.details[0]


def test_pods_of_no_workload_are_waited_for_and_shown() -> None:
    def lone(now: float) -> list[Object]:
        made = pod("web", ready=now >= 5, probed=True)
        del made["metadata"]["ownerReferences"]
        return [made]

    cluster = PretendedCluster(lone)
    client: Any = cluster
    client.readiness = lambda _: []
    assert 5 <= cluster.wait() < 7
    assert cluster.shown[-1] == "pod web-1 1/1"


def test_where_nothing_runs_there_is_nothing_to_wait_for() -> None:
    assert PretendedCluster(lambda _: []).wait() == 0
