"""The network of the machines: a bridge on the control plane's, a link to each worker, and one to this machine.

Nothing of this machine's own network is changed but for one link and the routes to it, which end with the cluster.
"""

import subprocess
from pathlib import Path

from scripts.cluster.machines import inside, process_of
from scripts.cluster.plan import PODS, ClusterError, Machine, Plan

__all__ = ["link_to_host", "make_bridge", "plug_in", "unlink_from_host"]

HOST_LINK = "flame-cluster"
_BRIDGE = "machines"
_LAST = "4000000000"


def make_bridge(plan: Plan) -> None:
    """Make the bridge that all machines are plugged into; the control plane reaches pods through their workers."""
    control = plan.control
    inside(plan, control, "ip", "link", "add", _BRIDGE, "type", "bridge")
    inside(plan, control, "ip", "address", "add", f"{control.address}/24", "dev", _BRIDGE)
    inside(plan, control, "ip", "link", "set", _BRIDGE, "up")
    for node in plan.nodes:
        inside(plan, control, "ip", "route", "add", node.pods, "via", node.address)


def link_to_host(plan: Plan) -> None:
    """Lead a link from this machine to the bridge; raises ClusterError when another cluster has one."""
    control = str(process_of(plan, plan.control))
    # Should the link break, what is meant for the cluster must not take this machine's default route.
    _here("ip", "route", "add", *_elsewhere(plan))
    _own(plan).touch()
    _here("ip", "link", "add", HOST_LINK, "type", "veth", "peer", "name", "host", "netns", control)
    _here("ip", "address", "add", f"{plan.host_address}/24", "dev", HOST_LINK)
    _here("ip", "link", "set", HOST_LINK, "up")
    inside(plan, plan.control, "ip", "link", "set", "host", "master", _BRIDGE, "up")


def unlink_from_host(plan: Plan) -> None:
    """Remove the link and the route of this cluster, if it has them; those of another one stay.

    Connections of which the other end is gone keep the control plane's namespace for a minute or two, and with it the
    link; the route outlives it.
    """
    if not _own(plan).exists():
        return
    subprocess.run(["ip", "link", "delete", HOST_LINK], capture_output=True, check=False)
    subprocess.run(["ip", "route", "delete", *_elsewhere(plan)], capture_output=True, check=False)
    _own(plan).unlink()


def plug_in(plan: Plan, node: Machine) -> None:
    """Give a worker its link to the bridge, its routes to the others' pods, and what a node of Kubernetes forwards by.

    Its default route leads to the control plane, which forwards nothing: packets to an address that no Service has
    get lost there, as they do behind the router of most clusters.
    """
    _here("ip", "link", "add", "eth0", "netns", str(process_of(plan, node)), "type", "veth", *_peer(plan, node))
    inside(plan, plan.control, "ip", "link", "set", node.name, "master", _BRIDGE, "up")
    inside(plan, node, "ip", "address", "add", f"{node.address}/24", "dev", "eth0")
    inside(plan, node, "ip", "link", "set", "eth0", "up")
    inside(plan, node, "ip", "route", "add", "default", "via", plan.control.address)
    for other in plan.nodes:
        if other != node:
            inside(plan, node, "ip", "route", "add", other.pods, "via", other.address)
    inside(plan, node, "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=1")
    # Only what leaves the cluster takes the node's address: policies go by the addresses of pods.
    leaving = ("-s", PODS, "!", "-d", PODS)
    inside(plan, node, "iptables", "-t", "nat", "-A", "POSTROUTING", *leaving, "-j", "MASQUERADE")


def _own(plan: Plan) -> Path:
    """The file that says that link and route are those of this cluster."""
    return plan.state / "linked"


def _elsewhere(plan: Plan) -> tuple[str, ...]:
    return "unreachable", plan.network, "metric", _LAST


def _peer(plan: Plan, node: Machine) -> tuple[str, ...]:
    return "peer", "name", node.name, "netns", str(process_of(plan, plan.control))


def _here(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(f"{' '.join(command)}: {done.stderr.strip()}")
