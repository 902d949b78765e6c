"""The Node objects that the agent speaks for, and the heartbeats that keep them Ready.

`node_object` is pure. `NodeKeeper` is one task of the agent: it registers the nodes, renews their leases and reports
their status again, until it is cancelled. A lease that is not renewed is how others learn that a node is gone.
"""

import asyncio
import contextlib
import os
import platform
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from flametest.sandbox.agent.settings import AgentSettings
from flametest.sandbox.agent.status import api_time
from flametest.sandbox.errors import StatusError
from flametest.sandbox.eventrecorder import EventRecorder
from flametest.sandbox.objects import Object, Objects
from flametest.sandbox.settings import NodeSettings
from flametest.sandbox.timestamps import format_micro_time

__all__ = ["KUBELET_VERSION", "Machine", "NodeKeeper", "machine", "node_object"]

KUBELET_VERSION = "v1.36.2"
_LEASE_DURATION_SECONDS = 4
_CONDITIONS = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


@dataclass(frozen=True, slots=True)
class Machine:
    """What nodes tell of the machine: processors, memory and disk (bytes), and names."""

    processors: int
    memory_bytes: int
    disk_bytes: int
    kernel: str
    system: str
    architecture: str

    def resources(self, pods_max: int) -> dict[str, str]:
        """Return capacity as quantities."""
        return {
            "cpu": str(self.processors),
            "ephemeral-storage": f"{self.disk_bytes // 1024}Ki",
            "memory": f"{self.memory_bytes // 1024}Ki",
            "pods": str(pods_max),
        }


