"""The host-side process of a sandbox: owns its listeners, starts the cluster process, and ends with it.

Run as ``python -P -m flametest.sandbox.supervisor SETTINGS_FILE READY_DESCRIPTOR`` by `flametest.sandbox.launch`, in a
session of its own. It stays in the host's network, where it binds the API's listener and, when asked, those of
NodePorts, and starts what fetches images; everything else happens in the cluster process. To whoever started it, it
writes one JSON line to READY_DESCRIPTOR: that the cluster is ready, or why it is not.

It ends on SIGTERM or SIGINT (the cluster process gets `STOP_SECONDS_MAX` to end, then SIGKILL), when the cluster
process ends, and when its starter vanishes before the cluster was ready. Standard library and few imports: it is kept
in memory for as long as the sandbox lives.
"""

import contextlib
import errno
import gc
import json
import os
import select
import signal
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flametest.sandbox import control, controlgroups, namespaces
from flametest.sandbox.clearup import clear_up_after_this_process
from flametest.sandbox.errors import SandboxError
from flametest.sandbox.fetches import Fetches
from flametest.sandbox.processes import process_start_ticks
from flametest.sandbox.settings import Settings

__all__ = ["STATE_FILE_NAME", "STOP_SECONDS_MAX", "main"]

STATE_FILE_NAME = "sandbox.json"
STOP_SECONDS_MAX = 5.0

_BACKLOG = 1024


@dataclass(slots=True)
class _Cluster:
    """The cluster process as the supervisor sees it."""

    init_pid: int
    init_descriptor: int
    control: socket.socket
    failure: dict[str, Any] | None = None


def main(arguments: list[str]) -> int:
    """Run a sandbox until it ends; returns the exit code."""
    settings = Settings.from_json(Path(arguments[0]).read_text())
    ready_descriptor = int(arguments[1])
    os.set_inheritable(ready_descriptor, False)
    try:
        return _Supervisor(settings, ready_descriptor).run()
    except SandboxError as error:
        _tell_starter(ready_descriptor, {"error": str(error), "remedy": error.remedy})
        return 1
    finally:
        controlgroups.remove(Path(settings.state_folder))


def _tell_starter(ready_descriptor: int, content: dict[str, Any]) -> bool:
    """Write the one line to the starter; returns whether somebody was there to read it."""
    try:
        os.write(ready_descriptor, json.dumps(content).encode() + b"\n")
    except OSError:
        return False
    return True


