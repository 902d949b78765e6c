"""Contradictions that are planted in a real measurement: silent watches, and another system at the entry.

An experiment runs on the whole system by stock ``chaos run``; what disturbs it stands in between and breaks nothing.
"""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from flametest.chaos.record import read_record
from flametest.kube import connect
from flametest.load import LoadOptions, Locust
from flametest.measure.scenario import ScenarioSpec, measure_scenario
from flametest.model.events import FaultInjected, Phase, PhaseStarted, WatchCompared, WatchInterrupted
from flametest.model.result import Check, ScenarioResult
from flametest.model.verdict import Bound, Limit, Verdict
from flametest.sandbox.launch import Sandbox, SandboxOptions, start
from tests.addresses import own_address
from tests.chaos.conftest import EXPERIMENTS, ChaosRun
from tests.chaos.relays import FreezingApi, TakenEntry, relaying
from tests.faults.system import wait_until
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.sandbox

MANIFESTS = Path(__file__).parents[2] / "manifests"
LOAD_TEST = MANIFESTS.with_name("loadtests") / "locustfile.py"
NODE_PORT_ADDRESS = own_address("contradictions")
ENTRY = f"http://{NODE_PORT_ADDRESS}:30080"
# Missed by whatever takes a second; so a silent watch may not pass, and another system at the entry not fail.
LIMITS = (Limit("recovery_seconds", Bound.AT_MOST, 0.01), Limit("outage_seconds", Bound.AT_MOST, 30.0))


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    sandbox = start(
        SandboxOptions(
            name="contradictions",
            home=tmp_path_factory.mktemp("home"),
            node_port_address=NODE_PORT_ADDRESS,
            images_file=MANIFESTS / "images.toml",
        )
    )
    try:
        with connect(sandbox.kubeconfig, sandbox.context) as client:
            client.apply(MANIFESTS)
            client.wait_ready("flametest", PATIENCE_SECONDS)
        yield sandbox
    finally:
        sandbox.stop()


@pytest.fixture
def api(deployed: Sandbox) -> Iterator[FreezingApi]:
    relay = FreezingApi(deployed.kubeconfig)
    with relaying(relay):
        yield relay


@pytest.fixture
def entry(deployed: Sandbox) -> Iterator[TakenEntry]:
    relay = TakenEntry(ENTRY)
    with relaying(relay):
        yield relay


@pytest.fixture
def run(deployed: Sandbox, api: FreezingApi, entry: TakenEntry, tmp_path: Path) -> Iterator[ChaosRun]:
    """Return redis-outage made short, with both relays in between, which pass everything on until told otherwise."""
    found = ChaosRun(tmp_path, entry.url)
    found.environment |= {
        "KUBECONFIG": str(api.kubeconfig(tmp_path / "relayed")),
        "KUBERNETES_CONTEXT": deployed.context,
    }
    allowed = f'[contexts.{deployed.context}]\nserver = "{api.url}"\n'
    (tmp_path / "home" / "allowed-contexts.toml").write_text(allowed)
    found.document = json.loads((EXPERIMENTS / "redis-outage.json").read_text())
    probes = found.document["steady-state-hypothesis"]["probes"]
    probes[:] = [probe for probe in probes if probe["provider"].get("func") == "workload_ready"]
    for index, arguments in {
        0: {"seconds": 2},
        2: {"seconds": 3},
        4: {"timeout_seconds": 30, "hold_seconds": 1},
    }.items():
        found.document["method"][index]["provider"]["arguments"] = arguments
    with ExitStack() as ending:
        ending.callback(found.end)
        yield found


def judged(run: ChaosRun) -> ScenarioResult:
    history, samples = read_record(run.record)
    return measure_scenario(history, samples, ScenarioSpec("redis-outage", "Redis goes", "Teaches.", "redis", LIMITS))


def check(result: ScenarioResult, name: str) -> Check:
    (found,) = [one for one in result.checks if one.name == name]
    return found


def begun(run: ChaosRun) -> bool:
    return any(event.phase is Phase.BASELINE for event in run.history().of(PhaseStarted))


def test_what_is_not_disturbed_does_not_contradict_itself(run: ChaosRun) -> None:
    output = run.finish()
    result = judged(run)
    for name in ("watches_current", "answers_known", "views_agree"):
        assert check(result, name).verdict is Verdict.PASSED, f"{check(result, name).detail}\n{output}"
    comparisons = run.history().of(WatchCompared)
    assert {one.resource for one in comparisons} >= {"pods", "endpointslices", "deployments", "statefulsets"}
    assert not [one for one in comparisons if one.unseen or one.problem]
    assert not run.history().of(WatchInterrupted)


def test_watches_that_fall_silent_before_a_fault_are_inconclusive_with_figures(run: ChaosRun, api: FreezingApi) -> None:
    run.start()
    wait_until(lambda: begun(run), PATIENCE_SECONDS)
    api.freeze()
    output = run.finish()
    assert run.history().of(FaultInjected), output
    result = judged(run)
    assert result.verdict is Verdict.INCONCLUSIVE, output
    found = check(result, "watches_current")
    assert found.verdict is Verdict.INCONCLUSIVE, output
    assert "redis" in found.detail or "watches were silent from" in found.detail


def test_another_system_at_the_entry_is_inconclusive_with_its_pods_name(run: ChaosRun, entry: TakenEntry) -> None:
    run.start()
    wait_until(lambda: begun(run), PATIENCE_SECONDS)
    entry.taken_by = "shop-of-somebody-else-0"
    run.finish()
    result = judged(run)
    assert result.verdict is Verdict.INCONCLUSIVE
    found = check(result, "answers_known")
    assert "answers that name their pod come from pods that the namespace does not have" in found.detail
    assert "shop-of-somebody-else-0 " in found.detail


@pytest.mark.parametrize("failing", ["prober", "load"])
def test_an_outage_that_only_one_of_prober_and_load_sees_is_inconclusive_with_both_shares(
    run: ChaosRun, entry: TakenEntry, failing: str
) -> None:
    run.record.mkdir()
    options = LoadOptions(5, 4.0, entry.url, LOAD_TEST, path="/shop/api/events")
    with Locust(options, run.record) as locust:
        locust.wait_until_offered(PATIENCE_SECONDS)
        run.start()
        wait_until(lambda: begun(run), PATIENCE_SECONDS)
        entry.fails = lambda user_agent: user_agent.startswith("flametest-prober") is (failing == "prober")
        run.finish()
    result = judged(run)
    assert result.verdict is Verdict.INCONCLUSIVE
    found = check(result, "views_agree")
    assert found.verdict is Verdict.INCONCLUSIVE
    told = re.search(r"load ([\d.]+)%, prober ([\d.]+)%.* of requests for GET /shop/api/events were good", found.detail)
    assert told is not None, found.detail
    load, prober = map(float, told.groups())
    assert (load < prober) is (failing == "load")