def machine(folder: str) -> Machine:
    """Return the facts of this machine; its disk is that of ``folder``."""
    disk = os.statvfs(folder)
    try:
        system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        system = "Linux"
    return Machine(
        processors=os.cpu_count() or 1,
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        disk_bytes=disk.f_blocks * disk.f_frsize,
        kernel=platform.release(),
        system=system,
        architecture={"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
    )


def node_object(node: NodeSettings, facts: Machine, pods_max: int, now: float) -> Object:
    """Return a node as it registers itself."""
    resources = facts.resources(pods_max)
    labels = {
        "beta.kubernetes.io/arch": facts.architecture,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": facts.architecture,
        "kubernetes.io/hostname": node.name,
        "kubernetes.io/os": "linux",
        "topology.kubernetes.io/region": "sandbox",
        "topology.kubernetes.io/zone": f"zone-{node.name.rpartition('-')[2]}",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": node.name, "labels": labels},
        "spec": {"podCIDR": node.pod_range, "podCIDRs": [node.pod_range], "providerID": f"sandbox://{node.name}"},
        "status": {
            "addresses": [
                {"address": node.address, "type": "InternalIP"},
                {"address": node.name, "type": "Hostname"},
            ],
            "allocatable": resources,
            "capacity": dict(resources),
            "conditions": _conditions(now, now),
            "nodeInfo": _node_info(node, facts),
        },
    }


def _conditions(now: float, since: float) -> list[Object]:
    return [
        {
            "lastHeartbeatTime": api_time(now),
            "lastTransitionTime": api_time(since),
            "message": message,
            "reason": reason,
            "status": status,
            "type": kind,
        }
        for kind, status, reason, message in _CONDITIONS
    ]


def _node_info(node: NodeSettings, facts: Machine) -> Object:
    identity = uuid.uuid5(uuid.NAMESPACE_DNS, node.name)
    boot = Path("/proc/sys/kernel/random/boot_id")
    return {
        "architecture": facts.architecture,
        "bootID": boot.read_text(encoding="ascii").strip() if boot.exists() else str(identity),
        "containerRuntimeVersion": f"bubblewrap://python-{sys.version_info.major}.{sys.version_info.minor}",
        "kernelVersion": facts.kernel,
        "kubeProxyVersion": "",
        "kubeletVersion": KUBELET_VERSION,
        "machineID": identity.hex,
        "operatingSystem": "linux",
        "osImage": facts.system,
        "systemUUID": str(identity),
    }


class NodeKeeper:
    """Registers nodes and keeps them alive."""

    def __init__(
        self,
        objects: Objects,
        settings: AgentSettings,
        facts: Machine,
        recorder: EventRecorder,
        now: Callable[[], float],
    ) -> None:
        self._objects = objects
        self._settings = settings
        self._facts = facts
        self._recorder = recorder
        self._now = now
        self._paused: set[str] = set()

    def register(self) -> None:
        """Create the nodes and their leases; one that exists is taken over."""
        for node in self._settings.nodes:
            wanted = node_object(node, self._facts, self._settings.pods_max, self._now())
            stored = self._objects.get("nodes", "", node.name)
            if stored is None:
                status = wanted["status"]
                stored = self._objects.create("nodes", wanted)
                # Some stores take a status with the creation and some do not.
                if (stored.get("status") or {}).get("conditions") != status["conditions"]:
                    stored = self._objects.update_status("nodes", {**stored, "status": status})
            self._recorder.normal(stored, "Starting", "Starting kubelet.")
            self._renew(node)

    def pause(self, name: str) -> None:
        """Let a node fall silent."""
        self._paused.add(name)

    def resume(self, name: str) -> None:
        """Let a node report again, at once; one whose object is gone stays silent until somebody makes it again."""
        self._paused.discard(name)
        for node in self._settings.nodes:
            stored = self._objects.get("nodes", "", name) if node.name == name else None
            if stored is not None:
                self._recorder.normal(stored, "Starting", "Starting kubelet.")
                self._renew(node)
                self._report(node)

    async def run(self) -> None:
        """Send heartbeats until cancelled."""
        reported = self._now()
        while True:
            await asyncio.sleep(self._settings.lease_seconds)
            report = self._now() - reported >= self._settings.status_seconds
            for node in self._settings.nodes:
                if node.name in self._paused or self._objects.get("nodes", "", node.name) is None:
                    continue
                with contextlib.suppress(StatusError):
                    self._renew(node)
                    if report or self._must_report(node):
                        self._report(node)
            if report:
                reported = self._now()

    def _must_report(self, node: NodeSettings) -> bool:
        """Return whether somebody has marked the node as not ready, though it is."""
        stored = self._objects.get("nodes", "", node.name)
        conditions = ((stored or {}).get("status") or {}).get("conditions") or []
        ready = next((condition for condition in conditions if condition["type"] == "Ready"), None)
        return ready is None or ready["status"] != "True"

    def _renew(self, node: NodeSettings) -> None:
        stamp = format_micro_time(datetime.fromtimestamp(self._now(), UTC))
        lease = self._objects.get("leases.coordination.k8s.io", "kube-node-lease", node.name)
        if lease is not None:
            lease["spec"]["renewTime"] = stamp
            self._objects.update("leases.coordination.k8s.io", lease)
            return
        stored = self._objects.get("nodes", "", node.name) or {}
        owner = {
            "apiVersion": "v1",
            "kind": "Node",
            "name": node.name,
            "uid": (stored.get("metadata") or {}).get("uid", ""),
        }
        self._objects.create(
            "leases.coordination.k8s.io",
            {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": node.name, "namespace": "kube-node-lease", "ownerReferences": [owner]},
                "spec": {
                    "holderIdentity": node.name,
                    "leaseDurationSeconds": _LEASE_DURATION_SECONDS,
                    "renewTime": stamp,
                },
            },
        )

    def _report(self, node: NodeSettings) -> None:
        stored = self._objects.get("nodes", "", node.name)
        if stored is None:
            return
        now = self._now()
        before = {c["type"]: c for c in (stored.get("status") or {}).get("conditions") or []}
        # All of it, since a node that was deleted and created again by hand has nothing.
        wanted = node_object(node, self._facts, self._settings.pods_max, now)
        status = wanted["status"]
        labels = stored["metadata"].get("labels") or {}
        if wanted["metadata"]["labels"].items() - labels.items():
            stored["metadata"]["labels"] = wanted["metadata"]["labels"] | labels
            stored["spec"] = wanted["spec"] | (stored.get("spec") or {})
            stored = self._objects.update("nodes", stored)
        for condition in status["conditions"]:
            known = before.get(condition["type"])
            if known is not None and known["status"] == condition["status"]:
                condition["lastTransitionTime"] = known["lastTransitionTime"]
        self._objects.update_status("nodes", {**stored, "status": {**(stored.get("status") or {}), **status}})
