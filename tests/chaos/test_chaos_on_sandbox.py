"""The experiments by stock ``chaos run``, alone, on the whole system: pods really go and really come back."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from flametest.kube import connect
from flametest.measure.figures import Figures, figures
from flametest.measure.objectives import Objectives
from flametest.measure.samples import read_samples
from flametest.model.events import EndpointsObserved, FaultInjected, FaultProved, ProberEnded, ScenarioEnded
from flametest.sandbox.launch import Sandbox, SandboxOptions, start
from tests.addresses import own_address
from tests.chaos.conftest import ChaosRun, short_experiment
from tests.patience import PATIENCE_SECONDS

pytestmark = [pytest.mark.sandbox, pytest.mark.measured]

MANIFESTS = Path(__file__).parents[2] / "manifests"
NODE_PORT_ADDRESS = own_address("chaos")


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    sandbox = start(
        SandboxOptions(
            name="chaos-tests",
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


@pytest.fixture(params=["api", pytest.param("nginx", marks=pytest.mark.exhaustive)])
def finished(request: pytest.FixtureRequest, deployed: Sandbox, tmp_path: Path) -> Iterator[ChaosRun]:
    run = ChaosRun(tmp_path, f"http://{NODE_PORT_ADDRESS}:30080")
    run.environment |= {"KUBECONFIG": str(deployed.kubeconfig), "KUBERNETES_CONTEXT": deployed.context}
    run.document = short_experiment(f"pod-delete-{request.param}", seconds=2, timeout_seconds=30)
    run.workload = request.param
    # How fast this machine is now is not what is tested here.
    run.relax("recovery_seconds", 30)
    run.output = run.finish()
    yield run
    run.end()


def measured(run: ChaosRun) -> Figures:
    with (run.record / "samples-prober.csv").open(newline="") as lines:
        return figures(run.history(), read_samples(lines), run.workload, Objectives())


def test_the_journal_holds_the_figures_of_the_record(finished: ChaosRun) -> None:
    assert finished.exit_code == 0, finished.output
    probes = finished.journal["steady_states"]["after"]["probes"]
    (judged,) = [
        probe["output"]["figures"] for probe in probes if probe["activity"]["provider"].get("func") == "within_limits"
    ]
    found = measured(finished)
    assert judged["recovery_seconds"] == pytest.approx(found.value("recovery_seconds"), abs=1e-6)
    assert 0 < judged["recovery_seconds"] < 30
    assert judged["outage_seconds"] == pytest.approx(found.value("outage_seconds"), abs=0.1)
    assert judged["availability"] >= 0.99

    history = finished.history()
    (fault,) = history.of(FaultInjected)
    (target,) = fault.targets
    (deleted,) = finished.journal["run"][1]["output"]
    assert (target.kind, target.name) == ("Pod", deleted)
    assert found.axis.uncertainty_seconds < 0.25
    assert [proof.proved for proof in history.of(FaultProved)] == [True]
    slices = [event for event in history.of(EndpointsObserved) if event.service == finished.workload]
    assert target.uid in {endpoint.pod_uid for endpoint in slices[0].endpoints if endpoint.ready}
    assert target.uid not in {endpoint.pod_uid for endpoint in slices[-1].endpoints if endpoint.ready}
    assert history.of(ProberEnded)[0].sent > 100
    assert history.of(ScenarioEnded)[0].status == "completed"
