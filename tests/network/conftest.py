"""A way to run a function of a test in namespaces of its own."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from tests.patience import PATIENCE_SECONDS

InNamespaces = Callable[[Callable[[], Any]], Any]

_RUNNER = """
import json, runpy, sys
from pathlib import Path
from flametest.sandbox import namespaces
namespaces.mount("tmpfs", "/run", "tmpfs")
namespaces.lift_loopback()
Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
print(json.dumps(runpy.run_path(sys.argv[1])[sys.argv[2]]()))
"""


@pytest.fixture
def in_namespaces() -> InNamespaces:
    """Run a module-level function of a test in new user, network, mount and process namespaces; its result is JSON."""

    def run(function: Callable[[], Any]) -> Any:
        code = function.__code__
        isolate = [
            "unshare",
            "--user",
            "--map-root-user",
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ]
        done = subprocess.run(
            [*isolate, "--mount-proc", sys.executable, "-c", _RUNNER, code.co_filename, code.co_name],
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run
