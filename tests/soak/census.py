"""What a sandbox holds at one moment: processes, descriptors, addresses, ports, mounts, rules, tasks, watchers, files.

Two censuses of one settled state differ by what has leaked between them. All but tasks and watchers is read from
outside, so that the sandbox cannot be wrong about itself; those two are what its ``/metrics`` says.
"""

import contextlib
import json
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flametest.sandbox import controlgroups
from flametest.sandbox.launch import Sandbox
from flametest.sandbox.processes import own_processes

__all__ = ["Census", "differences", "take"]

Census = Counter[str]
"""How many there are of each thing; keys are such as ``process sleep`` or ``task PodWorker.run``."""

_TASK = re.compile(r'^flametest_sandbox_tasks\{work="(.+)"\} (\d+)$', re.MULTILINE)
_WATCHERS = re.compile(r"^flametest_sandbox_watchers (\d+)$", re.MULTILINE)
_LISTENS = "0A"
# A task a client's connection has, and one that the request for the metrics itself runs in.
_OF_REQUESTS = ("RequestHandler.start", "ApiServer._answer")


def take(sandbox: Sandbox, metrics: str) -> Census:
    """Return what a sandbox holds; ``metrics`` is what it says of itself."""
    census: Census = Counter()
    own = {pid: _module(pid) for pid in own_processes(sandbox.pid)}
    (cluster,) = [pid for pid, name in own.items() if name == "cluster"]
    for pid in _descendants(sandbox.pid):
        census[f"process {own.get(pid) or _name(pid)}"] += 1
    for pid, name in own.items():
        with contextlib.suppress(OSError):  # a fetch that has just ended
            for kind in _descriptors(pid):
                census[f"descriptor of {name}: {kind}"] += 1
    census["mounts"] = len(Path(f"/proc/{cluster}/mountinfo").read_text().splitlines())
    census["named network namespaces"] = len(list(Path(f"/proc/{cluster}/root/run/netns").iterdir()))
    for what in ("link", "address", "route"):
        census[f"network: {what}"] = len(json.loads(_inside(cluster, "ip", "-json", what, "show")))
    census["nftables: rules and elements"] = _leaves(json.loads(_inside(cluster, "nft", "-j", "list", "ruleset")))
    census["ports of the host"] = _listeners(sandbox.node_port_address)
    groups = controlgroups.find(sandbox.state_folder)
    for folder in groups.folders if groups is not None else ():
        census["control groups"] += sum(path.is_dir() for path in folder.iterdir())
    pods = sandbox.state_folder / "pods"
    for folder in sorted(pods.iterdir()):
        census[f"folders: {'claims' if folder.name == 'claims' else 'pods and images'}"] += 1
    census["watchers"] = sum(int(count) for count in _WATCHERS.findall(metrics))
    for work, count in _TASK.findall(metrics):
        if work not in _OF_REQUESTS:
            census[f"task {work}"] = int(count)
    return census


def differences(before: Census, after: Census) -> dict[str, tuple[int, int]]:
    """Return what there is more or less of, with both figures."""
    return {key: (before[key], after[key]) for key in sorted(before | after) if before[key] != after[key]}


def _descendants(pid: int) -> Iterator[int]:
    yield pid
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in task.joinpath("children").read_text().split():
                yield from _descendants(int(child))


def _module(pid: int) -> str:
    words: list[str] = []
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return next((word.rpartition(".")[2] for word in words if word.startswith("flametest.sandbox.")), "")


def _name(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text().strip()
    return "that has just ended"


def _descriptors(pid: int) -> Iterator[str]:
    """Yield the kinds of what a process has open, but for connections, which come and go with clients."""
    connections = _connections(Path("/proc/self/net/tcp")) | _connections(Path(f"/proc/{pid}/net/tcp"))
    for entry in os.scandir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            link = os.readlink(entry.path)
            if link not in connections:
                yield "file" if link.startswith("/") else re.sub(r":\[?\d+\]?$", "", link)


def _connections(table: Path) -> set[str]:
    """Return the connections of a network namespace, as links of descriptors name them."""
    rows = [line.split() for line in table.read_text().splitlines()[1:]]
    return {f"socket:[{row[9]}]" for row in rows if row[3] != _LISTENS}


def _inside(cluster: int, *command: str) -> str:
    """Return what a command prints in the network namespace of the cluster."""
    enter = ["nsenter", "--target", str(cluster), "--net"]
    if os.getuid() != 0:
        enter += ["--user", "--preserve-credentials"]
    return subprocess.run([*enter, *command], check=True, capture_output=True, text=True).stdout


def _leaves(content: Any) -> int:
    """Return how many values a JSON content holds, but for counts and handles, which rise as rules are replaced."""
    if isinstance(content, dict):
        return sum(_leaves(value) for key, value in content.items() if key not in ("handle", "packets", "bytes"))
    if isinstance(content, list):
        return sum(_leaves(value) for value in content)
    return 1


def _listeners(address: str) -> int:
    printed = subprocess.run(["ss", "-Hltn", f"src {address}"], check=True, capture_output=True, text=True)
    return len(printed.stdout.splitlines())