class _Supervisor:
    """One run of `main`: a loop over four descriptors, on the one thread of the process."""

    def __init__(self, settings: Settings, ready_descriptor: int) -> None:
        self._settings = settings
        self._ready_descriptor: int | None = ready_descriptor
        self._stop_deadline: float | None = None
        self._wakeup, self._wakeup_writer = socket.socketpair()
        self._api_port = 0

    def run(self) -> int:
        """Start the cluster and serve it until it ends."""
        api = self._bind_api()
        self._api_port = api.getsockname()[1]
        groups = controlgroups.make(Path(self._settings.state_folder))
        clear_up_after_this_process(
            Path(self._settings.state_folder), () if groups is None else tuple(dict.fromkeys(groups.folders))
        )
        here, there = control.pair()
        # Memory that no collection touches stays shared with init, which is a copy of this process.
        gc.freeze()
        init_pid = namespaces.spawn(
            [
                *(sys.executable, "-P", "-m", "flametest.sandbox.cluster"),
                *(str(Path(self._settings.state_folder, "settings.json")), str(api.fileno()), str(there.fileno())),
            ],
            (api.fileno(), there.fileno()),
        )
        cluster = _Cluster(init_pid, os.pidfd_open(init_pid), here)
        api.close()
        there.close()
        self._install_signals()
        self._serve(cluster)
        return self._end(cluster)

    def _bind_api(self) -> socket.socket:
        address = (self._settings.api_address, self._settings.api_port)
        try:
            return _listen(address)
        except OSError as error:
            message = f"the address {address[0]}:{address[1]} for the sandbox's API cannot be bound: {error.strerror}"
            raise SandboxError(message, "choose another API port, or none to get one that is free") from error

    def _install_signals(self) -> None:
        self._wakeup_writer.setblocking(False)
        signal.set_wakeup_fd(self._wakeup_writer.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)

    def _serve(self, cluster: _Cluster) -> None:
        """Return when the cluster process ended or has to be killed."""
        poll = select.poll()
        fetches = Fetches(self._settings.image_store, poll)
        try:
            self._serve_by(poll, cluster, fetches)
        finally:
            fetches.close()

    def _serve_by(self, poll: "select.poll", cluster: _Cluster, fetches: Fetches) -> None:
        poll.register(cluster.control, select.POLLIN)
        poll.register(cluster.init_descriptor, select.POLLIN)
        poll.register(self._wakeup, select.POLLIN)
        if self._ready_descriptor is not None:
            poll.register(self._ready_descriptor, 0)  # reports only that its reader vanished
        while True:
            timeout_ms = None
            if self._stop_deadline is not None:
                timeout_ms = max(0.0, self._stop_deadline - time.monotonic()) * 1000
            ready = dict(poll.poll(timeout_ms))
            if cluster.init_descriptor in ready or (not ready and self._stop_deadline is not None):
                return
            if self._wakeup.fileno() in ready:
                self._wakeup.recv(64)
                self._begin_stop(cluster)
            if self._ready_descriptor is not None and self._ready_descriptor in ready:
                print("supervisor: the process that started the sandbox ended before it was ready", flush=True)
                return
            for number, error in fetches.finished(set(ready)):
                self._tell_cluster(cluster, {"type": "fetched", "number": number, "error": error})
            if cluster.control.fileno() in ready and not self._answer(cluster, poll, fetches):
                poll.unregister(cluster.control)

    @staticmethod
    def _tell_cluster(cluster: _Cluster, content: dict[str, Any]) -> None:
        """Send a message that nobody may be there to read any more."""
        with contextlib.suppress(OSError):
            control.send(cluster.control, content)

    def _begin_stop(self, cluster: _Cluster) -> None:
        if self._stop_deadline is None:
            self._stop_deadline = time.monotonic() + STOP_SECONDS_MAX
            try:
                control.send(cluster.control, {"type": "stop"})
            except OSError:
                self._stop_deadline = time.monotonic()

    def _answer(self, cluster: _Cluster, poll: "select.poll", fetches: Fetches) -> bool:
        """Do what one message of the cluster process asks for; returns False when there will be no more."""
        message = control.receive(cluster.control)
        if message is None:
            return False
        content = message.content
        match content["type"]:
            case "ready":
                self._announce(cluster, poll)
            case "failed":
                cluster.failure = content
            case "listen":
                self._make_listener(cluster, content["port"])
            case "fetch":
                number = content["number"]
                if error := fetches.start(number, content["asked"]):
                    self._tell_cluster(cluster, {"type": "fetched", "number": number, "error": error})
        return True

    def _announce(self, cluster: _Cluster, poll: "select.poll") -> None:
        if self._ready_descriptor is None:
            return
        state = {
            "pid": os.getpid(),
            "start_ticks": process_start_ticks(os.getpid()),
            "init_pid": cluster.init_pid,
            "init_start_ticks": process_start_ticks(cluster.init_pid),
            "server_url": f"https://{self._settings.api_address}:{self._api_port}",
            "node_port_address": self._settings.node_port_address,
        }
        path = Path(self._settings.state_folder, STATE_FILE_NAME)
        draft = path.with_suffix(".draft")
        draft.write_text(json.dumps(state))
        draft.replace(path)
        poll.unregister(self._ready_descriptor)
        if not _tell_starter(self._ready_descriptor, {"ready": True}):
            self._begin_stop(cluster)
        os.close(self._ready_descriptor)
        self._ready_descriptor = None

    def _make_listener(self, cluster: _Cluster, port: int) -> None:
        answer: dict[str, Any] = {"type": "listener", "port": port, "error": 0}
        try:
            listener = _listen((self._settings.node_port_address, port))
        except OSError as error:
            control.send(cluster.control, answer | {"error": error.errno or errno.EIO})
            return
        # It listened to make sure that nobody else does; bound and shut down it refuses until its owner listens.
        listener.shutdown(socket.SHUT_RD)
        with listener:
            control.send(cluster.control, answer, listener.fileno())

    def _end(self, cluster: _Cluster) -> int:
        """Make sure that the cluster is gone, tell a starter that still waits, and return the exit code."""
        signal.pidfd_send_signal(cluster.init_descriptor, signal.SIGKILL)
        _, status = os.waitpid(cluster.init_pid, 0)
        while cluster.failure is None and (message := control.receive(cluster.control)) is not None:
            if message.content["type"] == "failed":
                cluster.failure = message.content
        if self._ready_descriptor is not None:
            failure = cluster.failure or {"message": "", "remedy": ""}
            _tell_starter(self._ready_descriptor, {"error": failure["message"], "remedy": failure["remedy"]})
        Path(self._settings.state_folder, STATE_FILE_NAME).unlink(missing_ok=True)
        return 0 if self._stop_deadline is not None else 1 if os.waitstatus_to_exitcode(status) else 0


def _listen(address: tuple[str, int]) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
