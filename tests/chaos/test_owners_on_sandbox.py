"""Workloads as people write them: with a label that others carry too, with none that is known, with a sidecar.

Stock ``chaos run`` records and judges each by its own pods; draws hit live pods only; waiting for readiness ends where
nobody will go on with a rollout.
"""

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flametest.faults.waiting import wait_for
from flametest.kube import KubeClient, connect
from flametest.kube.api import MERGE
from flametest.kube.resources import (
    DAEMON_SETS,
    DEPLOYMENTS,
    NAMESPACES,
    PODS,
    SERVICES,
    STATEFUL_SETS,
    Object,
    Resource,
)
from flametest.measure.pods import workload_view
from flametest.measure.samples import read_samples
from flametest.measure.scenario import ScenarioSpec, measure_scenario
from flametest.model.events import FaultInjected, FaultProved, PodObserved
from flametest.model.result import ScenarioResult
from flametest.sandbox.launch import Sandbox, SandboxOptions, start
from tests.addresses import own_address
from tests.chaos.conftest import ChaosRun
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.sandbox

NODE_PORT_ADDRESS = own_address("owners")
PORT = 30083
SLOW_SECONDS = 4
SERVE = "exec python -m http.server 8000"
JOBS = Resource("batch/v1", "Job", "jobs")
MAIN = {"kubectl.kubernetes.io/default-container": "main"}


@dataclass(frozen=True)
class Cluster:
    sandbox: Sandbox
    client: KubeClient

    def namespace(self, name: str) -> None:
        metadata = {"name": name, "labels": {"flametest.dev/faults": "allowed"}}
        self.client.api.send("POST", NAMESPACES.path(), {"metadata": metadata})

    def create(self, resource: Resource, namespace: str, name: str, **fields: Any) -> None:
        body = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": name}} | fields
        self.client.api.send("POST", resource.path(namespace), body)

    def patch(self, resource: Resource, namespace: str, name: str, spec: Object) -> None:
        self.client.api.send("PATCH", resource.path(namespace, name), {"spec": spec}, content_type=MERGE)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    options = SandboxOptions(name="owners", home=tmp_path_factory.mktemp("home"), node_port_address=NODE_PORT_ADDRESS)
    sandbox = start(options)
    try:
        with connect(sandbox.kubeconfig, sandbox.context) as client:
            yield Cluster(sandbox, client)
    finally:
        sandbox.stop()


def container(name: str, command: str, image: str = "python:3.12-slim", **more: Any) -> Object:
    return {"name": name, "image": image, "command": ["sh", "-c", command], **more}


def template(labels: Object, *containers: Object, annotations: Object | None = None) -> Object:
    spec = {"containers": list(containers), "terminationGracePeriodSeconds": 1}
    return {"metadata": {"labels": labels, "annotations": annotations or {}}, "spec": spec}


def workload(labels: Object, pods: Object, replicas: int, **more: Any) -> Object:
    return {"replicas": replicas, "selector": {"matchLabels": labels}, "template": pods, **more}


def asked(path: str = "/") -> Object:
    return {"readinessProbe": {"httpGet": {"path": path, "port": 8000}, "periodSeconds": 1}}


def entry(cluster: Cluster, namespace: str, selector: Object, port: int) -> None:
    ports = [{"port": 80, "targetPort": 8000, "nodePort": port}]
    cluster.create(SERVICES, namespace, "entry", spec={"type": "NodePort", "selector": selector, "ports": ports})


def action(func: str, module: str = "flametest.chaos.actions", **arguments: Any) -> Object:
    provider = {"type": "python", "module": module, "func": func, "arguments": arguments}
    return {"type": "action", "name": func.replace("_", "-"), "provider": provider}


@dataclass
class Experiment:
    """Stock ``chaos run`` of a method on a workload of the sandbox."""

    run: ChaosRun
    name: str

    def judged(self) -> ScenarioResult:
        with (self.run.record / "samples-prober.csv").open(newline="") as lines:
            samples = read_samples(lines)
        return measure_scenario(self.run.history(), samples, ScenarioSpec(self.name, "", "", self.name))


