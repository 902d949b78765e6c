"""The files by which the programs are configured: kubeconfigs, tokens, certificates, containerd, kubelet, CNI."""

import json
import subprocess
from pathlib import Path

from scripts.cluster.plan import ADMIN_TOKEN, CONTEXT, ClusterError, Machine, Plan

__all__ = ["containerd_file", "write_control_files", "write_node_files"]

_DNS_ADDRESS = "10.96.0.10"


def write_control_files(plan: Plan) -> None:
    """Write what the control plane needs into its folder: keys, tokens, and the administrator's kubeconfig."""
    folder = plan.folder(plan.control)
    _openssl("genrsa", "-out", str(folder / "accounts.key"), "2048")
    _make_front_proxy_certificates(folder)
    tokens = [f'{ADMIN_TOKEN},admin,admin,"system:masters"']
    tokens += [f'{node.token},system:node:{node.name},{node.name},"system:nodes"' for node in plan.nodes]
    _write_private(folder / "tokens.csv", "\n".join(tokens) + "\n")
    _write_private(plan.kubeconfig, _kubeconfig(plan, "admin", ADMIN_TOKEN))


def write_node_files(plan: Plan, node: Machine) -> None:
    """Write what a worker's containerd, kubelet and network need into its folder."""
    folder = plan.folder(node)
    (folder / "cni").mkdir()
    (folder / "cni" / "10-bridge.conflist").write_text(json.dumps(_network(node), indent=2))
    (folder / "containerd.toml").write_text(containerd_file(plan, node, folder / "containerd"))
    (folder / "kubelet.yaml").write_text(json.dumps(_kubelet(node, folder), indent=2))  # JSON is YAML
    (folder / "resolv.conf").write_text("")
    _write_private(folder / "kubeconfig", _kubeconfig(plan, node.name, node.token))


def containerd_file(plan: Plan, machine: Machine, root: Path) -> str:
    """The configuration of a machine's containerd, which keeps images and containers in ``root``.

    Scores for the kernel's OOM killer are limited to those that this user may give.
    """
    folder = plan.folder(machine)
    return f"""version = 3
root = "{root}"
state = "/run/containerd"
[grpc]
  address = "{folder}/containerd.sock"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "registry.k8s.io/pause:3.10"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["/usr/lib/cni", "/opt/cni/bin"]
    conf_dir = "{folder}/cni"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      SystemdCgroup = false
      BinaryName = "{plan.program("runc")}"
"""


def _make_front_proxy_certificates(folder: Path) -> None:
    """By which an API server that is plugged in, such as that of metrics, knows who asks through ours."""
    authority, key = str(folder / "front-proxy-ca.crt"), str(folder / "front-proxy-ca.key")
    _openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=front-proxy-ca", "-out", authority,
             "-keyout", key, "-days", "30")  # fmt: skip
    request, own_key = str(folder / "front-proxy.csr"), str(folder / "front-proxy.key")
    _openssl("req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=front-proxy", "-out", request,
             "-keyout", own_key)  # fmt: skip
    _openssl("x509", "-req", "-in", request, "-CA", authority, "-CAkey", key, "-CAcreateserial", "-days", "30",
             "-out", str(folder / "front-proxy.crt"))  # fmt: skip


def _kubeconfig(plan: Plan, user: str, token: str) -> str:
    certificate = plan.folder(plan.control) / "certificates" / "apiserver.crt"
    cluster = {"server": plan.server, "certificate-authority": str(certificate)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": CONTEXT, "cluster": cluster}],
        "users": [{"name": user, "user": {"token": token}}],
        "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": user}}],
        "current-context": CONTEXT,
    }
    return json.dumps(content, indent=2) + "\n"


def _network(node: Machine) -> dict[str, object]:
    """Pods of a node on a bridge of their own; what leaves the cluster is masqueraded by the node, not here."""
    addresses = {"type": "host-local", "ranges": [[{"subnet": node.pods}]], "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": "pods", "isGateway": True, "hairpinMode": True, "ipam": addresses}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, ports]}


def _kubelet(node: Machine, folder: Path) -> dict[str, object]:
    """The kubelet's configuration: as on any node, but for what a machine that is shared cannot give it."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "failSwapOn": False,
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": False,
        "cgroupRoot": f"/flametest-cluster/{node.name}",
        "enforceNodeAllocatable": [],
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "address": node.address,
        "containerRuntimeEndpoint": f"unix://{folder}/containerd.sock",
        "clusterDNS": [_DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": str(folder / "resolv.conf"),
        "localStorageCapacityIsolation": False,
    }


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _openssl(*arguments: str) -> None:
    done = subprocess.run(["openssl", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(f"openssl {arguments[0]}: {done.stderr.strip()}")
