"""Every action and probe of chaostoolkit-kubernetes against the sandbox, each for what it does or finds there."""

import contextlib
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest
from chaoslib.exceptions import ActivityFailed
from kubernetes import client, config

from flametest.sandbox.launch import SandboxOptions, start
from tests.addresses import own_address
from tests.chaos.activities import Activities, exercised_by, exercises, offered
from tests.patience import PATIENCE_SECONDS

pytestmark = [
    pytest.mark.sandbox,
    # The package makes a client for each call and closes none of them, and dateparser uses what Python will drop.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

SET_ASIDE = {
    "chaosmesh.": "asks for the custom resources of Chaos Mesh, whose controllers the sandbox does not have",
    "crd.actions.apply_from_": "sends its text as one JSON string, which no API server takes",
    "crd.actions.replace_": "gives the client library an argument that it does not know",
}

# Ends at once when it is asked to, and has said something before.
SCRIPT = "trap 'exit 0' TERM; echo hello from $HOSTNAME; sleep 600 & wait"
SERVER = "import socketserver as s; s.ThreadingTCPServer(('', 8000), s.BaseRequestHandler).serve_forever()"


def template(name: str, *command: str, image: str = "busybox:1.36", **spec: Any) -> dict[str, Any]:
    """Return a pod template; activities that are given a name alone look for a label ``name``."""
    container = {"name": "main", "image": image, "command": [*command] or ["sh", "-c", SCRIPT]}
    # A signal that comes before the shell has set its trap is lost on process 1, and the whole grace period passes.
    return {
        "metadata": {"labels": {"name": name}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 2, **spec},
    }


def workload(kind: str, name: str, replicas: int | None = None, **pod: Any) -> dict[str, Any]:
    spec = {"selector": {"matchLabels": {"name": name}}, "template": pod.get("template") or template(name)}
    if replicas is not None:
        spec["replicas"] = replicas
    if kind == "StatefulSet":
        spec["serviceName"] = name
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "labels": {"name": name}}, "spec": spec}


def stuck(kind: str, name: str) -> dict[str, Any]:
    """Return a workload whose pods never become ready, since their image does not exist."""
    return workload(kind, name, None if kind == "DaemonSet" else 1, template=template(name, image="no/such:1"))


def service(name: str) -> dict[str, Any]:
    metadata = {"name": name, "labels": {"name": name}}
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata,
        "spec": {"selector": {"name": name}, "ports": [{"port": 80}]},
    }


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[client.ApiClient]:
    """Return a client of a sandbox that the environment names too, as for `chaos run`."""
    options = SandboxOptions(
        name="chaosk8s", home=tmp_path_factory.mktemp("home"), node_port_address=own_address("chaosk8s")
    )
    sandbox = start(options)
    with pytest.MonkeyPatch.context() as environment:
        for variable in ("HTTP_PROXY", "NO_PROXY"):
            environment.delenv(variable, raising=False)
        environment.setenv("KUBECONFIG", str(sandbox.kubeconfig))
        environment.setenv("KUBERNETES_CONTEXT", sandbox.context)
        # Where the client library looks, which it decides when it is imported.
        environment.setattr(config.kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(sandbox.kubeconfig))
        made = config.new_client_from_config(str(sandbox.kubeconfig), sandbox.context)
        yield made
        made.close()
        # What the package has set for every later client of this process.
        client.Configuration.set_default(None)
    sandbox.stop()


@pytest.fixture
def core(api: client.ApiClient) -> client.CoreV1Api:
    return client.CoreV1Api(api)


@pytest.fixture
def run(request: pytest.FixtureRequest, core: client.CoreV1Api, tmp_path: Any) -> Iterator[Activities]:
    """Return the activities in a namespace of the test's own; afterwards it has run those that it names."""
    name = re.sub(r"\W|_", "-", request.node.name.removeprefix("test_"))[:60].strip("-")
    core.create_namespace({"metadata": {"name": name}})
    yield Activities(name, tmp_path)
    core.delete_namespace(name)