@pytest.fixture
def experiment(cluster: Cluster, tmp_path: Path) -> Iterator[Any]:
    runs: list[ChaosRun] = []

    def make(namespace: str, workload: str, port: int, *method: Object, **radius: Any) -> Experiment:
        run = ChaosRun(tmp_path, f"http://{NODE_PORT_ADDRESS}:{port}")
        run.environment |= {
            "KUBECONFIG": str(cluster.sandbox.kubeconfig),
            "KUBERNETES_CONTEXT": cluster.sandbox.context,
            "FLAMETEST_NAMESPACE": namespace,
        }
        arguments = {"scenario": workload, "workload": workload} | radius
        recorder = {"type": "python", "module": "flametest.chaos.controls", "arguments": arguments}
        run.document = {
            "title": f"{workload} comes back",
            "description": "As people write it.",
            "controls": [{"name": "recorder", "provider": recorder}],
            "method": [action("observe_baseline", seconds=0.5), *method],
        }
        runs.append(run)
        return Experiment(run, workload)

    yield make
    for run in runs:
        run.end()


@pytest.fixture(scope="module")
def shops(cluster: Cluster) -> str:
    """Return a namespace with two Deployments that share a label, and done pods of a Job that carries it too."""
    cluster.namespace("shops")
    labels = {"app": "shop"}
    slow = container("main", f"sleep {SLOW_SECONDS}; {SERVE}", **asked())
    web = template(labels | {"role": "web"}, slow)
    cluster.create(DEPLOYMENTS, "shops", "shop", spec=workload(labels | {"role": "web"}, web, 2))
    worker = template(labels | {"role": "worker"}, container("main", "sleep 600"))
    cluster.create(DEPLOYMENTS, "shops", "shop-worker", spec=workload(labels | {"role": "worker"}, worker, 2))
    done = template(labels | {"role": "web"}, container("main", "true"))
    done["spec"]["restartPolicy"] = "Never"
    cluster.create(JOBS, "shops", "report", spec={"completions": 20, "parallelism": 5, "template": done})
    entry(cluster, "shops", {"app": "shop", "role": "web"}, PORT)
    cluster.client.wait_ready("shops", PATIENCE_SECONDS)

    def finished() -> bool:
        job = cluster.client.api.get(JOBS.path("shops", "report"))
        return int(job.get("status", {}).get("succeeded") or 0) == 20

    assert wait_for(finished, PATIENCE_SECONDS)
    return "shops"


def test_recovery_is_that_of_the_workloads_own_pods_and_dead_pods_are_not_drawn(
    cluster: Cluster, shops: str, experiment: Any
) -> None:
    # Of 22 pods with these labels 20 have done their work.
    drawn = action("terminate_pods", "chaosk8s.pod.actions", label_selector="app=shop,role=web", rand=True, ns=shops)
    waited = action("await_recovery", timeout_seconds=60, hold_seconds=1)
    tested = experiment(shops, "shop", PORT, drawn, waited)
    output = tested.run.finish()
    assert tested.run.exit_code == 0, output
    history = tested.run.history()
    (target,) = history.of(FaultInjected)[0].targets
    before = next(pod for pod in history.of(PodObserved) if pod.uid == target.uid)
    assert (before.phase, before.owner_kind) == ("Running", "ReplicaSet")
    assert [proof.proved for proof in history.of(FaultProved)] == [True]
    assert len({pod.name for pod in workload_view(history, "shop").own()}) == 3
    result = tested.judged()
    assert "deleting 1 of 2 shop pods" in result.sentence
    recovery = next(one.value for one in result.criteria if one.name == "recovery_seconds")
    assert recovery is not None
    assert recovery >= SLOW_SECONDS  # its replacement sleeps as long before it serves


