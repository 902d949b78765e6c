"""Why an experiment injected nothing is told with the figure, from what stock Chaos Toolkit has left."""

from typing import Any

from flametest.run.stopping import why_stopped_in

HEALTH = "the system was not healthy before the fault: probe "


def probes(run: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = run.document["steady-state-hypothesis"]["probes"]
    return found


def reason(run: Any) -> str:
    output = run.finish()
    assert run.exit_code != 0, output
    told = why_stopped_in(run.folder)
    assert "Traceback" not in told
    return told


def test_an_experiment_that_came_to_its_end_did_not_stop(cluster: Any, chaos_run: Any) -> None:
    output = chaos_run.finish()
    assert chaos_run.exit_code == 0, output
    assert why_stopped_in(chaos_run.folder) == ""


def test_pods_that_are_not_ready_are_counted(cluster: Any, chaos_run: Any) -> None:
    cluster.replaces = False
    cluster.delete(next(iter(cluster.objects["pods"])))
    assert reason(chaos_run) == f"{HEALTH}'every-api-pod-is-ready': 2 of 3 pods of api are ready"


def test_a_workload_that_is_not_there_is_named(cluster: Any, chaos_run: Any) -> None:
    probes(chaos_run)[0]["provider"]["arguments"]["workload"] = "shop"
    assert reason(chaos_run) == (
        f"{HEALTH}'every-api-pod-is-ready': there is no Deployment or StatefulSet 'shop' in namespace 'flametest'"
    )


def test_a_figure_beyond_its_limit_is_told_with_both(cluster: Any, chaos_run: Any) -> None:
    chaos_run.relax("p95_ms", 0.001)
    told = reason(chaos_run)
    assert told.startswith(f"{HEALTH}'every-figure-is-within-its-limit': p95_ms: at most 0.001, found ")
    assert float(told.rpartition(" ")[2]) > 0.001


def test_an_answer_of_another_status_is_told_with_both(cluster: Any, chaos_run: Any) -> None:
    probes(chaos_run)[1]["tolerance"] = [201, 202]
    assert reason(chaos_run) == f"{HEALTH}'the-entry-answers' found status 200; expected [201, 202]"


def test_an_entry_that_cannot_be_reached_is_told_in_a_line(cluster: Any, chaos_run: Any) -> None:
    probes(chaos_run)[1]["provider"]["url"] = "http://127.0.0.1:1/"
    told = reason(chaos_run)
    assert told.startswith(f"{HEALTH}'the-entry-answers': failed to connect to http://127.0.0.1:1/")
    assert "Connection refused" in told


def test_an_empty_method_is_told(cluster: Any, chaos_run: Any) -> None:
    chaos_run.document["method"] = []
    assert reason(chaos_run) == "the experiment's method is empty"


def test_a_method_without_a_fault_is_told_with_what_it_does(cluster: Any, chaos_run: Any) -> None:
    del chaos_run.document["method"][1:]
    assert reason(chaos_run) == "the experiment's method holds no fault: observe-the-baseline"


def test_a_refusal_of_the_cluster_is_told(cluster: Any, chaos_run: Any) -> None:
    cluster.refuses_deletion = True
    told = reason(chaos_run)
    assert told.startswith("action 'delete-one-api-pod' failed, so the experiment proves nothing: ")
    assert "403" in told


def test_a_refusal_of_the_gate_is_told(cluster: Any, chaos_run: Any) -> None:
    chaos_run.document["method"][1]["provider"]["arguments"]["qty"] = 3
    assert "3 of 3" in reason(chaos_run)


def test_an_experiment_that_cannot_begin_is_told(cluster: Any, chaos_run: Any) -> None:
    chaos_run.document["configuration"]["token"] = {"type": "env", "key": "NOT_SET"}
    assert "NOT_SET" in reason(chaos_run)
