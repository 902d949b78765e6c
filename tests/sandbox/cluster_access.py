"""A running sandbox as its users see it: kubectl, and commands in pods."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from typing import Any

from kubernetes import client as kubernetes_client
from kubernetes import config as kubernetes_config
from kubernetes.stream import stream

from flametest.sandbox.launch import Sandbox
from tests.patience import PATIENCE_SECONDS

__all__ = ["KUBECTL", "Access"]

KUBECTL = shutil.which("kubectl")


class Access:
    """Access to one sandbox; close it after use."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._environment = {**os.environ, "KUBECONFIG": str(sandbox.kubeconfig)}
        api_client = kubernetes_config.new_client_from_config(str(sandbox.kubeconfig))
        self.core = kubernetes_client.CoreV1Api(api_client)
        self._api_client = api_client

    def close(self) -> None:
        """End the client's connections."""
        self._api_client.rest_client.pool_manager.clear()
        self._api_client.close()

    def kubectl(self, *arguments: str, code: int = 0, text: str = "") -> str:
        """Run kubectl in the default namespace and return its output and errors."""
        command = [KUBECTL or "kubectl", "--namespace", "default", *arguments]
        done = subprocess.run(
            command,
            env=self._environment,
            input=text,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == code, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    @contextlib.contextmanager
    def forwarded(self, target: str, port: int) -> Iterator[int]:
        """Forward a port by kubectl and yield the local one; it ends with the block."""
        command = [KUBECTL or "kubectl", "--namespace", "default", "port-forward", target, f":{port}"]
        with subprocess.Popen(command, env=self._environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            told = re.fullmatch(r"Forwarding from 127\.0\.0\.1:(\d+) -> \d+\n", process.stdout.readline())
            assert told is not None
            try:
                yield int(told[1])
            finally:
                process.kill()

    def apply(self, *objects: dict[str, Any]) -> None:
        """Apply objects."""
        self.kubectl("apply", "-f", "-", text=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def pods(self, selector: str) -> list[Any]:
        """Return the pods of a selector."""
        found: list[Any] = self.core.list_namespaced_pod("default", label_selector=selector).items
        return found

    def execute(self, pod: str, *command: str) -> str:
        """Return what a command in a pod prints."""
        call = self.core.connect_get_namespaced_pod_exec
        options = {"stderr": True, "stdout": True, "stdin": False, "tty": False, "_preload_content": False}
        # By hand, since the client's own way leaves its socket open.
        socket = stream(call, pod, "default", command=list(command), **options)
        socket.run_forever(timeout=PATIENCE_SECONDS)
        printed: str = socket.read_all()
        socket.sock.shutdown()
        return printed

    @staticmethod
    def until(holds: Callable[[], Any], seconds_max: float = PATIENCE_SECONDS) -> Any:
        """Return what ``holds`` returns as soon as it is true; each look is a request, so nothing waits in between."""
        deadline = time.monotonic() + seconds_max
        while not (found := holds()):
            assert time.monotonic() < deadline, f"did not come true within {seconds_max} s: {holds}"
        return found
