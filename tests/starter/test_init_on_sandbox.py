"""What ``flametest init`` writes for running systems runs as it is, and shows what was named."""

import json
from pathlib import Path

import pytest

from tests.starter.cluster import BARE_PORT, QUOTES_PORT, Cluster

pytestmark = [pytest.mark.sandbox, pytest.mark.exhaustive]


def test_a_lone_pod_without_probes_is_named_weak_and_its_deletion_misses_the_limit(
    cluster: Cluster, tmp_path: Path
) -> None:
    told = cluster.init("bare", tmp_path)
    for rule in ("single-pod", "no-readiness-probe", "no-liveness-probe", "no-resource-requests", "floating-image"):
        assert f" {rule}: " in told
    journal = cluster.chaos("bare", BARE_PORT, tmp_path, "pod-delete-lone")
    assert [one["status"] for one in journal["run"]] == ["succeeded"] * 3
    assert journal["deviated"], "users waited for the replacement, for longer than the limit"


def test_the_dependency_of_the_example_is_taken_away_and_comes_back(cluster: Cluster, tmp_path: Path) -> None:
    told = cluster.init("quotes", tmp_path)
    assert f"entry: Service quotes (its type is NodePort), {cluster.url(QUOTES_PORT)} / /readyz" in told
    assert "StatefulSet redis single-pod: 1 replica, needed by quotes, tally" in told
    journal = cluster.chaos("quotes", QUOTES_PORT, tmp_path, "outage-redis")
    assert journal["status"] == "completed"
    assert [one["status"] for one in journal["run"]] == ["succeeded"] * 5
    assert "Service redis has no ready endpoint" in journal["run"][1]["output"]["evidence"]


def test_a_run_takes_what_was_written_for_the_ticket_shop_and_judges_it(cluster: Cluster, tmp_path: Path) -> None:
    cluster.init("flametest", tmp_path)
    where = ("--no-deploy", "--namespace", "flametest", "--url", cluster.url(30080))
    done = cluster.run(
        "flametest.cli", "run", *where, "--experiment", "experiments/pod-delete-nginx.json", folder=tmp_path
    )
    # How long it was felt is for a machine that does nothing else; that it was proved and measured is not.
    assert done.returncode in (0, 1), done.stdout + done.stderr
    (scenario,) = json.loads((tmp_path / "reports" / "latest" / "result.json").read_text())["scenarios"]
    assert {one["name"]: one["verdict"] for one in scenario["checks"]}["fault_proven"] == "passed"
    assert (tmp_path / "reports" / "latest" / "report.html").is_file()


def test_a_namespace_with_nothing_to_test_is_refused_with_a_remedy(cluster: Cluster, tmp_path: Path) -> None:
    for namespace, complaint in (("vacant", "holds no Deployment"), ("absent", "no namespace 'absent'")):
        done = cluster.run("flametest.cli", "init", "--namespace", namespace, folder=tmp_path)
        assert done.returncode == 2
        assert complaint in done.stderr
        assert "remedy: " in done.stderr
    assert not list(tmp_path.iterdir())
