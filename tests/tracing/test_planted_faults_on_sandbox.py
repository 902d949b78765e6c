"""Twenty planted faults in the shipped shop: the path of a failed request names the hop that failed first."""

import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from flametest.edgeproxy.rules import Effect, Rule
from flametest.faults.dependency_outage import DependencyOutage
from flametest.faults.edge import Edge
from flametest.faults.frozen_process import FrozenProcess
from flametest.faults.http_faults import HttpFaults
from flametest.faults.network_partition import NetworkPartition
from flametest.faults.protocol import Prepares
from flametest.faults.random_errors import RandomErrors
from flametest.faults.selection import PodSelection
from flametest.faults.service_removal import ServiceRemoval
from flametest.model.paths import Trouble
from flametest.tracing import LogPlace
from tests.faults.conftest import system
from tests.patience import PATIENCE_SECONDS
from tests.tracing.planted import NAMESPACE, PATHS, Planted, Window, named, planted

__all__ = ["system"]

pytestmark = [pytest.mark.sandbox, pytest.mark.measured, pytest.mark.exhaustive]

HITS, VISITS, SHOP = PATHS
LASTS_SECONDS = 2.5
RIGHT_MIN = 18
CONTROLS = 5
SLOW_OR_WORSE = (Trouble.SLOW, Trouble.FAILED, Trouble.UNKNOWN)


def outage(workload: str, kind: str = "Deployment") -> DependencyOutage:
    return DependencyOutage(NAMESPACE, workload, kind)


def frozen(app: str) -> FrozenProcess:
    return FrozenProcess(PodSelection(NAMESPACE, f"app={app}", every=True))


def switched(workload: str, **faults: float) -> RandomErrors:
    return RandomErrors(NAMESPACE, workload, HttpFaults(**faults))  # type: ignore[arg-type]


def removed(service: str) -> ServiceRemoval:
    return ServiceRemoval(NAMESPACE, service)


def edge(service: str, effect: Effect, protocol: str = "tcp") -> Edge:
    return Edge(NAMESPACE, service, (Rule(effect),), protocol=protocol)


PLANTED = (
    Planted("redis is away", outage("redis", "StatefulSet"), HITS, ("redis",)),
    Planted("postgres is away from api", outage("postgres", "StatefulSet"), VISITS, ("postgres",)),
    Planted("postgres is away from logic", outage("postgres", "StatefulSet"), SHOP, ("postgres",)),
    Planted("redis hangs", frozen("redis"), HITS, ("redis",)),
    Planted("postgres hangs", frozen("postgres"), VISITS, ("postgres",)),
    Planted("postgres hangs for logic", frozen("postgres"), SHOP, ("postgres",)),
    Planted("logic is away", outage("logic"), SHOP, ("logic",)),
    Planted("frontend is away", outage("frontend"), SHOP, ("frontend",)),
    Planted("api is away", outage("api"), HITS, ("api",)),
    Planted("nginx is away", outage("nginx"), HITS, ("nginx",)),
    Planted("logic hangs", frozen("logic"), SHOP, ("logic",)),
    Planted("api hangs", frozen("api"), HITS, ("api",)),
    Planted("logic fails", switched("logic", error_rate=1.0), SHOP, ("logic",)),
    Planted("what is asked of api is answered by 500", edge("api", Effect(status=(500,)), "http"), HITS, ("api",)),
    Planted("connections to frontend are reset", edge("frontend", Effect(reset=True)), SHOP, ("frontend",)),
    Planted("logic is late", switched("logic", latency_ms=2500.0), SHOP, ("logic",)),
    Planted("redis refuses connections", edge("redis", Effect(refuse=True)), HITS, ("redis",)),
    Planted("nobody gets to logic", NetworkPartition(NAMESPACE, "logic", 8080), SHOP, ("logic",)),
    Planted("the Service of logic is gone", removed("logic"), SHOP, ("logic",)),
    Planted("postgres is never heard of", edge("postgres", Effect(silence=True)), VISITS, ("postgres",)),
)


def test_the_path_names_the_hop_that_failed_first_in_eighteen_of_twenty_and_none_without_a_fault(
    system: Any, tmp_path: Path
) -> None:
    environment, client = system.environment, system.client
    place = LogPlace(environment["KUBECONFIG"], environment["KUBERNETES_CONTEXT"], NAMESPACE)
    url = environment["FLAMETEST_URL"]
    told: dict[str, str] = {}
    without: list[str] = []
    with planted(client, place, url, tmp_path) as found:
        until_whole(url)
        for number, one in enumerate(PLANTED):
            control = lasting() if number < CONTROLS else None
            targets = one.fault.targets(client)
            state = one.fault.record(client, targets)
            try:
                if isinstance(one.fault, Prepares):
                    one.fault.prepare(client, targets)
                begin_ns = time.monotonic_ns()
                one.fault.inject(client, targets)
                one.fault.prove(client, targets, state)  # which waits until pods that end in order have ended
                window = lasting(begin_ns)
            finally:
                type(one.fault).heal(client, state)
                found.note_services()
            client.wait_ready(NAMESPACE, PATIENCE_SECONDS)
            until_whole(url)
            # What the requests of both have met is written by now: each has ended since, and so have its pods' lines.
            causes = found.causes(window, one.path)
            told[one.name] = named(causes, one.trouble)
            print(f"{one.name}: {told[one.name] or 'nothing'} ({causes[0].path.why if causes else 'no failure'})")
            if control is not None:
                without += [named(found.causes(control, path), SLOW_OR_WORSE) for path in PATHS]
    wrong = {one.name: told[one.name] for one in PLANTED if told[one.name] not in one.truth}
    print(f"{len(PLANTED) - len(wrong)} of {len(PLANTED)} named; wrong: {wrong}; without a fault: {without}")
    assert without == [""] * CONTROLS * len(PATHS)
    assert len(PLANTED) - len(wrong) >= RIGHT_MIN, wrong


def lasting(begin_ns: int = 0) -> Window:
    """Return the time in which enough requests are sent; what they find is looked at when all have ended."""
    begin_ns = begin_ns or time.monotonic_ns()
    time.sleep(LASTS_SECONDS)  # a fault lasts for a time, whatever is seen of it
    return Window(begin_ns, time.monotonic_ns())


def until_whole(url: str) -> None:
    """Return once each path has been answered well a few times in a row: what a fault leaves behind is not the next."""
    well, deadline = 0, time.monotonic() + PATIENCE_SECONDS
    while well < 3:
        assert time.monotonic() < deadline, "the system does not get whole"
        well = well + 1 if all(answers(url + path) for path in PATHS) else 0
        time.sleep(0.2)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
