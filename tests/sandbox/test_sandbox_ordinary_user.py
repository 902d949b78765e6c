"""An ordinary user gets the same sandbox, in a user namespace."""

import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.addresses import own_address
from tests.images.wheels import write_wheel

pytestmark = [pytest.mark.sandbox, pytest.mark.skipif(os.getuid() != 0, reason="the other tests run as one then")]

ROOT = Path(__file__).parents[2]
MANIFESTS = ROOT / "manifests"
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


def run_as_nobody(code: str, *arguments: str, seconds_max: float) -> str:
    """Return what a program of this interpreter prints that an ordinary user runs; it has to succeed."""
    reachable = showing(Path(sys.base_prefix), Path(sys.prefix), ROOT)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [*reachable, *AS_NOBODY, sys.executable, "-c", code, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds_max,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def showing(*folders: Path) -> list[str]:
    """Return how to run a command that sees all as it is, but that folders of root's are no obstacle to these."""
    command = ["bwrap", "--dev-bind", "/", "/"]
    opened: set[Path] = set()
    for folder in folders:
        closed = next((one for one in reversed(folder.parents) if not enterable(one)), None)
        if closed is None:
            continue
        for one in reversed(folder.parents):
            if one.is_relative_to(closed) and one not in opened:
                opened.add(one)
                command += ["--perms", "0755", "--tmpfs" if one == closed else "--dir", str(one)]
        command += ["--bind", str(folder), str(folder)]
    return command


def enterable(folder: Path) -> bool:
    return bool(folder.stat().st_mode & stat.S_IXOTH)


def test_a_sandbox_starts_and_stops_in_a_user_namespace(home: Path) -> None:
    told = json.loads(run_as_nobody(CODE, str(home), own_address("nobody"), seconds_max=60))
    assert told["uid"] == NOBODY
    assert told["own_user_namespace"]
    assert told["own_network"]
    assert told["memory"] > 10_000_000
    assert told["stopped"]


@pytest.mark.slow
def test_the_whole_system_runs_in_a_user_namespace(home: Path) -> None:
    """Its pods have users of their own, among them a server that refuses to be root."""
    printed = run_as_nobody(SYSTEM, str(home), own_address("nobody's system"), str(MANIFESTS), seconds_max=180)
    assert printed.split() == ["200"] * 3


ENVIRONMENT = """
import os, sys
from pathlib import Path
from flametest.kube import connect
from flametest.sandbox.launch import SandboxOptions, start
home, address, wheels = sys.argv[1:]
os.environ.update(PIP_NO_INDEX="1", PIP_FIND_LINKS=wheels, PIP_CONFIG_FILE=os.devnull)
folder = Path(home, "project/manifests")
folder.mkdir(parents=True)
(folder / "images.toml").write_text("[[image]]\\nname = 'shop/web:1'\\ncontext = '.'\\n")
(folder.parent / "Dockerfile").write_text("FROM python:3\\nRUN pip install kubediff-one==2.0\\nCMD sleep 1000\\n")
container = "{name: web, image: 'shop/web:1', readinessProbe: {exec: {command: [kubediff_one]}}}"
template = "{metadata: {labels: {app: web}}, spec: {containers: [%s]}}" % container
spec = "{selector: {matchLabels: {app: web}}, template: %s}" % template
metadata = "{name: web, namespace: flametest}"
(folder / "a.yaml").write_text("{apiVersion: v1, kind: Namespace, metadata: {name: flametest}}")
(folder / "b.yaml").write_text("{apiVersion: apps/v1, kind: Deployment, metadata: %s, spec: %s}" % (metadata, spec))
sandbox = start(SandboxOptions(home=Path(home), node_port_address=address, images_file=folder / "images.toml"))
try:
    with connect(sandbox.kubeconfig, sandbox.context) as client:
        client.apply(folder)
        client.wait_ready("flametest", 120)
    print("ready")
finally:
    sandbox.stop()
"""


def test_an_image_has_an_environment_of_its_own_in_a_user_namespace(home: Path) -> None:
    write_wheel(home / "wheels", "kubediff_one", "2.0")
    arguments = (str(home), own_address("nobody's environment"), str(home / "wheels"))
    assert run_as_nobody(ENVIRONMENT, *arguments, seconds_max=180) == "ready\n"
