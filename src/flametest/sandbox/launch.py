"""How callers start, find and stop a sandbox: `start`, `find`, `Sandbox`.

A sandbox lives on its own: it survives the process that started it and ends with `Sandbox.stop`. Its state folder
(mode 0700) holds the kubeconfig, the certificate, the token, the log and `sandbox.json`, which names the supervisor by
pid and start time, so that a stale file is never taken for a sandbox that lives.
"""

import datetime
import ipaddress
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flametest.sandbox import controlgroups, requirements, statefolder
from flametest.sandbox.credentials import CONTEXT_NAME, kubeconfig, make_credentials, write_private
from flametest.sandbox.errors import SandboxError
from flametest.sandbox.images.builds import read_builds, write_builds
from flametest.sandbox.images.offered import offered_file, offering
from flametest.sandbox.processes import (
    end_process,
    listens,
    own_processes,
    process_start_ticks,
    proportional_set_bytes,
    readable,
)
from flametest.sandbox.settings import BUILDS_FILE_NAME, Settings
from flametest.sandbox.supervisor import STATE_FILE_NAME, STOP_SECONDS_MAX

__all__ = ["Sandbox", "SandboxOptions", "default_home", "find", "has_ended", "image_store", "start"]

_START_SECONDS_MAX = 30.0
_LOG_LINES_SHOWN = 15
_KUBECONFIG_NAME = "kubeconfig"
_SETTINGS_NAME = "settings.json"
_NODES_MAX = 200


def default_home() -> Path:
    """Return the folder of all state: $FLAMETEST_HOME, or flametest below the XDG state folder."""
    if home := os.environ.get("FLAMETEST_HOME"):
        return Path(home).absolute()
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state, "flametest").absolute()


def image_store(home: Path) -> Path:
    """Return the folder of real images, which all sandboxes below one folder of state share."""
    return home.absolute() / "images"


@dataclass(frozen=True)
class SandboxOptions:
    """What sandbox is wanted.

    Attributes:
        name: tells the sandboxes of one user apart; letters, digits and dashes.
        home: folder of all state; the sandbox's own is ``sandboxes/NAME`` below it.
        api_address: loopback address for the API.
        api_port: its port; 0 for any that is free.
        node_port_address: loopback address for NodePorts; of two sandboxes with the same ports each needs its own.
        images_file: images.toml of the manifests; None for the built-in images only.
        nodes: number of simulated nodes.
        namespace: namespace of the kubeconfig's context.
    """

    name: str = "default"
    home: Path = field(default_factory=default_home)
    api_address: str = "127.0.0.1"
    api_port: int = 0
    node_port_address: str = "127.0.0.1"
    images_file: Path | None = None
    nodes: int = 3
    namespace: str = "flametest"

    @property
    def state_folder(self) -> Path:
        """Return the folder that belongs to this sandbox alone."""
        return self.home.absolute() / "sandboxes" / self.name

    def settings(self) -> Settings:
        """Return what the sandbox's own processes read."""
        return Settings(
            name=self.name,
            state_folder=str(self.state_folder),
            api_address=self.api_address,
            api_port=self.api_port,
            node_port_address=self.node_port_address,
            images_file=str(self.images_file.absolute()) if self.images_file else "",
            nodes=self.nodes,
            image_store=str(image_store(self.home)),
        )


