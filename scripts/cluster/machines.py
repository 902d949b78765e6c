"""Machines as namespaces: starting and ending one, and running programs in it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from scripts.cluster.plan import ClusterError, Machine, Plan

__all__ = [
    "command_inside",
    "end_all",
    "has_process",
    "inside",
    "is_running",
    "process_of",
    "start",
    "start_program",
    "wait_for",
    "weigh_pods",
]

_ROOT = Path(__file__).parents[2]
_START_SECONDS = 30.0
_END_SECONDS = 15.0
_CONTROL_GROUPS = Path("/sys/fs/cgroup")
_PODS_GROUP = "k8s.io"  # where containerd puts pods whose kubelet makes no groups of its own
_PODS_SHARES = "16384"  # of 16 processes outside


def start(plan: Plan, machine: Machine) -> None:
    """Make the machine's namespaces and return when programs may be started in it; raises ClusterError."""
    folder = plan.folder(machine)
    folder.mkdir(parents=True)
    own = folder / "unshare.pid"
    command = ["unshare", "--net", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc", "--"]
    command += [sys.executable, "-m", "scripts.cluster.init", machine.name, str(folder)]
    _leave_running(["sh", "-c", 'echo $$ > "$0"; exec "$@"', str(own), *command], folder / "init.log")
    wait_for(lambda: own.is_file() and own.read_text().endswith("\n"), f"the start of {machine.name}", _START_SECONDS)
    outer = int(own.read_text())
    _write_record(folder, outer)
    wait_for((folder / "ready").exists, f"{machine.name}; see {folder / 'init.log'}", _START_SECONDS)
    children = Path(f"/proc/{outer}/task/{outer}/children").read_text().split()
    _write_record(folder, int(children[0]))


def process_of(plan: Plan, machine: Machine) -> int:
    """The process that holds the machine's namespaces; raises ClusterError when it does not run."""
    found = _recorded(plan.folder(machine))
    if found is None:
        raise ClusterError(f"{machine.name} does not run; remedy: python -m scripts.cluster up")
    return found


def is_running(state: Path) -> bool:
    """Whether any machine of the cluster in ``state`` runs."""
    return any(_recorded(record.parent) is not None for record in state.glob("*/process.json"))


def command_inside(process: int, command: Iterable[str]) -> list[str]:
    """The command line that runs ``command`` in the namespaces that ``process`` holds."""
    return ["nsenter", f"--target={process}", "--net", "--mount", "--pid", "--uts", "--", *command]


def inside(plan: Plan, machine: Machine, *command: str) -> None:
    """Run a command in the machine to its end; raises ClusterError with what it printed."""
    line = command_inside(process_of(plan, machine), command)
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ClusterError(f"{machine.name}: {' '.join(command)}: {(done.stderr or done.stdout).strip()}")


def has_process(plan: Plan, machine: Machine, name: str) -> bool:
    """Whether a program of this name runs in the machine."""
    line = command_inside(process_of(plan, machine), ["pgrep", "--exact", name])
    return subprocess.run(line, stdout=subprocess.DEVNULL, check=False).returncode == 0


def start_program(plan: Plan, machine: Machine, name: str, *arguments: str) -> None:
    """Start one of the given programs in the machine, with a log of its own beside it."""
    line = command_inside(process_of(plan, machine), [plan.program(name), *arguments])
    _leave_running(line, plan.folder(machine) / f"{name}.log", plan.programs)


def _leave_running(command: list[str], log: Path, programs: Path | None = None) -> None:
    """Start a command in a session of its own, as nobody's child; it finds ``programs`` before others."""
    path = os.pathsep.join([*([str(programs)] if programs else []), os.environ.get("PATH", os.defpath)])
    with log.open("ab") as written:
        subprocess.run(
            ["setsid", "--fork", *command],
            stdin=subprocess.DEVNULL,
            stdout=written,
            stderr=written,
            cwd=_ROOT,
            env={**os.environ, "PATH": path},
            check=True,
        )


def wait_for(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Wait until ``condition`` holds; raises ClusterError naming ``what`` after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ClusterError(f"not there after {seconds:.0f} s: {what}")
        time.sleep(0.2)


def end_all(state: Path) -> None:
    """End every machine of the cluster in ``state``, with what runs in it, and remove their control groups."""
    folders = [record.parent for record in state.glob("*/process.json")]
    processes = [process for folder in folders if (process := _recorded(folder)) is not None]
    for process in processes:
        os.kill(process, signal.SIGTERM)
    deadline = time.monotonic() + _END_SECONDS
    while any(map(_alive, processes)) and time.monotonic() < deadline:
        time.sleep(0.1)
    for process in filter(_alive, processes):
        os.kill(process, signal.SIGKILL)
    wait_for(lambda: not any(map(_alive, processes)), "the end of the machines", _END_SECONDS)
    for folder in folders:
        (folder / "process.json").unlink()
    _remove_control_groups()


def weigh_pods() -> None:
    """Give the pods as much of the processor as 16 processes outside, and not as much as one, which they are in sum."""
    for weight in _CONTROL_GROUPS.glob(f"*/{_PODS_GROUP}/cpu.shares"):
        weight.write_text(_PODS_SHARES)


def _remove_control_groups() -> None:
    """Remove the groups below that of our clusters, from the innermost on, in every hierarchy."""
    for top in [*_CONTROL_GROUPS.glob("*/flametest-cluster"), _CONTROL_GROUPS / "flametest-cluster"]:
        for folder, _, _ in os.walk(top, topdown=False):
            wait_for(lambda folder=folder: _removed(folder), f"the end of {folder}", _END_SECONDS)  # type: ignore[misc]
    for top in _CONTROL_GROUPS.glob(f"*/{_PODS_GROUP}"):
        for folder, _, _ in os.walk(top, topdown=False):
            _removed(folder)  # what is busy is somebody else's


def _removed(folder: str) -> bool:
    try:
        Path(folder).rmdir()
    except FileNotFoundError:
        return True
    except OSError:  # busy for as long as a process of it is ending
        return False
    return True


def _write_record(folder: Path, process: int) -> None:
    (folder / "process.json").write_text(json.dumps({"process": process, "started": _start_time(process)}))


def _recorded(folder: Path) -> int | None:
    """The process of the machine with this folder, where it runs still."""
    try:
        record = json.loads((folder / "process.json").read_text())
    except FileNotFoundError:
        return None
    process = int(record["process"])
    return process if _start_time(process) == record["started"] else None


def _start_time(process: int) -> str:
    """When the process started, by which it is told from a later one of its number; empty where there is none."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return ""
    fields = status.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]


def _alive(process: int) -> bool:
    return bool(_start_time(process))