def pods(core: client.CoreV1Api, run: Activities, **labels: str) -> dict[str, Any]:
    """Return the pods with these labels that nobody has asked to go, by name."""
    selector = ",".join(f"{key}={value}" for key, value in labels.items())
    found = core.list_namespaced_pod(run.namespace, label_selector=selector).items
    return {pod.metadata.name: pod for pod in found if not pod.metadata.deletion_timestamp}


def create_pods(core: client.CoreV1Api, run: Activities, *names: str, **options: Any) -> None:
    """Create lone pods and wait until they are ready."""
    for name in names:
        pod = template("lone", **options)
        pod["metadata"]["name"] = name
        core.create_namespaced_pod(run.namespace, pod)

    def ready() -> bool:
        conditions = [pod.status.conditions or [] for pod in pods(core, run, name="lone").values()]
        return all(any(one.type == "Ready" and one.status == "True" for one in pod) for pod in conditions)

    wait(ready)


def wait(met: Any) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not met():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.05)


def connects(run: Activities, pod: str, address: str) -> bool:
    (answer,) = run(
        "pod.actions.exec_in_pods",
        cmd=["timeout", "1", "bash", "-c", f"exec 3<>/dev/tcp/{address}/8000"],
        name_pattern=f"^{pod}$",
        container_name="main",
    )
    return int(answer["exit_code"]) == 0


def test_every_activity_is_exercised_or_set_aside_with_a_reason() -> None:
    exercised = exercised_by(globals())
    aside = {name for name in offered() if name.startswith(tuple(SET_ASIDE))}
    assert offered() == exercised | aside
    assert not exercised & aside


@exercises(
    "deployment.actions.create_deployment",
    "deployment.actions.delete_deployment",
    "deployment.actions.rollout_deployment",
    "deployment.actions.scale_deployment",
    "deployment.probes.deployment_available_and_healthy",
    "deployment.probes.deployment_fully_available",
    "deployment.probes.deployment_not_fully_available",
    "deployment.probes.deployment_partially_available",
)
def test_deployments(run: Activities, core: client.CoreV1Api) -> None:
    run("deployment.actions.create_deployment", spec_path=run.file(workload("Deployment", "web", 2)))
    assert run("deployment.probes.deployment_fully_available", name="web")
    assert run("deployment.probes.deployment_fully_available", name="web", label_selector="name in ({name})")
    assert run("deployment.probes.deployment_available_and_healthy", name="web")
    assert run("deployment.probes.deployment_partially_available", name="web")

    run("deployment.actions.scale_deployment", name="web", replicas=3)
    assert run("deployment.probes.deployment_fully_available", name="web")
    before = pods(core, run, name="web")
    run("deployment.actions.rollout_deployment", name="web")
    wait(lambda: len(found := pods(core, run, name="web")) == 3 and not found.keys() & before.keys())
    annotations = [pod.metadata.annotations or {} for pod in pods(core, run, name="web").values()]
    assert all("kubectl.kubernetes.io/restartedAt" in found for found in annotations)

    run("deployment.actions.create_deployment", spec_path=run.file(stuck("Deployment", "stuck")))
    assert run("deployment.probes.deployment_not_fully_available", name="stuck")
    for judge in ("deployment_available_and_healthy", "deployment_fully_available"):
        seconds = {"timeout": 1} if judge == "deployment_fully_available" else {}
        with pytest.raises(ActivityFailed):
            run(f"deployment.probes.{judge}", name="stuck", **seconds)

    run("deployment.actions.delete_deployment", name="web")
    run("deployment.actions.delete_deployment", label_selector="name=stuck")
    wait(lambda: not pods(core, run))