@dataclass(frozen=True)
class Sandbox:
    """A sandbox that was alive when this was made.

    Attributes:
        state_folder: its folder.
        server_url: where the host reaches the API.
        node_port_address: where the host reaches NodePorts.
        pid: pid of its supervisor.
        start_ticks: start time of the supervisor, as `process_start_ticks` gives it.
        init_pid: pid of the first process of the cluster's namespaces.
        init_start_ticks: start time of that.
    """

    state_folder: Path
    server_url: str
    node_port_address: str
    pid: int
    start_ticks: int
    init_pid: int
    init_start_ticks: int

    @property
    def kubeconfig(self) -> Path:
        """Return the file for $KUBECONFIG."""
        return self.state_folder / _KUBECONFIG_NAME

    @property
    def context(self) -> str:
        """Return the name of the kubeconfig's context."""
        return CONTEXT_NAME

    @property
    def enforces_limits(self) -> bool:
        """Return whether limits of containers are enforced in it, as control groups could be made for it."""
        return controlgroups.find(self.state_folder) is not None

    @property
    def builds(self) -> dict[str, str]:
        """Return the digests of the project's images that run as built ones, by ``name:tag``."""
        return read_builds(self.state_folder / BUILDS_FILE_NAME)

    def use_builds(self, made: Mapping[str, str]) -> None:
        """Run images of the project as built ones from now on, by their digests; an empty one is read again."""
        write_builds(self.state_folder / BUILDS_FILE_NAME, made)

    def alive(self) -> bool:
        """Return whether the supervisor lives."""
        return process_start_ticks(self.pid) == self.start_ticks

    def stop(self, grace_seconds: float = STOP_SECONDS_MAX + 2) -> None:
        """End the sandbox and everything in it: gracefully, and by SIGKILL when that takes longer than the grace.

        Returns when the last process is gone; a sandbox that is gone already is no error.

        Raises:
            SandboxError: a process could not be ended.
        """
        end_process(self.pid, self.start_ticks, grace_seconds)
        # The kernel kills init with the supervisor; this only waits for it to be done.
        end_process(self.init_pid, self.init_start_ticks, 0)
        statefolder.clear(self.state_folder, keep_log=True)

    def offer(self, contexts: Mapping[str, tuple[Path, Path]]) -> None:
        """Have images read from these folders and Dockerfiles from the next pod on; what was offered before stays.

        Raises:
            SandboxError: the state folder cannot be written.
        """
        if not contexts:
            return
        path = offered_file(self.state_folder)
        try:
            write_private(path, offering(path, contexts))
        except OSError as error:
            raise SandboxError(f"{path} cannot be written: {error}", "see that the state folder has room") from error

    def listens(self, port: int) -> bool:
        """Return whether it is this sandbox that listens on a node port of the host, and no other program."""
        return any(listens(pid, self.node_port_address, port) for pid in own_processes(self.pid))

    def memory(self) -> int:
        """Return the memory of the sandbox's own processes in bytes: the sum of their proportional set sizes (PSS).

        Processes of pods do not count. A page that several processes share counts once in all.
        """
        return sum(proportional_set_bytes(pid) for pid in own_processes(self.pid))


def find(options: SandboxOptions) -> Sandbox | None:
    """Return the sandbox that these options name if it lives."""
    sandbox = _read_state(options)
    return sandbox if sandbox is not None and sandbox.alive() else None


def has_ended(options: SandboxOptions) -> bool:
    """Return whether the sandbox that these options name is surely gone; False also when that cannot be told."""
    try:
        (options.state_folder / STATE_FILE_NAME).read_bytes()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    sandbox = _read_state(options)
    try:
        return sandbox is not None and not (Path(f"/proc/{sandbox.pid}/stat").read_text() and sandbox.alive())
    except (FileNotFoundError, ProcessLookupError):
        return True
    except OSError:
        return False