def test_who_scales_down_meanwhile_is_followed(cluster: Cluster, shops: str, experiment: Any) -> None:
    waited = action("await_recovery", timeout_seconds=60, hold_seconds=1)
    drawn = action("inject_pod_deletion", label_selector="app=shop,role=web")
    tested = experiment(shops, "shop", PORT, drawn, waited)
    cluster.client.wait_ready(shops, PATIENCE_SECONDS)
    process = tested.run.start()

    def scale() -> None:
        if wait_for(lambda: tested.run.history().of(FaultInjected) or None, PATIENCE_SECONDS):
            cluster.patch(DEPLOYMENTS, shops, "shop", {"replicas": 1})

    scaling = threading.Thread(target=scale, name="somebody scales")
    scaling.start()
    output = tested.run.finish()
    scaling.join()
    try:
        assert process.returncode == 0, output
        result = tested.judged()
        assert "it was scaled from 2 to 1 pod meanwhile, and judged by that" in result.sentence
        assert "not back" not in result.sentence
        assert next(one.value for one in result.criteria if one.name == "recovery_seconds") is not None
    finally:
        cluster.patch(DEPLOYMENTS, shops, "shop", {"replicas": 2})


@pytest.fixture(scope="module")
def composed(cluster: Cluster) -> str:
    """Return a namespace with a workload as kompose labels it, whose main container stands behind a sidecar."""
    cluster.namespace("composed")
    labels = {"io.kompose.service": "web"}
    sidecar = container("proxy", "trap 'exit 0' TERM; sleep 600 & wait", image="busybox:1.36")
    pods = template(labels, sidecar, container("main", SERVE, **asked()), annotations=MAIN)
    cluster.create(DEPLOYMENTS, "composed", "web", spec=workload(labels, pods, 2))
    entry(cluster, "composed", labels, PORT + 1)
    cluster.client.wait_ready("composed", PATIENCE_SECONDS)
    return "composed"


def test_a_workload_without_a_known_label_and_with_a_sidecar_is_tested_like_any_other(
    cluster: Cluster, composed: str, experiment: Any
) -> None:
    crash = action("inject_container_crash", label_selector="io.kompose.service=web", signal="INT")
    waited = action("await_recovery", timeout_seconds=60, hold_seconds=1)
    tested = experiment(composed, "web", PORT + 1, crash, waited)
    output = tested.run.finish()
    assert tested.run.exit_code == 0, output
    (proof,) = tested.run.history().of(FaultProved)
    assert proof.proved, proof.evidence
    listed = cluster.client.api.get(PODS.path(composed))["items"]
    statuses = [one for pod in listed for one in pod["status"]["containerStatuses"]]
    restarts = {
        name: sum(int(one["restartCount"]) for one in statuses if one["name"] == name) for name in ("main", "proxy")
    }
    assert restarts == {"main": 1, "proxy": 0}
    result = tested.judged()
    assert "crashing 1 of 2 web pods" in result.sentence
    assert next(one.value for one in result.criteria if one.name == "recovery_seconds") is not None


def test_a_pod_with_a_sidecar_is_asked_whether_it_can_connect(cluster: Cluster, composed: str, experiment: Any) -> None:
    removal = [action("inject_service_removal", service="entry"), action("heal_faults")]
    tested = experiment(composed, "web", PORT + 1, *removal)
    output = tested.run.finish()
    assert tested.run.exit_code == 0, output
    (proof,) = tested.run.history().of(FaultProved)
    assert "which could before, cannot connect" in proof.evidence


