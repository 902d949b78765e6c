"""The Job on a real sandbox, which decides by roles as Kubernetes does: with its rights, and with one too few."""

import copy
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest

from flametest.incluster.manifest import RUNNER_NAMESPACE
from flametest.incluster.planning import JobPlan, JobWish, plan_job
from flametest.incluster.starting import JobError, JobLostError, await_end, begin_again, fetch, last_words, remove
from flametest.kube import KubeClient, connect
from flametest.kube.namespaces import namespace_phase
from flametest.kube.resources import PODS, SERVICES
from flametest.kube.snapshots import find
from flametest.manifests import Manifest
from flametest.model.events import FaultProved, RunStarted
from flametest.run.exitcodes import ExitCode, exit_code
from flametest.run.folder import RunFolder
from flametest.run.project import Project
from flametest.sandbox.launch import Sandbox, SandboxOptions, start
from tests.addresses import own_address
from tests.patience import PATIENCE_SECONDS

pytestmark = [pytest.mark.sandbox, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
ADDRESS = own_address("job")
EXPERIMENT = ROOT / "experiments" / "pod-delete-api.json"
ROLES = "/apis/rbac.authorization.k8s.io/v1"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    home = tmp_path_factory.mktemp("home")
    images = ROOT / "manifests" / "images.toml"
    found = start(SandboxOptions(home=home, node_port_address=ADDRESS, images_file=images))
    try:
        with connect(found.kubeconfig, found.context) as client:
            client.apply(ROOT / "manifests")
            client.wait_ready("flametest", 90)
        yield found
    finally:
        found.stop()


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[KubeClient]:
    with connect(sandbox.kubeconfig, sandbox.context) as found:
        yield found
        wait_until(lambda: not namespace_phase(found.api, RUNNER_NAMESPACE), 60)


def plan() -> JobPlan:
    """Return the Job of a short experiment."""
    wish = JobWish("core", (EXPERIMENT,), "flametest", run_arguments=("--users", "5", "--no-ledger", "--seed", "3"))
    return plan_job(wish, Project(ROOT))


def without(manifests: tuple[Manifest, ...], verb: str, resource: str) -> tuple[Manifest, ...]:
    """Return manifests whose Role lacks one right."""
    changed = copy.deepcopy(manifests)
    for manifest in changed:
        for rule in manifest.object.get("rules") or []:
            if resource in rule["resources"]:
                rule["verbs"].remove(verb)
    return changed


def service_is_there(client: KubeClient) -> bool:
    """Return whether Service logic is there."""
    return find(client.api, SERVICES, "flametest", "logic") is not None


def wait_until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that in time"
        Event().wait(0.1)


def roles(client: KubeClient) -> list[str]:
    """Return the roles and bindings of the Job that are there."""
    kinds = ("roles", "rolebindings", "clusterroles", "clusterrolebindings")
    items = [one for kind in kinds for one in client.api.get(f"{ROLES}/{kind}")["items"]]
    return [one["metadata"]["name"] for one in items if one["metadata"]["name"].startswith("flametest-runner")]


@pytest.mark.exhaustive
def test_a_job_runs_an_experiment_with_its_own_role_and_leaves_its_report_and_nothing_else(
    sandbox: Sandbox, client: KubeClient, tmp_path: Path
) -> None:
    out = tmp_path / "report"
    command = [sys.executable, "-m", "flametest.cli", "job", "run", "--experiment", str(EXPERIMENT), "--out", str(out)]
    home = sandbox.state_folder.parents[1]
    done = subprocess.run(
        [*command, "--", "--users", "5", "--no-ledger", "--seed", "3"],
        env=os.environ | {"FLAMETEST_HOME": str(home), "FLAMETEST_NODE_PORT_ADDRESS": ADDRESS},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert (out / "run.json").exists(), done.stdout + done.stderr
    folder = RunFolder.open(out)
    history = folder.history()
    assert history.of(RunStarted)[0].cluster == "in-cluster"
    assert [proof.proved for proof in history.of(FaultProved)] == [True]
    # Whether its limits held depends on what else the machine has to do; it exits as its report says in any case.
    result = folder.result()
    assert done.returncode == exit_code(result.verdict)
    assert result.headline in done.stdout
    assert (out / "report.html").stat().st_size > 10_000
    assert (out / "logs").is_dir()
    assert roles(client) == []


def test_a_right_that_is_missing_is_named_before_anything_is_injected(client: KubeClient, tmp_path: Path) -> None:
    whole = plan()
    manifests = without(whole.manifests, "delete", "pods")
    try:
        client.apply(manifests)
        assert await_end(client, PATIENCE_SECONDS, lambda _: None) == ExitCode.USAGE
        said = "\n".join(last_words(client))
        assert "lacks a right in namespace 'flametest': delete pods (pod-delete-api)" in said
        assert "nothing was injected" in said
        with pytest.raises(JobError, match="the report cannot be fetched"):
            fetch(client, tmp_path / "report")
    finally:
        remove(client, manifests)
    assert roles(client) == []


@pytest.mark.exhaustive
def test_what_a_killed_job_has_injected_is_healed_by_the_next_one(client: KubeClient) -> None:
    removal = (ROOT / "experiments" / "remove-service-logic.json",)
    wish = JobWish("core", removal, "flametest", run_arguments=("--users", "5", "--no-ledger"))
    plans = [plan_job(one, Project(ROOT)) for one in (wish, replace(wish, run_arguments=("--dry-run",)))]
    try:
        client.apply(plans[0].manifests)
        wait_until(lambda: not service_is_there(client), 120)
        (pod,) = client.api.get(PODS.path(RUNNER_NAMESPACE))["items"]
        path = PODS.path(RUNNER_NAMESPACE, pod["metadata"]["name"])
        client.api.send("DELETE", path, {"gracePeriodSeconds": 0})
        with pytest.raises((JobLostError, JobError)):
            await_end(client, 10, lambda _: None)
        assert not service_is_there(client)
        begin_again(client)
        client.apply(plans[1].manifests)
        assert await_end(client, PATIENCE_SECONDS, lambda _: None) == ExitCode.PASSED
        assert service_is_there(client)
    finally:
        remove(client, plans[0].manifests)


def test_a_job_without_its_image_is_explained(client: KubeClient) -> None:
    wish = JobWish("core", (EXPERIMENT,), "flametest", image="flametest/unknown:1")
    manifests = plan_job(wish, Project(ROOT)).manifests
    try:
        client.apply(manifests)
        with pytest.raises(JobError, match=r"ErrImagePull|ImagePullBackOff"):
            await_end(client, PATIENCE_SECONDS, lambda _: None)
    finally:
        remove(client, manifests)