@exercises(
    "actions.kill_microservice",
    "actions.remove_service_endpoint",
    "actions.scale_microservice",
    "actions.start_microservice",
    "probes.all_microservices_healthy",
    "probes.deployment_is_fully_available",
    "probes.deployment_is_not_fully_available",
    "probes.microservice_available_and_healthy",
    "probes.microservice_is_not_available",
    "probes.read_microservices_logs",
    "probes.secret_exists",
    "probes.service_endpoint_is_initialized",
    "secret.actions.create_secret",
    "service.actions.create_service_endpoint",
)
def test_what_older_experiments_call_microservices(run: Activities, core: client.CoreV1Api) -> None:
    run("actions.start_microservice", spec_path=run.file(workload("Deployment", "web", 1)))
    run("actions.scale_microservice", name="web", replicas=2)
    assert run("probes.deployment_is_fully_available", name="web")
    run("probes.microservice_available_and_healthy", name="web")
    assert run("probes.all_microservices_healthy")
    assert all("hello from" in log for log in run("probes.read_microservices_logs", name="web").values())
    with pytest.raises(ActivityFailed, match="actually running"):
        run("probes.microservice_is_not_available", name="web")

    run("service.actions.create_service_endpoint", spec_path=run.file(service("web")))
    # The selector that the package has by default is none that Kubernetes would read.
    assert run("probes.service_endpoint_is_initialized", name="web", label_selector="name=web")
    run("actions.remove_service_endpoint", name="web")
    with pytest.raises(ActivityFailed, match="not initialized"):
        run("probes.service_endpoint_is_initialized", name="web", label_selector="name=web")

    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "stringData": {"a": "b"}}
    run("secret.actions.create_secret", spec_path=run.file(secret))
    assert run("probes.secret_exists", name="key")

    run("actions.start_microservice", spec_path=run.file(stuck("Deployment", "stuck")))
    assert run("probes.deployment_is_not_fully_available", name="stuck")
    with pytest.raises(ActivityFailed, match="unhealthy"):
        run("probes.all_microservices_healthy")
    assert run("probes.microservice_is_not_available", name="stuck")
    try:
        run("actions.kill_microservice", name="web", label_selector="name in (web)")
    except ActivityFailed as error:
        if 'pods \\"web-' not in str(error) or "NotFound" not in str(error):
            raise  # but for a pod that has ended since the package listed it, with its Deployment
    wait(lambda: not pods(core, run, name="web"))


@exercises(
    "statefulset.actions.create_statefulset",
    "statefulset.actions.remove_statefulset",
    "statefulset.actions.scale_statefulset",
    "statefulset.probes.statefulset_fully_available",
    "statefulset.probes.statefulset_not_fully_available",
)
def test_stateful_sets(run: Activities, core: client.CoreV1Api) -> None:
    run("statefulset.actions.create_statefulset", spec_path=run.file(workload("StatefulSet", "store", 1)))
    assert run("statefulset.probes.statefulset_fully_available", name="store")
    run("statefulset.actions.scale_statefulset", name="store", replicas=2)
    assert run("statefulset.probes.statefulset_fully_available", name="store", label_selector="name in ({name})")
    assert set(pods(core, run, name="store")) == {"store-0", "store-1"}
    run("statefulset.actions.create_statefulset", spec_path=run.file(stuck("StatefulSet", "stuck")))
    assert run("statefulset.probes.statefulset_not_fully_available", name="stuck")
    run("statefulset.actions.remove_statefulset", name="store")
    run("statefulset.actions.remove_statefulset", label_selector="name=stuck")
    wait(lambda: not pods(core, run))


