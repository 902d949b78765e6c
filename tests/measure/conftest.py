"""A laboratory for the measures: records with a known truth, made without a clock, a socket or a cluster.

Times are seconds on a made-up monotonic clock; t0 of `Laboratory.deletion` is `T0_SECONDS`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import pytest

from flametest.measure.samples import Samples
from flametest.model.events import (
    ChangeKind,
    EndpointsObserved,
    EndpointState,
    Event,
    FaultInjected,
    FaultProved,
    LoadEnded,
    LoadStarted,
    Phase,
    PhaseStarted,
    PodObserved,
    ProberEnded,
    ScenarioEnded,
    Stamp,
    Target,
    WorkloadObserved,
)
from flametest.model.history import History
from flametest.model.samples import Lane, Outcome, Sample

SECOND_NS = 1_000_000_000
TIME_LIMIT_SECONDS = 1.0
SCENARIO = "pod-delete-api"


@dataclass(frozen=True)
class Answering:
    """How a bad request ends: status, class of error, and after how many seconds."""

    status: int
    error: str
    seconds: float


BAD_ANSWERS = {
    "503": Answering(503, "", 0.004),
    "refused": Answering(0, "refused", 0.0002),
    "hanging": Answering(0, "timeout", TIME_LIMIT_SECONDS),
}


def stamp(seconds: float) -> Stamp:
    """Return a stamp whose two clocks agree."""
    return Stamp(round(seconds * SECOND_NS), 1_000_000.0 + seconds)


class Laboratory:
    """Makes samples and histories; every method is pure."""

    t0_seconds = 30.0
    end_seconds = 90.0

    def requests(
        self,
        lane: Lane,
        is_bad: Callable[[float], bool],
        *,
        until: float = 90.0,
        interval: float = 0.05,
        phase: float = 0.0,
        round_trip: float = 0.004,
        how: str = "503",
        pods: Callable[[float], tuple[str, ...]] = lambda moment: ("api-a", "api-b", "api-c"),
    ) -> list[Sample]:
        """Return an open-loop lane; a request is bad when it arrives, half a round trip later, at a bad time."""
        rows = []
        answer = BAD_ANSWERS[how]
        for index in range(int((until - phase) / interval)):
            sent = phase + index * interval
            bad = is_bad(sent + round_trip / 2)
            served = "" if bad else pods(sent)[index % len(pods(sent))]
            moment_ns = round(sent * SECOND_NS)
            rows.append(
                Sample(
                    lane=lane,
                    name="GET /",
                    intended_ns=moment_ns,
                    sent_ns=moment_ns + 100_000,
                    done_ns=moment_ns + 100_000 + round((answer.seconds if bad else round_trip) * SECOND_NS),
                    outcome=(Outcome.UNKNOWN if how == "hanging" else Outcome.FAILED) if bad else Outcome.OK,
                    status=answer.status if bad else 200,
                    served_by=served,
                    error=answer.error if bad else "",
                )
            )
        return rows

    def pod(self, seconds: float, uid: str, **changes: object) -> PodObserved:
        """Return a ready api pod of the replica set ``rs``, with ``changes``."""
        pod = PodObserved(
            at=stamp(seconds),
            scenario=SCENARIO,
            change=ChangeKind.MODIFIED,
            uid=uid,
            name=f"api-{uid}",
            node="sandbox-1",
            app="api",
            owner_uid="rs",
            phase="Running",
            ready=True,
            terminating=False,
            containers_started=True,
            restarts=0,
            created_wall_s=float(int(stamp(seconds).wall_s)),
        )
        return replace(pod, **changes)  # type: ignore[arg-type]

    def endpoints(self, seconds: float, uids: Iterable[str]) -> EndpointsObserved:
        """Return the api's slice with these pods ready."""
        states = tuple(EndpointState("10.244.1.2", uid, f"api-{uid}", True, True, False) for uid in uids)
        return EndpointsObserved(stamp(seconds), SCENARIO, ChangeKind.MODIFIED, "api", "api-slice", states)

    def workload(self, seconds: float, ready: int, desired: int = 3) -> WorkloadObserved:
        """Return the api's Deployment."""
        counts = (desired, desired, ready, ready, desired)
        return WorkloadObserved(
            stamp(seconds), SCENARIO, ChangeKind.MODIFIED, "Deployment", "api", "api", "deployment", *counts
        )

    def injected(self, *uids: str, kind: str = "Pod", seconds: float = 30.0, span: float = 0.01) -> FaultInjected:
        """Return an injection whose t0 is ``seconds``."""
        targets = tuple(Target(kind, "flametest", f"api-{uid}", uid) for uid in uids)
        sent, acknowledged = (round((seconds + side * span / 2) * SECOND_NS) for side in (-1, 1))
        return FaultInjected(stamp(seconds + span), SCENARIO, "terminate_pods", sent, acknowledged, targets)

    def before(self) -> list[Event]:
        """Return the events of a healthy api with three pods, until the fault."""
        return [
            PhaseStarted(stamp(0), SCENARIO, Phase.BASELINE),
            LoadStarted(stamp(0), SCENARIO, 20, 40.0),
            *(self.pod(0, uid, change=ChangeKind.LISTED) for uid in "abc"),
            self.endpoints(0, "abc"),
            self.workload(0, 3),
        ]

    def replacement(self) -> list[Event]:
        """Return what the watches see of one pod deleted at t0: its successor d is ready after 1.9 s."""
        fresh = {"ready": False, "containers_started": False}
        return [
            self.pod(30.02, "a", terminating=True),
            self.endpoints(30.03, "bc"),
            self.pod(30.04, "d", change=ChangeKind.ADDED, phase="Pending", **fresh),
            self.workload(30.05, 2),
            self.pod(31.0, "d", ready=False),
            self.pod(31.9, "d"),
            self.endpoints(31.95, "bcd"),
            self.workload(31.96, 3),
            self.pod(32.0, "a", terminating=True, ready=False, change=ChangeKind.DELETED),
        ]

    def ending(self, status: str = "completed", deviated: bool = False) -> list[Event]:
        """Return how a scenario ends."""
        return [
            ProberEnded(stamp(90), SCENARIO, 50_000_000, 1800, 0, 100_000),
            LoadEnded(stamp(90), SCENARIO, "stopped"),
            ScenarioEnded(stamp(90.1), SCENARIO, status, deviated),
        ]

    def deletion(self) -> History:
        """Return the whole history of one api pod deleted and replaced."""
        proof = FaultProved(stamp(30.03), SCENARIO, "terminate_pods", True, "the watch showed api-a terminating")
        return History([*self.before(), self.injected("a"), proof, *self.replacement(), *self.ending()])

    def samples(self, is_bad: Callable[[float], bool] = lambda moment: False, **options: object) -> Samples:
        """Return prober and load of a whole scenario; the successor serves once it is ready."""

        def pods(moment: float) -> tuple[str, ...]:
            if moment < 30:
                return ("api-a", "api-b", "api-c")
            return ("api-b", "api-c", "api-d") if moment >= 31.9 else ("api-b", "api-c")

        fresh = self.requests(Lane.FRESH, is_bad, interval=0.05, pods=pods, **options)  # type: ignore[arg-type]
        load = self.requests(Lane.LOAD, is_bad, interval=0.025, pods=pods, **options)  # type: ignore[arg-type]
        return Samples.of(fresh + load)


@pytest.fixture(scope="session")
def lab() -> Laboratory:
    """Return the laboratory."""
    return Laboratory()