def test_a_rollout_that_waits_for_somebody_is_not_waited_for(cluster: Cluster) -> None:
    cluster.namespace("waiting")
    for name, strategy, replicas in (
        ("by-hand", {"type": "OnDelete"}, 1),
        ("in-part", {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}}, 2),
    ):
        labels = {"name": name}
        spec = workload(labels, template(labels, container("main", "sleep 600")), replicas)
        spec |= {"serviceName": name, "updateStrategy": strategy}
        cluster.create(STATEFUL_SETS, "waiting", name, spec=spec)
    labels = {"name": "paused"}
    spec = workload(labels, template(labels, container("main", "sleep 600")), 1)
    cluster.create(DEPLOYMENTS, "waiting", "paused", spec=spec)
    cluster.client.wait_ready("waiting", PATIENCE_SECONDS)

    cluster.patch(DEPLOYMENTS, "waiting", "paused", {"paused": True})
    newer = {"template": {"metadata": {"annotations": {"revision": "2"}}}}
    cluster.patch(DEPLOYMENTS, "waiting", "paused", newer)
    for name in ("by-hand", "in-part"):
        cluster.patch(STATEFUL_SETS, "waiting", name, newer)
    found = cluster.client.wait_ready("waiting", PATIENCE_SECONDS)
    assert {one.name: str(one) for one in found} == {
        "paused": "paused 1/1",
        "by-hand": "by-hand 1/1",
        "in-part": "in-part 2/2",
    }
    assert {one.name: one.updated for one in found} == {"paused": 0, "by-hand": 0, "in-part": 1}
    pods = cluster.client.api.get(PODS.path("waiting"))["items"]
    revised = {pod["metadata"]["name"] for pod in pods if "revision" in (pod["metadata"].get("annotations") or {})}
    assert revised == {"in-part-1"}


@pytest.fixture(scope="module")
def neighbours(cluster: Cluster) -> str:
    """Return a node on which pods of a system, of kube-system and of a DaemonSet stand."""
    cluster.namespace("drained")
    labels = {"name": "web"}
    cluster.create(DEPLOYMENTS, "drained", "web", spec=workload(labels, template(labels, container("main", SERVE)), 1))
    entry(cluster, "drained", labels, PORT + 2)
    cluster.client.wait_ready("drained", PATIENCE_SECONDS)
    (pod,) = cluster.client.api.get(PODS.path("drained"))["items"]
    node = str(pod["spec"]["nodeName"])
    for resource, name in ((DEPLOYMENTS, "dns"), (DAEMON_SETS, "agent")):
        labels = {"name": name}
        pods = template(labels, container("main", "exec sleep 600"))
        pods["spec"]["nodeSelector"] = {"kubernetes.io/hostname": node}
        spec = workload(labels, pods, 1)
        if resource is DAEMON_SETS:
            del spec["replicas"]
        cluster.create(resource, "kube-system", name, spec=spec)
    cluster.client.wait_ready("kube-system", PATIENCE_SECONDS)
    return node


@pytest.mark.parametrize(
    ("consents", "refusal"),
    [
        (([], "allowed"), r"namespace 'kube-system' is not one of \S+, drained\S* .*\(Pod dns-\S+\)"),
        ((["kube-system"], None), r"namespace 'kube-system' does not carry the label \S+ \(Pod dns-\S+\)"),
        ((["kube-system"], "allowed"), ""),
    ],
)
def test_a_drain_evicts_pods_of_another_namespace_only_by_both_consents_and_leaves_daemon_sets(
    cluster: Cluster, neighbours: str, experiment: Any, consents: tuple[list[str], str | None], refusal: str
) -> None:
    named, label = consents
    labels = {"metadata": {"labels": {"flametest.dev/faults": label}}}
    cluster.client.api.send("PATCH", NAMESPACES.path(name="kube-system"), labels, content_type=MERGE)
    before = {pod["metadata"]["name"] for pod in cluster.client.api.get(PODS.path("kube-system"))["items"]}
    drain = action("inject_node_drain", node=neighbours)
    # Pods of the other tests may stand on that node as well; their namespaces consent.
    others = ["shops", "composed", "waiting"]
    radius = {"nodes_max": 1, "targets_max": 50, "pods_share_max": 1, "namespaces": [*named, *others]}
    tested = experiment("drained", "web", PORT + 2, drain, action("heal_faults"), **radius)
    output = " ".join(tested.run.finish().split())
    after = {pod["metadata"]["name"] for pod in cluster.client.api.get(PODS.path("kube-system"))["items"]}
    if refusal:
        assert tested.run.exit_code != 0
        assert re.search(refusal, output), output
        assert before == after
        return
    assert tested.run.exit_code == 0, output
    (proof,) = tested.run.history().of(FaultProved)
    assert proof.proved, proof.evidence
    assert not [name for name in before & after if name.startswith("dns-")]
    assert {name for name in before if name.startswith("agent-")} == before & after
