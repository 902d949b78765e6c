"""Stock ``chaos run`` with the recorder: what is recorded, and that nothing is left running on any way out."""

import json
import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flametest.model.events import (
    FaultInjected,
    FaultProved,
    Noted,
    Phase,
    PhaseStarted,
    PodObserved,
    ProberEnded,
    ScenarioEnded,
    ScenarioStarted,
    WorkloadObserved,
)
from flametest.model.history import History
from tests.chaos.conftest import meta
from tests.patience import PATIENCE_SECONDS


def wait_until(condition: Callable[[], object], run: Any) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end
        assert run.process.poll() is None, run.finish()
        time.sleep(0.02)


def processes_of(run: Any) -> list[int]:
    """Return the processes that write into the record folder of a run."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if str(run.record).encode() in command:
            found.append(int(pid))
    return found


def test_a_lone_run_is_measured_and_its_journal_holds_the_figures(cluster: Any, chaos_run: Any) -> None:
    del chaos_run.environment["FLAMETEST_RECORD_DIR"]
    chaos_run.environment["FLAMETEST_SEED"] = "2"
    output = chaos_run.finish()
    assert chaos_run.exit_code == 0, output
    assert chaos_run.journal["status"] == "completed"
    probes = chaos_run.journal["steady_states"]["after"]["probes"]
    after = {probe["activity"]["name"]: probe["output"] for probe in probes}
    assert after["every-api-pod-is-ready"] is True
    judged = after["every-figure-is-within-its-limit"]
    assert judged["verdict"] == "held"
    assert judged["figures"]["outage_seconds"] == 0.0
    assert 0 <= judged["figures"]["recovery_seconds"] < 2
    assert judged["figures"]["availability"] == 1.0
    assert judged["limits"]["outage_seconds"] == "at most 3"
    assert f"Flametest records into reports/experiments/{chaos_run.record.name}" in output
    assert chaos_run.record.name.startswith("pod-delete-api-")
    assert_whole(chaos_run.history(), cluster.deleted)
    # The seed decides which pod is drawn.
    draw = random.Random("2 pod-delete-api terminate_pods")
    assert cluster.deleted == draw.sample(["api-1", "api-3", "api-5"], 1)
    assert "FLAMETEST_SEED=2" in chaos_run.history().of(Noted)[0].message
    assert processes_of(chaos_run) == []


def test_a_missed_limit_deviates_and_is_told_with_its_figure(cluster: Any, chaos_run: Any) -> None:
    cluster.replaces = False
    chaos_run.relax("recovery_seconds", 0.5)
    chaos_run.document["method"][2]["provider"]["arguments"]["timeout_seconds"] = 1
    probes = chaos_run.document["steady-state-hypothesis"]["probes"]
    probes[:] = [probe for probe in probes if probe["provider"].get("func") == "within_limits"]
    output = chaos_run.finish()
    assert chaos_run.exit_code == 1, output
    assert chaos_run.journal["deviated"] is True
    assert "recovery_seconds: at most 0.5, found more than " in output
    (judged,) = [
        probe["output"]
        for probe in chaos_run.journal["steady_states"]["after"]["probes"]
        if probe["activity"]["name"] == "every-figure-is-within-its-limit"
    ]
    assert judged["verdict"] == "missed"


def test_a_limit_of_the_command_line_replaces_that_of_the_file(cluster: Any, chaos_run: Any) -> None:
    chaos_run.relax("recovery_seconds", 0.001)
    chaos_run.environment["FLAMETEST_LIMITS"] = "recovery_seconds=5 pod-delete-api:outage_seconds=1"
    output = chaos_run.finish()
    assert chaos_run.exit_code == 0, output


def test_each_of_two_faults_of_one_kind_has_its_own_proof(cluster: Any, chaos_run: Any) -> None:
    _, fault, waited = chaos_run.document["method"]
    chaos_run.document["method"] += [json.loads(json.dumps(fault)), json.loads(json.dumps(waited))]
    output = chaos_run.finish()
    assert chaos_run.exit_code == 0, output
    history = chaos_run.history()
    assert [one.injection for one in history.of(FaultInjected)] == [1, 2]
    assert [(one.injection, one.proved) for one in history.of(FaultProved)] == [(1, True), (2, True)]
    for injected, proof in zip(history.of(FaultInjected), history.of(FaultProved), strict=True):
        assert injected.targets[0].name in proof.evidence


def test_a_fault_on_another_workload_has_not_passed_before_that_one_is_back(cluster: Any, chaos_run: Any) -> None:
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "idle"}}}
    cluster._put("deployments", "ADDED", {"metadata": meta("idle"), "spec": spec, "status": {}})
    cluster.replaces = False
    del chaos_run.document["steady-state-hypothesis"]
    (recorder,) = chaos_run.document["controls"]
    recorder["provider"]["arguments"]["workload"] = "idle"
    chaos_run.document["method"][2]["provider"]["arguments"]["timeout_seconds"] = 1
    output = chaos_run.finish()
    assert chaos_run.journal["run"][2]["output"]["held"] is False, output


def assert_whole(history: History, deleted: list[str]) -> None:
    """Assert that a history tells the fault, its target, its proof, and everything around it."""
    (fault,) = history.of(FaultInjected)
    assert [(one.kind, one.name, one.uid) for one in fault.targets] == [("Pod", deleted[0], f"uid-{deleted[0]}")]
    assert 0 < fault.acknowledged_ns - fault.sent_ns < 1e9
    (proof,) = history.of(FaultProved)
    assert proof.proved
    (started,) = history.of(ScenarioStarted)
    assert started.scenario == "pod-delete-api"
    assert started.experiment.endswith("pod-delete-api.json")
    (ended,) = history.of(ScenarioEnded)
    assert (ended.status, ended.deviated) == ("completed", False)
    assert [event.phase for event in history.of(PhaseStarted)] == [Phase.BASELINE, Phase.FAULT, Phase.RECOVERY]
    assert history.of(ProberEnded)[0].sent > 0
    assert len({pod.uid for pod in history.of(PodObserved)}) == 4
    assert history.of(WorkloadObserved)[0].desired == 3


def test_a_refused_deletion_interrupts_and_is_never_taken_for_a_fault(cluster: Any, chaos_run: Any) -> None:
    cluster.refuses_deletion = True
    output = chaos_run.finish()
    assert chaos_run.exit_code == 1
    assert chaos_run.journal["status"] == "interrupted"
    assert "action 'delete-one-api-pod' failed, so the experiment proves nothing" in output
    history = chaos_run.history()
    assert history.of(FaultInjected) == []
    assert any("the API refused: DELETE" in note.message and "403" in note.message for note in history.of(Noted))
    assert history.of(ScenarioEnded)[0].status == "interrupted"


def test_a_workload_that_stays_short_of_a_pod_deviates(cluster: Any, chaos_run: Any) -> None:
    cluster.replaces = False
    chaos_run.document["method"][2]["provider"]["arguments"]["timeout_seconds"] = 1
    chaos_run.finish()
    assert chaos_run.exit_code == 1
    assert chaos_run.journal["deviated"] is True
    assert chaos_run.journal["run"][2]["output"]["held"] is False
    assert chaos_run.history().of(ScenarioEnded)[0].status == "deviated"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_prober_and_record_and_injects_nothing(cluster: Any, chaos_run: Any, number: int) -> None:
    chaos_run.document["method"][0]["provider"]["arguments"]["seconds"] = 600
    chaos_run.start()
    wait_until(lambda: chaos_run.history().of(PhaseStarted), chaos_run)
    assert processes_of(chaos_run)
    chaos_run.process.send_signal(number)
    chaos_run.finish()
    assert chaos_run.exit_code == 1
    assert chaos_run.journal["status"] == "interrupted"
    assert cluster.deleted == []
    assert chaos_run.history().of(ScenarioEnded)[0].status == "interrupted"
    assert chaos_run.history().of(ProberEnded)
    assert processes_of(chaos_run) == []


def test_a_prober_that_dies_interrupts_before_the_fault(cluster: Any, chaos_run: Any) -> None:
    chaos_run.document["method"][0]["provider"]["arguments"]["seconds"] = 600
    chaos_run.start()
    wait_until(lambda: chaos_run.history().of(PhaseStarted), chaos_run)
    (prober,) = processes_of(chaos_run)
    os.kill(prober, signal.SIGKILL)
    output = chaos_run.finish()
    assert "the prober ended by itself" in output
    assert chaos_run.journal["status"] == "interrupted"
    assert cluster.deleted == []


def refuse_unselective(run: Any) -> str:
    del run.document["method"][1]["provider"]["arguments"]["label_selector"]
    return "'delete-one-api-pod' selects every pod of the namespace"


def refuse_workload(run: Any) -> str:
    run.document["controls"][0]["provider"]["arguments"]["workload"] = "nobody"
    return "holds no Deployment, StatefulSet or DaemonSet 'nobody'"


@pytest.mark.parametrize("refuse", [refuse_unselective, refuse_workload])
def test_a_recorder_that_cannot_start_stops_the_experiment_with_one_clear_line(
    cluster: Any, chaos_run: Any, refuse: Callable[[Any], str]
) -> None:
    says = refuse(chaos_run)
    output = chaos_run.finish()
    assert chaos_run.exit_code == 1
    assert len([line for line in output.splitlines() if says in line]) == 1
    assert "Traceback" not in output
    assert cluster.deleted == []
    assert processes_of(chaos_run) == []


def test_a_system_that_is_not_whole_is_left_alone_and_that_is_a_failure(cluster: Any, chaos_run: Any) -> None:
    cluster.objects["deployments"]["api"]["spec"]["replicas"] = 4
    output = chaos_run.finish()
    assert chaos_run.exit_code == 1
    assert "nothing was injected, so nothing was tested" in output
    assert chaos_run.journal["status"] == "failed"
    assert chaos_run.journal["steady_states"]["before"]["steady_state_met"] is False
    assert cluster.deleted == []
    assert chaos_run.history().of(ScenarioEnded)[0].status == "failed"


def test_a_selector_that_matches_no_pod_is_a_failure(cluster: Any, chaos_run: Any) -> None:
    chaos_run.document["method"][1]["provider"]["arguments"] = {"name_pattern": "^nobody$", "ns": "flametest"}
    output = chaos_run.finish()
    assert chaos_run.exit_code == 1
    assert "no pod of namespace 'flametest' has '^nobody$'" in output
    assert chaos_run.journal["status"] == "interrupted"


def deletion_of(pod: str) -> dict[str, Any]:
    """Return an action that deletes one pod by its name."""
    arguments = {"ns": "flametest", "name_pattern": f"^{pod}$"}
    provider = {"type": "python", "module": "chaosk8s.pod.actions", "func": "terminate_pods", "arguments": arguments}
    return {"type": "action", "name": f"delete-{pod}", "provider": provider}


def test_three_deletions_of_one_pod_each_exceed_the_share_together(cluster: Any, chaos_run: Any) -> None:
    baseline, _, recovery = chaos_run.document["method"]
    chaos_run.document["method"] = [baseline, *map(deletion_of, cluster.ready_pods()), recovery]
    output = chaos_run.finish()
    assert chaos_run.exit_code == 1
    assert "with the faults before it, it hits 2 of 3 pods of one controller" in output
    assert cluster.deleted == []


def test_a_second_fault_waits_for_the_recovery_from_the_first(cluster: Any, chaos_run: Any) -> None:
    """The method waits for it, so beforehand nothing speaks against it; but the pod does not come back."""
    cluster.replaces = False
    baseline, _, recovery = chaos_run.document["method"]
    recovery["provider"]["arguments"] = {"timeout_seconds": 1, "hold_seconds": 0.1}
    first, second, _ = cluster.ready_pods()
    chaos_run.document["method"] = [baseline, deletion_of(first), recovery, deletion_of(second)]
    output = chaos_run.finish()
    assert chaos_run.exit_code == 1
    assert "with the faults before it, it hits 2 of 3 pods of one controller" in output
    assert cluster.deleted == [first]
    assert chaos_run.journal["status"] == "interrupted"


def test_a_second_fault_comes_after_the_recovery_from_the_first(cluster: Any, chaos_run: Any) -> None:
    baseline, _, recovery = chaos_run.document["method"]
    first, second, _ = cluster.ready_pods()
    chaos_run.document["method"] = [baseline, deletion_of(first), recovery, deletion_of(second), recovery]
    assert chaos_run.finish()
    assert cluster.deleted == [first, second]


def test_a_context_that_is_not_allowed_is_asked_nothing(cluster: Any, chaos_run: Any) -> None:
    (chaos_run.folder / "home" / "allowed-contexts.toml").unlink()
    asked = cluster.requests
    output = chaos_run.finish()
    assert chaos_run.exit_code == 1
    assert "context 'pretended'" in output
    assert "is not allowed; nothing was asked of it" in output
    assert "export FLAMETEST_KNOWN_CONTEXT=pretended" in output
    assert "Traceback" not in output
    assert cluster.requests == asked
    assert cluster.deleted == []


def test_a_context_is_allowed_for_this_once_by_repeating_its_name(cluster: Any, chaos_run: Any) -> None:
    (chaos_run.folder / "home" / "allowed-contexts.toml").unlink()
    chaos_run.environment["FLAMETEST_KNOWN_CONTEXT"] = "pretended"
    output = chaos_run.finish()
    assert chaos_run.exit_code == 0, output
    assert len(cluster.deleted) == 1