@exercises(
    "daemonset.actions.create_daemon_set",
    "daemonset.actions.delete_daemon_set",
    "daemonset.actions.update_daemon_set",
    "daemonset.probes.daemon_set_available_and_healthy",
    "daemonset.probes.daemon_set_fully_available",
    "daemonset.probes.daemon_set_not_fully_available",
    "daemonset.probes.daemon_set_partially_available",
)
def test_daemon_sets(run: Activities, core: client.CoreV1Api) -> None:
    run("daemonset.actions.create_daemon_set", spec_path=run.file(workload("DaemonSet", "each")))
    run.until("daemonset.probes.daemon_set_partially_available", name="each")
    assert run("daemonset.probes.daemon_set_fully_available", name="each")
    assert run("daemonset.probes.daemon_set_available_and_healthy", name="each")
    assert {pod.spec.node_name for pod in pods(core, run, name="each").values()} == {
        "sandbox-1",
        "sandbox-2",
        "sandbox-3",
    }
    container = {"name": "main", "image": "no/such:1"}
    run(
        "daemonset.actions.update_daemon_set",
        name="each",
        spec={"spec": {"template": {"spec": {"containers": [container]}}}},
    )
    assert run("daemonset.probes.daemon_set_not_fully_available", name="each")
    run("daemonset.actions.delete_daemon_set", name="each")
    wait(lambda: not pods(core, run))


@exercises("replicaset.actions.delete_replica_set")
def test_a_replica_set_of_a_deployment_comes_back(run: Activities, api: client.ApiClient) -> None:
    apps = client.AppsV1Api(api)
    apps.create_namespaced_deployment(run.namespace, workload("Deployment", "web", 1))

    def uids() -> set[str]:
        return {one.metadata.uid for one in apps.list_namespaced_replica_set(run.namespace).items}

    wait(uids)
    before = uids()
    run("replicaset.actions.delete_replica_set", label_selector="name=web")
    wait(lambda: len(uids()) == 1 and not uids() & before)


@exercises(
    "pod.actions.terminate_pods",
    "pod.probes.count_min_pods",
    "pod.probes.count_pods",
    "pod.probes.pod_is_not_available",
    "pod.probes.pods_in_conditions",
    "pod.probes.pods_in_phase",
    "pod.probes.pods_not_in_phase",
)
def test_pods_are_counted_and_terminated(run: Activities, core: client.CoreV1Api) -> None:
    lone = "name=lone"
    create_pods(core, run, "a", "b", "c", "d")
    assert run("pod.probes.pods_in_phase", label_selector=lone)
    assert run("pod.probes.pods_not_in_phase", label_selector=lone, phase="Failed")
    ready = [{"type": "Ready", "status": "True"}, {"type": "PodScheduled", "status": "True"}]
    assert run("pod.probes.pods_in_conditions", label_selector=lone, conditions=ready)
    assert run("pod.probes.count_pods", label_selector=lone, phase="Running") == 4
    assert run("pod.probes.count_min_pods", label_selector=lone, min_count=4)
    with pytest.raises(ActivityFailed, match="actually running"):
        run("pod.probes.pod_is_not_available", name="lone")

    terminate = "pod.actions.terminate_pods"
    assert run(terminate, label_selector=lone, name_pattern="^[cd]$", qty=1, grace_period=0) == ["c"]
    assert run(terminate, label_selector=lone, qty=1, order="oldest", grace_period=0) == ["a"]
    assert run("pod.probes.count_pods", label_selector=lone) == 2
    assert len(run(terminate, label_selector=lone, mode="percentage", qty=50, rand=True)) == 1
    run.until("pod.probes.count_pods", lambda count: count == 1, label_selector=lone)
    assert len(run(terminate, all=True)) == 1
    run.until("pod.probes.count_pods", lambda count: count == 0, label_selector=lone)
    assert run("pod.probes.pod_is_not_available", name="lone")
    with pytest.raises(ActivityFailed, match="no pods"):
        run("pod.probes.pods_in_phase", label_selector=lone)


