"""An ordinary user gets the same sandbox, in a user namespace; skipped where no interpreter can be used as one."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.addresses import own_address

pytestmark = [pytest.mark.sandbox, pytest.mark.skipif(os.getuid() != 0, reason="the other tests run as one then")]

MANIFESTS = Path(__file__).parents[2] / "manifests"
NOBODY = 65534
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]

CODE = """
import json, os, sys
from pathlib import Path
from flametest.sandbox.launch import SandboxOptions, find, start
options = SandboxOptions(home=Path(sys.argv[1]), node_port_address=sys.argv[2])
sandbox = start(options)
init = Path(f"/proc/{sandbox.init_pid}")
told = {
    "uid": init.stat().st_uid,
    "own_user_namespace": os.readlink(init / "ns/user") != os.readlink("/proc/self/ns/user"),
    "own_network": os.readlink(init / "ns/net") != os.readlink("/proc/self/ns/net"),
    "memory": sandbox.memory(),
}
sandbox.stop()
told["stopped"] = find(options) is None and not init.exists()
print(json.dumps(told))
"""


SYSTEM = """
import sys, urllib.request
from pathlib import Path
from flametest.kube import connect
from flametest.sandbox.launch import SandboxOptions, start
home, address, manifests = sys.argv[1:]
options = SandboxOptions(
    home=Path(home), node_port_address=address, images_file=Path(manifests, "images.toml")
)
sandbox = start(options)
try:
    with connect(sandbox.kubeconfig, sandbox.context) as client:
        client.apply(Path(manifests))
        client.wait_ready("flametest", 120)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for path in ("", "hits", "visits"):
        with opener.open(f"http://{address}:30080/{path}", timeout=10) as answer:
            print(answer.status)
finally:
    sandbox.stop()
"""


@pytest.fixture
def home() -> Iterator[Path]:
    """Return a folder of nobody's, where nobody can get to."""
    folder = Path(tempfile.mkdtemp(prefix="flametest-nobody-"))
    os.chown(folder, NOBODY, NOBODY)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def python() -> str:
    """Return an interpreter that nobody can run, with this one's packages."""
    # The first program still has rights of root's that its own children lack, hence the look at itself.
    code = (
        "import os, sys, flametest.sandbox.cluster; "
        f"sys.exit(sys.version_info[:2] != {sys.version_info[:2]} or not os.access(sys.executable, os.X_OK))"
    )
    for candidate in (sys.executable, "/usr/bin/python3"):
        probe = [*AS_NOBODY, candidate, "-c", code]
        if subprocess.run(probe, env=environment(), capture_output=True, check=False).returncode == 0:
            return candidate
    pytest.skip("no interpreter of this version and its packages can be read by an ordinary user")


def environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def test_a_sandbox_starts_and_stops_in_a_user_namespace(home: Path, python: str) -> None:
    command = [*AS_NOBODY, python, "-c", CODE, str(home), own_address("nobody")]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["uid"] == NOBODY
    assert told["own_user_namespace"]
    assert told["own_network"]
    assert told["memory"] > 10_000_000
    assert told["stopped"]


@pytest.mark.slow
def test_the_whole_system_runs_in_a_user_namespace(home: Path, python: str) -> None:
    """Its pods have users of their own, among them a server that refuses to be root."""
    if python != sys.executable:
        pytest.skip("the packages were installed for another interpreter, and some differ by its patch release")
    command = [*AS_NOBODY, python, "-c", SYSTEM, str(home), own_address("nobody's system"), str(MANIFESTS)]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["200"] * 3
