"""Findings: each rule speaks of its own evidence, and a good recovery has nothing to be advised on."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import pytest

from flametest.measure.samples import Samples
from flametest.measure.scenario import ScenarioSpec, measure_scenario
from flametest.model.events import ChangeKind, Event, FaultProved, PodObserved, ProberEnded, Target
from flametest.model.history import History
from flametest.model.result import Finding
from flametest.model.samples import Lane, Sample

if TYPE_CHECKING:
    from tests.measure.conftest import Laboratory

SPEC = ScenarioSpec("pod-delete-api", "A pod is deleted", "Teaches.", "api")


def found(history: History, samples: Samples) -> dict[str, Finding]:
    return {one.rule: one for one in measure_scenario(history, samples, SPEC).findings}


def with_load(lab: Laboratory, fresh: list[Sample], *more: Sample) -> Samples:
    return Samples.of([*fresh, *lab.requests(Lane.LOAD, lambda at: False, interval=0.025), *more])


def changed(history: History, **pod: float) -> History:
    """Return the history with moments of the replacement d moved to other seconds, by what they show."""

    def move(event: Event) -> Event:
        shows = {"started": (31.0, "pod"), "ready": (31.9, "pod")}
        for name, (seconds, _) in shows.items():
            if name in pod and abs(event.at.monotonic_ns / 1e9 - seconds) < 0.07 and seconds > 30.5:
                at = dataclasses.replace(event.at, monotonic_ns=round(pod[name] * 1e9))
                return dataclasses.replace(event, at=at)
        return event

    return History([move(event) for event in history])


def test_a_good_recovery_has_no_findings(lab: Laboratory) -> None:
    assert found(lab.deletion(), lab.samples()) == {}


def test_a_pod_that_served_before_it_was_ready_is_found(lab: Laboratory) -> None:
    def pods(moment: float) -> tuple[str, ...]:
        return ("api-d",) if 31.0 < moment < 31.5 else ("api-b", "api-c")

    one = found(lab.deletion(), Samples.of(lab.requests(Lane.FRESH, lambda at: False, pods=pods)))["served_unready"]
    assert one.title == "api-d took requests before it was ready"
    assert "0.8 s before its Ready condition" in one.evidence
    assert one.section == "pods"


def test_an_upstream_that_keeps_a_dead_address_is_found(lab: Laboratory) -> None:
    one = found(lab.deletion(), lab.samples(lambda at: 30.0 <= at < 38.0))["dead_upstream"]
    assert "up to 7.9 s after api-a was out of the endpoints" in one.evidence


def test_failures_while_no_pod_is_routed_are_not_blamed_on_an_upstream(lab: Laboratory) -> None:
    nobody = History([*(event for event in lab.deletion()), lab.endpoints(30.05, "")])
    assert "dead_upstream" not in found(nobody, lab.samples(lambda at: 30.0 <= at < 31.5))


def test_requests_that_hang_are_found(lab: Laboratory) -> None:
    one = found(lab.deletion(), lab.samples(lambda at: 30.0 <= at < 30.4, how="hanging"))["hung_requests"]
    assert "got no answer at all, after a median wait of 1.0 s" in one.evidence


def test_requests_that_fail_at_once_do_not_hang(lab: Laboratory) -> None:
    assert "hung_requests" not in found(lab.deletion(), lab.samples(lambda at: 30.0 <= at < 30.4, how="refused"))


def test_a_replacement_that_waits_for_its_readiness_probe_is_found(lab: Laboratory) -> None:
    one = found(changed(lab.deletion(), ready=35.0), lab.samples())["slow_readiness"]
    assert "containers ran after 1.0 s, the ready count was back after 5.0 s: 4.0 s of waiting" in one.evidence


def test_a_replacement_that_starts_slowly_is_found(lab: Laboratory) -> None:
    slow = changed(lab.deletion(), started=35.0, ready=35.5)
    one = found(slow, lab.samples())["slow_start"]
    assert "its containers ran after 5.0 s" in one.evidence
    assert "slow_readiness" not in found(slow, lab.samples())


def test_a_pod_that_takes_too_much_is_found(lab: Laboratory) -> None:
    def pods(moment: float) -> tuple[str, ...]:
        return ("api-b", "api-c", "api-d", "api-d", "api-d") if moment > 32 else ("api-a", "api-b", "api-c")

    samples = Samples.of(lab.requests(Lane.FRESH, lambda at: False, pods=pods))
    one = found(lab.deletion(), samples)["uneven_load"]
    assert one.title == "api-d took more than its share"
    assert "1.80 times the mean of its siblings" in one.evidence


def test_kept_connections_that_are_cut_are_found(lab: Laboratory) -> None:
    kept = lab.requests(Lane.KEEPALIVE, lambda at: 30.5 <= at < 31.0)
    one = found(lab.deletion(), with_load(lab, lab.requests(Lane.FRESH, lambda at: False), *kept))["cut_connections"]
    assert "10 requests of the prober failed on a kept connection, 0 on fresh ones" in one.evidence


def test_an_outage_that_comes_and_goes_is_found(lab: Laboratory) -> None:
    one = found(lab.deletion(), lab.samples(lambda at: 30 <= at < 32 and at % 0.5 < 0.2))["bursts"]
    assert one.evidence.startswith("4 stretches within")


def test_service_that_stays_poor_after_the_pods_are_back_is_found(lab: Laboratory) -> None:
    one = found(lab.deletion(), lab.samples(lambda at: 30 <= at < 40 and round(at * 40) % 4 == 0))["slow_warm_up"]
    assert "the ready count was back after 1.9 s" in one.evidence


def test_containers_that_were_killed_for_their_memory_are_found(lab: Laboratory) -> None:
    states = [
        lab.pod(20, "b", ready=False, ended_because="OOMKilled"),
        lab.pod(21, "b", restarts=1, ended_because="OOMKilled"),
        lab.pod(32, "redis", app="redis", restarts=4, ended_because="OOMKilled"),
    ]
    history = lab.deletion().append(lab.pod(1, "redis", app="redis", restarts=3, ended_because="OOMKilled"))
    for state in states:
        history = history.append(state)
    one = found(history, lab.samples())["out_of_memory"]
    assert one.evidence == "containers of api-b, api-redis were killed as OOMKilled while the scenario ran"
    assert one.section == "pods"


def with_unready_api(lab: Laboratory, *targets: Target, until: float = 34.0, uids: str = "abc") -> History:
    """Return a history in which another part is hit at 30 s, and these pods of the api are unready from 31 s on."""
    before = [*lab.before(), lab.pod(0, "redis", app="redis", owner_uid="rs-of-redis", owner_kind="ReplicaSet")]
    injected = dataclasses.replace(lab.injected("redis"), targets=targets)
    proof = FaultProved(injected.at, injected.scenario, injected.fault, True, "it is gone")
    unready = [lab.pod(31.0 + index / 10, uid, ready=False) for index, uid in enumerate(uids)]
    return History([*before, injected, proof, *unready, *(lab.pod(until, uid) for uid in uids), *lab.ending()])


REDIS = Target("Deployment", "flametest", "redis", "deployment-of-redis")


def test_pods_that_become_unready_with_another_part_are_found(lab: Laboratory) -> None:
    one = found(with_unready_api(lab, REDIS), lab.samples())["readiness-asks-another"]
    assert one.title == "api became unready when another part was hit"
    assert "all 3 pods were unready for 2.8 s, from 1.2 s after the fault on" in one.evidence
    assert one.section == "pods"


@pytest.mark.parametrize(
    ("targets", "until", "uids"),
    [
        ([Target("Pod", "flametest", "api-a", "a")], 34.0, "abc"),  # the workload itself was hit
        ([Target("Deployment", "flametest", "api", "deployment")], 34.0, "abc"),
        ([Target("Service", "flametest", "api", "service")], 34.0, "abc"),
        ([Target("Node", "", "sandbox-2", "node")], 34.0, "abc"),  # what else ran there is not told apart
        ([REDIS], 34.0, "ab"),  # one stayed ready
        ([REDIS], 31.9, "abc"),  # together for less than a second
    ],
)
def test_pods_that_were_hit_or_did_not_leave_together_say_nothing_of_their_probes(
    lab: Laboratory, targets: list[Target], until: float, uids: str
) -> None:
    history = with_unready_api(lab, *targets, until=until, uids=uids)
    assert "readiness-asks-another" not in found(history, lab.samples())


def test_pods_whose_containers_ended_say_nothing_of_their_probes(lab: Laboratory) -> None:
    history = with_unready_api(lab, REDIS)
    crashed = [
        dataclasses.replace(event, containers_started=False)
        if isinstance(event, PodObserved) and not event.ready
        else event
        for event in history
    ]
    assert "readiness-asks-another" not in found(History(crashed), lab.samples())


@pytest.mark.parametrize("ended_because", ["OOMKilled", "Error"])
def test_what_has_ended_before_or_for_another_reason_did_not_run_out_of_memory(
    lab: Laboratory, ended_because: str
) -> None:
    history = lab.deletion()
    for seconds, restarts in ((1.0, 4), (32.0, 4 if ended_because == "OOMKilled" else 5)):
        state = lab.pod(seconds, "redis", app="redis", restarts=restarts, ended_because=ended_because)
        history = history.append(state)
    assert "out_of_memory" not in found(history, lab.samples())


def with_a_successor(lab: Laboratory, gone: float, *, was_ready: bool = True, name: str = "api-a") -> History:
    """Return a history in which pod a ends at a second, and a pod called ``name`` follows."""
    kept = [one for one in lab.deletion() if not (isinstance(one, PodObserved) and one.uid in ("a", "d"))]
    pods = [
        lab.pod(0.1, "a", ready=was_ready),
        lab.pod(30.02, "a", terminating=True),
        lab.pod(gone, "a", terminating=True, ready=False, change=ChangeKind.DELETED),
        lab.pod(gone + 0.1, "d", name=name, ready=False, containers_started=False, change=ChangeKind.ADDED),
        lab.pod(gone + 0.6, "d", name=name),
    ]
    return History(sorted([*kept, *pods], key=lambda one: one.at.monotonic_ns))


def test_a_pod_whose_successor_waits_long_for_its_end_is_found(lab: Laboratory) -> None:
    one = found(with_a_successor(lab, 42.5), lab.samples())["slow_end"]
    assert one.title == "api-a took long to end, and its replacement waited for that"
    assert one.evidence.startswith("12.5 s passed from the request to end it until it was gone")


def test_an_end_that_is_fast_or_of_a_lost_node_or_held_nothing_up_is_not_found(lab: Laboratory) -> None:
    assert "slow_end" not in found(with_a_successor(lab, 39.9), lab.samples())
    assert "slow_end" not in found(with_a_successor(lab, 42.5, was_ready=False), lab.samples())
    assert "slow_end" not in found(with_a_successor(lab, 42.5, name="api-d"), lab.samples())


def test_every_finding_names_its_rule_and_what_was_felt(lab: Laboratory) -> None:
    for rule, one in found(lab.deletion(), lab.samples(lambda at: 30.0 <= at < 38.0, how="hanging")).items():
        assert rule
        assert one.felt
        assert one.evidence
        assert one.advice


def test_a_machine_without_a_processor_left_is_found(lab: Laboratory) -> None:
    def busy(*milliseconds: int) -> dict[str, Finding]:
        ended = [one for one in lab.deletion() if isinstance(one, ProberEnded)]
        others = [one for one in lab.deletion() if not isinstance(one, ProberEnded)]
        told = [dataclasses.replace(ended[0], looked_ms=20_000, busy_ms=each) for each in milliseconds]
        return found(History([*others, *told]), lab.samples())

    assert busy(7_900) == busy(0) == {}
    one = busy(9_000)["no_processor_left"]
    assert one.evidence == "all of its processors were busy for 9 of the 20 s that the prober ran"
    assert "no_processor_left" in busy(3_000, 14_000)