@exercises("pod.actions.exec_in_pods", "pod.probes.read_pod_logs", "pod.probes.should_be_found_in_logs")
def test_logs_and_commands(run: Activities, core: client.CoreV1Api) -> None:
    create_pods(core, run, "a", "b")
    for arguments in ({"name": "lone"}, {"label_selector": "name=lone", "last": "10 minutes"}):
        logs = run("pod.probes.read_pod_logs", container_name="main", **arguments)
        assert set(logs) == {"a", "b"}
        # Each line with its time, which the package asks for.
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\S+Z hello from a\n", logs["a"])
    assert run("pod.probes.should_be_found_in_logs", pattern="hello from [ab]", value=logs)
    assert not run("pod.probes.should_be_found_in_logs", pattern="hello from a", value=logs)

    execute = "pod.actions.exec_in_pods"
    command = ["sh", "-c", "echo $HOSTNAME; exit 3"]
    answers = run(execute, cmd=command, label_selector="name=lone", all=True, container_name="main")
    assert [(one["pod_name"], one["stdout"], one["exit_code"]) for one in answers] == [
        ("a", "a\n", "3"),
        ("b", "b\n", "3"),
    ]
    # The container's end may well take the command along.
    assert run(execute, cmd="kill -TERM 1", name_pattern="^a$", container_name="main")

    def restarted() -> bool:
        return bool(pods(core, run)["a"].status.container_statuses[0].restart_count == 1)

    wait(restarted)
    previous = run("pod.probes.read_pod_logs", label_selector="name=lone,which=a", from_previous=True)
    assert previous == {}
    core.patch_namespaced_pod("a", run.namespace, {"metadata": {"labels": {"which": "a"}}})
    previous = run("pod.probes.read_pod_logs", label_selector="name=lone,which=a", from_previous=True)
    assert previous["a"].endswith("hello from a\n")


@exercises(
    "networking.actions.allow_dns_access",
    "networking.actions.create_network_policy",
    "networking.actions.deny_all_egress",
    "networking.actions.deny_all_ingress",
    "networking.actions.remove_allow_dns_access",
    "networking.actions.remove_deny_all_egress",
    "networking.actions.remove_deny_all_ingress",
    "networking.actions.remove_network_policy",
    "pod.actions.exec_in_pods",
)
def test_network_policies_take_effect_and_end(run: Activities, core: client.CoreV1Api) -> None:
    pod = template("lone", "python3", "-c", SERVER, image="python:3.11", terminationGracePeriodSeconds=0)
    for name in ("client", "server"):
        pod["metadata"]["name"] = name
        core.create_namespaced_pod(run.namespace, pod)
    wait(lambda: all(one.status.pod_ip for one in pods(core, run).values()))
    address = pods(core, run)["server"].status.pod_ip
    wait(lambda: connects(run, "client", address))

    run("networking.actions.deny_all_ingress", label_selectors={"name": "lone"})
    wait(lambda: not connects(run, "client", address))
    run("networking.actions.remove_deny_all_ingress")
    wait(lambda: connects(run, "client", address))

    def finds_names() -> bool:
        command = ["timeout", "1", "getent", "hosts", "kubernetes.default.svc.cluster.local"]
        (answer,) = run("pod.actions.exec_in_pods", cmd=command, name_pattern="^client$", container_name="main")
        return int(answer["exit_code"]) == 0

    run("networking.actions.deny_all_egress")
    wait(lambda: not finds_names())
    assert not connects(run, "client", address)
    run("networking.actions.allow_dns_access")
    wait(finds_names)
    assert not connects(run, "client", address)
    run("networking.actions.remove_allow_dns_access")
    run("networking.actions.remove_deny_all_egress")
    wait(lambda: connects(run, "client", address))

    rule = {"podSelector": {"matchLabels": {"name": "lone"}}, "policyTypes": ["Ingress"]}
    policy = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "closed"},
        "spec": rule,
    }
    run("networking.actions.create_network_policy", spec_path=run.file(policy))
    wait(lambda: not connects(run, "client", address))
    run("networking.actions.remove_network_policy", name="closed")
    wait(lambda: connects(run, "client", address))