def _read_state(options: SandboxOptions) -> Sandbox | None:
    """Return the sandbox that was last started in this folder, alive or not; None for no trace of one."""
    folder = options.state_folder
    try:
        state = json.loads((folder / STATE_FILE_NAME).read_text())
        return Sandbox(
            state_folder=folder,
            server_url=state["server_url"],
            node_port_address=state["node_port_address"],
            pid=state["pid"],
            start_ticks=state["start_ticks"],
            init_pid=state["init_pid"],
            init_start_ticks=state["init_start_ticks"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def start(options: SandboxOptions) -> Sandbox:
    """Start a sandbox and return when its API answers and its nodes are Ready; one that lives already is returned.

    Raises:
        SandboxError: something is missing, taken or broken; nothing is left running.
    """
    _check(options)
    folder = options.state_folder
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        with statefolder.locked(folder, options.name):
            return _start_locked(options, folder)
    except OSError as error:
        message = f"the state folder {folder} cannot be used: {error}"
        raise SandboxError(message, "set FLAMETEST_HOME to a folder that is yours and has room") from error


def _start_locked(options: SandboxOptions, folder: Path) -> Sandbox:
    if (sandbox := find(options)) is not None:
        _check_same(options, sandbox)
        return sandbox
    if (stale := _read_state(options)) is not None:
        # It was killed, perhaps a moment ago: the kernel may still be taking its listeners away.
        stale.stop()
    statefolder.clear(folder, keep_log=False)
    settings = options.settings()
    credentials = make_credentials(
        [options.api_address, *(node.address for node in settings.node_list())],
        datetime.datetime.now(datetime.UTC),
    )
    credentials.write(settings)
    write_private(folder / _SETTINGS_NAME, settings.to_json())
    _launch(folder)
    started = find(options)
    if started is None:
        raise SandboxError("the sandbox ended as soon as it was ready", f"read {folder / statefolder.LOG_NAME}")
    write_private(started.kubeconfig, kubeconfig(credentials, started.server_url, options.namespace))
    return started


def _check(options: SandboxOptions) -> None:
    if os.pathsep in str(options.state_folder):
        message = (
            f"the state folder {options.state_folder} has a colon in its name, by which KUBECONFIG separates files"
        )
        raise SandboxError(message, "set FLAMETEST_HOME to another folder")
    if not options.name or not all(letter.isalnum() or letter == "-" for letter in options.name):
        raise SandboxError(f"sandbox name {options.name!r}: expected letters, digits and dashes", "choose another name")
    if not 1 <= options.nodes <= _NODES_MAX:
        message = f"{options.nodes} nodes: expected 1 to {_NODES_MAX}"
        raise SandboxError(message, "choose another number of nodes")
    for address in (options.api_address, options.node_port_address):
        if not _is_loopback(address):
            message = f"address {address}: expected a loopback address, since a sandbox serves this machine alone"
            raise SandboxError(message, "choose one of 127.0.0.0/8")
    if options.images_file is not None and not options.images_file.is_file():
        raise SandboxError(f"the images file {options.images_file} does not exist", "name the manifests' images.toml")
    missing = [status for status in requirements.check() if not status.met]
    if missing:
        message = "; ".join(f"{status.requirement.name}: {status.detail}" for status in missing)
        raise SandboxError(f"the sandbox needs what is not here: {message}", requirements.remedy(missing))


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.IPv4Address(address).is_loopback
    except ValueError:
        return False


def _check_same(options: SandboxOptions, sandbox: Sandbox) -> None:
    if (sandbox.state_folder / _SETTINGS_NAME).read_text() != options.settings().to_json():
        message = f"a sandbox named {options.name} runs already, with other settings (pid {sandbox.pid})"
        raise SandboxError(message, "stop it first with `flametest down`, or choose another name")


def _launch(folder: Path) -> None:
    """Start the supervisor and wait for its word; on any failure it is gone when this raises."""
    reader, writer = os.pipe()
    descriptor = os.open(folder / statefolder.LOG_NAME, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "flametest.sandbox.supervisor", str(folder / _SETTINGS_NAME), str(writer)],
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd="/",
            pass_fds=(writer,),
            start_new_session=True,
        )
    except OSError as error:
        os.close(reader)
        raise SandboxError(
            f"the sandbox's supervisor cannot be started: {error}", "check the Python installation"
        ) from error
    finally:
        os.close(writer)
        os.close(descriptor)
    with os.fdopen(reader, "rb", buffering=0) as report:
        try:
            _await_ready(report, folder)
        except BaseException:
            process.terminate()
            try:
                process.wait(STOP_SECONDS_MAX + 2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            raise
    # The supervisor outlives this process on purpose; without this the interpreter warns of a forgotten child.
    process.returncode = 0


def _await_ready(report: Any, folder: Path) -> None:
    if not readable(report.fileno(), _START_SECONDS_MAX):
        message = f"the sandbox was not ready within {_START_SECONDS_MAX:.0f} s{_log_tail(folder)}"
        raise SandboxError(message, f"read {folder / statefolder.LOG_NAME}")
    line = report.readline()
    content = json.loads(line) if line else {"error": "", "remedy": ""}
    if "ready" in content:
        return
    if content["error"]:
        raise SandboxError(content["error"], content["remedy"])
    raise SandboxError(
        f"the sandbox ended while it started{_log_tail(folder)}", f"read {folder / statefolder.LOG_NAME}"
    )


def _log_tail(folder: Path) -> str:
    try:
        lines = (folder / statefolder.LOG_NAME).read_text(errors="replace").splitlines()
    except OSError:
        return ""
    shown = lines[-_LOG_LINES_SHOWN:]
    return "; the end of its log:\n  " + "\n  ".join(shown) if shown else ""
