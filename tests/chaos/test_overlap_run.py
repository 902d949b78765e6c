"""Several faults in one experiment, and a harm limit, by stock ``chaos run`` against an API that is pretended."""

from typing import Any

import pytest

from flametest.chaos.record import read_record
from flametest.faults.undo import UndoJournal
from flametest.measure.figures import figures
from flametest.measure.objectives import Objectives
from flametest.measure.scenario import ScenarioSpec, measure_scenario
from flametest.model.events import FaultHealed, FaultInjected, FaultProved, HarmLimitPassed, ScenarioEnded
from flametest.model.verdict import Verdict
from tests.chaos.conftest import ChaosRun, PretendedCluster

SERVED = 3


def action(function: str, **arguments: Any) -> dict[str, Any]:
    provider = {"type": "python", "module": "flametest.chaos.actions", "func": function, "arguments": arguments}
    return {"type": "action", "name": f"{function}-{len(str(arguments))}", "provider": provider}


def scaling(name: str, replicas: int) -> dict[str, Any]:
    return action("inject_scaling", workload="api", replicas=replicas, name=name)


def replicas(cluster: PretendedCluster) -> int:
    return int(cluster.objects["deployments"]["api"]["spec"]["replicas"])


def method(run: ChaosRun, *actions: dict[str, Any]) -> None:
    """Let the run consist of a short baseline and these actions; its hypothesis asks for pods only."""
    run.document["method"] = [action("observe_baseline", seconds=0.5), *actions]
    run.document["steady-state-hypothesis"]["probes"] = []


def test_named_faults_are_healed_one_by_one_by_stock_chaos_run(cluster: PretendedCluster, chaos_run: ChaosRun) -> None:
    method(
        chaos_run,
        scaling("first", 4),
        scaling("second", 5),
        action("heal_faults", names=["first"]),
        action("observe_fault", seconds=0.2),
        action("heal_faults", names=["second"]),
    )
    output = chaos_run.finish()
    assert chaos_run.exit_code == 0, output
    history = chaos_run.history()
    assert [(one.name, one.injection) for one in history.of(FaultInjected)] == [("first", 1), ("second", 2)]
    assert [(one.injection, one.proved) for one in history.of(FaultProved)] == [(1, True), (2, True)]
    assert [one.injection for one in history.of(FaultHealed)] == [1, 2]
    assert replicas(cluster) == SERVED
    _, samples = read_record(chaos_run.record)
    first, second = figures(history, samples, "api", Objectives()).faults
    assert (first.name, second.name) == ("first", "second")
    assert first.healed_seconds is not None
    assert second.healed_seconds is not None
    assert 0 < second.injected_seconds < first.healed_seconds < second.healed_seconds


@pytest.mark.parametrize("way", ["environment", "arguments"])
def test_an_experiment_in_which_users_suffer_too_much_is_healed_and_ends_before_its_time(
    cluster: PretendedCluster, chaos_run: ChaosRun, way: str
) -> None:
    cluster.replicas_served = SERVED
    method(chaos_run, scaling("harm", 4), action("observe_fault", seconds=600), action("heal_faults"))
    if way == "environment":
        chaos_run.environment["FLAMETEST_ABORT_WHEN"] = "availability=0.5"
    else:
        chaos_run.document["controls"][0]["provider"]["arguments"]["abort_when"] = ["availability=0.5"]
    output = chaos_run.finish()
    assert chaos_run.exit_code != 0
    assert "stopped by --abort-when availability=0.5" in output
    history, samples = read_record(chaos_run.record)
    (harm,), (healed,), (ended,) = history.of(HarmLimitPassed), history.of(FaultHealed), history.of(ScenarioEnded)
    seconds = (healed.at.monotonic_ns - harm.at.monotonic_ns) / 1e9
    print(f"healed {seconds:.3f} s after the limit was passed")
    assert harm.at.monotonic_ns < healed.at.monotonic_ns < ended.at.monotonic_ns
    assert replicas(cluster) == SERVED
    assert UndoJournal(chaos_run.folder / "home").records() == ((), ())
    result = measure_scenario(history, samples, ScenarioSpec("pod-delete-api", "t", "d", "api"))
    assert result.verdict is Verdict.FAILED
    assert result.sentence.startswith("stopped by --abort-when availability=0.5: availability was ")


def test_a_harm_limit_that_is_none_is_refused_before_anything_starts(chaos_run: ChaosRun) -> None:
    chaos_run.document["controls"][0]["provider"]["arguments"]["abort_when"] = ["availability=50"]
    output = chaos_run.finish()
    assert chaos_run.exit_code != 0
    assert "expected a number between 0 and 1" in output
    assert not (chaos_run.folder / "record").exists()


def test_a_fault_ends_as_soon_as_a_limit_is_missed_for_good_by_stock_chaos_run(
    cluster: PretendedCluster, chaos_run: ChaosRun
) -> None:
    cluster.replicas_served = SERVED
    chaos_run.limits = {"outage_seconds": 1.0}
    method(
        chaos_run,
        scaling("harm", 4),
        action("observe_fault", seconds=600, until_missed=True),
        action("heal_faults"),
        action("await_recovery", timeout_seconds=30, hold_seconds=0.5, prolong=False),
    )

    output = chaos_run.finish()

    assert chaos_run.exit_code == 0, output  # its hypothesis asks for nothing
    told = {one["activity"]["provider"]["func"]: one["output"] for one in chaos_run.journal["run"]}
    assert told["observe_fault"] == ["outage_seconds"]
    assert told["await_recovery"]["held"]
    assert replicas(cluster) == SERVED