@exercises(
    "networking.actions.create_ingress",
    "networking.actions.delete_ingress",
    "networking.actions.update_ingress",
    "networking.probes.ingress_exists",
)
def test_ingresses_are_kept_though_nobody_serves_them(run: Activities, api: client.ApiClient) -> None:
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "door"},
        "spec": {"defaultBackend": backend},
    }
    run("networking.actions.create_ingress", spec_path=run.file(ingress))
    assert run("networking.probes.ingress_exists", name="door")
    run("networking.actions.update_ingress", name="door", spec={"spec": {"ingressClassName": "other"}})
    found = client.NetworkingV1Api(api).read_namespaced_ingress("door", run.namespace)
    assert found.spec.ingress_class_name == "other"
    assert found.spec.default_backend.service.name == "web"
    run("networking.actions.delete_ingress", name="door")
    assert not run("networking.probes.ingress_exists", name="door")


@exercises(
    "secret.actions.create_secret",
    "secret.actions.delete_secret",
    "secret.probes.secret_exists",
    "service.actions.create_service_endpoint",
    "service.actions.delete_service",
    "service.probes.service_is_initialized",
)
def test_secrets_and_services(run: Activities) -> None:
    metadata = {"name": "key", "labels": {"use": "test"}}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"a": "b"}}
    run("secret.actions.create_secret", spec_path=run.file(secret))
    assert run("secret.probes.secret_exists", name="key", label_selector="use=test")
    run("secret.actions.delete_secret", name="key")
    assert not run("secret.probes.secret_exists", name="key")

    run("service.actions.create_service_endpoint", spec_path=run.file(service("web")))
    assert run("service.probes.service_is_initialized", name="web", label_selector="name=web")
    run("service.actions.delete_service", name="web")
    assert not run("service.probes.service_is_initialized", name="web", raise_if_service_not_initialized=False)


@exercises(
    "namespace.actions.create_namespace", "namespace.actions.delete_namespace", "namespace.probes.namespace_exists"
)
def test_a_namespace_goes_with_what_is_in_it(run: Activities, core: client.CoreV1Api) -> None:
    run("namespace.actions.create_namespace", name="visitor")
    assert run("namespace.probes.namespace_exists", name="visitor")
    core.create_namespaced_pod("visitor", {"metadata": {"name": "a"}, **template("a")} | {"metadata": {"name": "a"}})
    run("namespace.actions.delete_namespace", name="visitor")
    run.until("namespace.probes.namespace_exists", lambda there: not there, name="visitor")
    assert core.list_namespaced_pod("visitor").items == []


@exercises("event.probes.get_events")
def test_events_are_found_by_their_fields(run: Activities, core: client.CoreV1Api) -> None:
    create_pods(core, run, "a")
    selector = f"reason=Started,metadata.namespace={run.namespace}"
    (event,) = run("event.probes.get_events", field_selector=selector)["items"]
    assert event["regarding"]["name"] == "a"
    assert event["note"]
    assert len(run("event.probes.get_events", limit=1)["items"]) == 1


