"""The parts of Kubernetes as processes: the control plane's, and those of each worker, in the order of their start."""

import json
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

from scripts.cluster import files, network
from scripts.cluster.images import give_images, start_containerd
from scripts.cluster.machines import has_process, start, start_program, wait_for, weigh_pods
from scripts.cluster.plan import ADMIN_TOKEN, PODS, SERVICES, ClusterError, Machine, Plan

__all__ = ["apply", "kubectl", "start_control_plane", "start_worker", "wait_until_ready"]

_API_SECONDS = 120.0
_READY_SECONDS = 300
_PARTS_OF_WORKERS = ("kubelet", "kube-proxy", "kube-router")
_STORE = "http://127.0.0.1:2379"


def start_control_plane(plan: Plan) -> None:
    """Start store, API server, controllers and scheduler in the control plane's machine; raises ClusterError."""
    control, folder = plan.control, plan.folder(plan.control)
    start(plan, control)
    network.make_bridge(plan)
    network.link_to_host(plan)
    files.write_control_files(plan)
    start_program(plan, control, "etcd", f"--data-dir={folder / 'store'}")
    start_program(plan, control, "kube-apiserver", *_api_server_options(plan, folder))
    wait_for(lambda: _answers(plan), f"the API server; see {folder / 'kube-apiserver.log'}", _API_SECONDS)
    own = f"--kubeconfig={plan.kubeconfig}"
    accounts = f"--service-account-private-key-file={folder / 'accounts.key'}"
    authority = f"--root-ca-file={folder / 'certificates' / 'apiserver.crt'}"
    start_program(plan, control, "kube-controller-manager", own, "--leader-elect=false", accounts, authority)
    start_program(plan, control, "kube-scheduler", own, "--leader-elect=false")


def start_worker(plan: Plan, node: Machine) -> None:
    """Start a worker: its machine, containerd with the images, the kubelet, the proxy of Services, and policies."""
    folder = plan.folder(node)
    start(plan, node)
    network.plug_in(plan, node)
    files.write_node_files(plan, node)
    apply(plan, _node(node))
    give_images(plan, node)
    start_containerd(plan, node)
    own = f"--kubeconfig={folder / 'kubeconfig'}"
    named = f"--hostname-override={node.name}"
    configured = f"--config={folder / 'kubelet.yaml'}"
    start_program(plan, node, "kubelet", own, named, f"--node-ip={node.address}", configured)
    start_program(plan, node, "kube-proxy", *_proxy_options(plan), named)
    # kube-router ends at once on a node whose address the kubelet has not told yet.
    kubectl(plan, "wait", "node", node.name, "--for=condition=Ready", f"--timeout={_READY_SECONDS}s")
    start_program(plan, node, "kube-router", *_policy_options(plan), named)


def _proxy_options(plan: Plan) -> list[str]:
    """Those of kube-proxy; the kernel's table of connections is the whole machine's, so its settings are left alone."""
    return [
        f"--kubeconfig={plan.kubeconfig}",
        "--proxy-mode=iptables",
        f"--cluster-cidr={PODS}",
        "--conntrack-max-per-core=0",
        "--conntrack-min=0",
        "--conntrack-tcp-timeout-established=0s",
        "--conntrack-tcp-timeout-close-wait=0s",
    ]


def _policy_options(plan: Plan) -> list[str]:
    """Those of kube-router, which enforces NetworkPolicies here and nothing else."""
    return [
        f"--kubeconfig={plan.kubeconfig}",
        "--run-firewall=true",
        "--run-router=false",
        "--run-service-proxy=false",
        "--run-loadbalancer=false",
        f"--service-cluster-ip-range={SERVICES}",
    ]


def apply(plan: Plan, manifests: str) -> None:
    """Apply manifests; raises ClusterError with what kubectl says."""
    kubectl(plan, "apply", "--filename=-", standard_input=manifests)


def wait_until_ready(plan: Plan) -> None:
    """Wait until the nodes and the cluster's own pods are Ready; raises ClusterError, also when a part has ended."""
    patience = f"--timeout={_READY_SECONDS}s"
    kubectl(plan, "wait", "node", "--all", "--for=condition=Ready", patience)
    weigh_pods()
    kubectl(plan, "--namespace=kube-system", "rollout", "status", "deployment", patience)
    for node in plan.nodes:
        for name in _PARTS_OF_WORKERS:
            if not has_process(plan, node, name):
                raise ClusterError(f"{node.name}: {name} has ended; see {plan.folder(node) / f'{name}.log'}")


def kubectl(plan: Plan, *arguments: str, standard_input: str = "") -> str:
    """What kubectl prints, asked as the administrator; raises ClusterError."""
    line = ["kubectl", f"--kubeconfig={plan.kubeconfig}", *arguments]
    done = subprocess.run(line, input=standard_input, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(f"kubectl {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


def _api_server_options(plan: Plan, folder: Path) -> list[str]:
    """The API server's options; it makes a certificate for its own address, which serves as its authority too."""
    issuer = "https://kubernetes.default.svc.cluster.local"
    front_proxy = folder / "front-proxy"
    return [
        f"--etcd-servers={_STORE}",
        "--secure-port=6443",
        f"--advertise-address={plan.control.address}",
        f"--bind-address={plan.control.address}",
        f"--cert-dir={folder / 'certificates'}",
        f"--service-cluster-ip-range={SERVICES}",
        f"--service-account-key-file={folder / 'accounts.key'}",
        f"--service-account-signing-key-file={folder / 'accounts.key'}",
        f"--service-account-issuer={issuer}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=Node,RBAC",
        "--allow-privileged=true",
        "--kubelet-preferred-address-types=InternalIP",
        "--enable-aggregator-routing=true",
        f"--requestheader-client-ca-file={front_proxy}-ca.crt",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={front_proxy}.crt",
        f"--proxy-client-key-file={front_proxy}.key",
    ]


def _answers(plan: Plan) -> bool:
    """Whether the API server says that it is ready, to whoever trusts the certificate that it has made."""
    certificate = plan.folder(plan.control) / "certificates" / "apiserver.crt"
    asked = urllib.request.Request(f"{plan.server}/readyz", headers={"Authorization": f"Bearer {ADMIN_TOKEN}"})  # noqa: S310
    try:
        trusted = ssl.create_default_context(cafile=certificate)
        trusted.verify_flags &= ~ssl.VERIFY_X509_STRICT
        directly = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusted)
        )
        with directly.open(asked, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _node(node: Machine) -> str:
    """The node as the kubelet will find it: with its range of pod addresses, which nobody else allots here."""
    metadata = {"name": node.name, "labels": {"kubernetes.io/hostname": node.name}}
    return json.dumps({"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": {"podCIDR": node.pods}})