@exercises(
    "node.actions.cordon_node",
    "node.actions.drain_nodes",
    "node.actions.uncordon_node",
    "node.probes.all_nodes_must_be_ready_to_schedule",
    "node.probes.get_all_node_status_conditions",
    "node.probes.get_nodes",
    "node.probes.nodes_must_be_healthy",
    "node.probes.verify_nodes_condition",
)
def test_nodes_are_cordoned_and_drained(run: Activities, core: client.CoreV1Api, api: client.ApiClient) -> None:
    assert [node["metadata"]["name"] for node in run("node.probes.get_nodes")["items"]] == [
        "sandbox-1",
        "sandbox-2",
        "sandbox-3",
    ]
    assert len(run("node.probes.get_nodes", label_selector="kubernetes.io/hostname=sandbox-2")["items"]) == 1
    assert run("node.probes.all_nodes_must_be_ready_to_schedule")
    assert run("node.probes.nodes_must_be_healthy")
    assert run("node.probes.verify_nodes_condition", condition_type="MemoryPressure", condition_value="False")
    assert {one["Ready"] for one in run("node.probes.get_all_node_status_conditions")} == {"True"}

    # Without grace, since the action looks but every ten seconds whether a pod has gone.
    pod = template("web", terminationGracePeriodSeconds=0)
    client.AppsV1Api(api).create_namespaced_deployment(run.namespace, workload("Deployment", "web", 3, template=pod))

    def places() -> list[str]:
        return sorted(pod.spec.node_name or "" for pod in pods(core, run).values())

    wait(lambda: places() == ["sandbox-1", "sandbox-2", "sandbox-3"])
    assert run("node.actions.cordon_node", name="sandbox-1") == ["sandbox-1"]
    assert core.read_node("sandbox-1").spec.unschedulable
    assert run("node.actions.uncordon_node", label_selector="kubernetes.io/hostname=sandbox-1") == ["sandbox-1"]
    assert not core.read_node("sandbox-1").spec.unschedulable
    try:
        arguments = {"pod_label_selector": "name=web", "pod_namespace": run.namespace}
        assert run("node.actions.drain_nodes", name="sandbox-2", **arguments) == ["sandbox-2"]
        wait(lambda: len(places()) == 3 and set(places()) == {"sandbox-1", "sandbox-3"})
    finally:
        run("node.actions.uncordon_node", name="sandbox-2")


@exercises("node.actions.create_node", "node.actions.delete_nodes")
def test_nodes_are_made_and_deleted(run: Activities, core: client.CoreV1Api) -> None:
    meta = {"name": "spare", "labels": {"use": "test"}}
    made = run("node.actions.create_node", meta=meta, spec={"unschedulable": True})
    assert made.metadata.name == "spare"
    # With a newer client library the package stumbles over the answer, when the deletion is done.
    with contextlib.suppress(ActivityFailed):
        assert run("node.actions.delete_nodes", label_selector="use=test") == ["spare"]
    assert [node.metadata.name for node in core.list_node(label_selector="use=test").items] == []


def definition(plural: str, kind: str, scope: str) -> dict[str, Any]:
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
    names = {"plural": plural, "singular": kind.lower(), "kind": kind, "listKind": f"{kind}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {"group": "example.com", "scope": scope, "names": names, "versions": [version]},
    }


@exercises(
    *(
        f"crd.actions.{verb}_{scope}custom_object"
        for verb in ("create", "delete", "patch")
        for scope in ("", "cluster_")
    ),
    *(f"crd.probes.{verb}" for verb in ("get_custom_object", "list_custom_objects")),
    *(f"crd.probes.{verb}" for verb in ("get_cluster_custom_object", "list_cluster_custom_objects")),
)
def test_custom_resources(run: Activities, api: client.ApiClient) -> None:
    definitions = client.ApiextensionsV1Api(api)
    for scope, plural, kind in (("", "widgets", "Widget"), ("cluster_", "gadgets", "Gadget")):
        definitions.create_custom_resource_definition(definition(plural, kind, "Cluster" if scope else "Namespaced"))
        place = {"group": "example.com", "version": "v1", "plural": plural}
        obj = {"apiVersion": "example.com/v1", "kind": kind, "metadata": {"name": "one"}, "spec": {"size": 1}}
        run(f"crd.actions.create_{scope}custom_object", **place, resource=obj)
        assert run(f"crd.probes.get_{scope}custom_object", **place, name="one")["spec"] == {"size": 1}
        patch = [{"op": "replace", "path": "/spec/size", "value": 2}]
        run(f"crd.actions.patch_{scope}custom_object", **place, name="one", resource=patch)
        found = run(f"crd.probes.list_{scope}custom_objects", **place)["items"]
        assert [(one["metadata"]["name"], one["spec"]["size"]) for one in found] == [("one", 2)]
        run(f"crd.actions.delete_{scope}custom_object", **place, name="one")
        with pytest.raises(ActivityFailed):
            run(f"crd.probes.get_{scope}custom_object", **place, name="one")
        definitions.delete_custom_resource_definition(f"{plural}.example.com")
