"""An ordinary user gets the same sandbox, in a user namespace."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.addresses import own_address
from tests.images.wheels import write_wheel
from tests.sandbox.ordinary_user import OrdinaryUser

pytestmark = [pytest.mark.sandbox, pytest.mark.skipif(os.getuid() != 0, reason="the other tests run as one then")]

MANIFESTS = Path(__file__).parents[2] / "manifests"

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
        with opener.open(f"http://{address}:30080/{path}", timeout=60) as answer:
            print(answer.status)
finally:
    sandbox.stop()
"""


@pytest.fixture
def user() -> Iterator[OrdinaryUser]:
    """Return a user who has no ids but his own."""
    with OrdinaryUser.existing() as found:
        yield found


def test_a_sandbox_starts_and_stops_in_a_user_namespace(user: OrdinaryUser) -> None:
    told = json.loads(user.run(CODE, str(user.home), own_address("ordinary"), seconds_max=60))
    assert told["uid"] == user.number
    assert told["own_user_namespace"]
    assert told["own_network"]
    assert told["memory"] > 10_000_000
    assert told["stopped"]


@pytest.mark.slow
def test_the_whole_system_runs_in_a_user_namespace(user: OrdinaryUser) -> None:
    """Its pods have users of their own, among them a server that refuses to be root."""
    printed = user.run(SYSTEM, str(user.home), own_address("ordinary's system"), str(MANIFESTS), seconds_max=180)
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


def test_an_image_has_an_environment_of_its_own_in_a_user_namespace(user: OrdinaryUser) -> None:
    write_wheel(user.home / "wheels", "kubediff_one", "2.0")
    arguments = (str(user.home), own_address("ordinary's environment"), str(user.home / "wheels"))
    assert user.run(ENVIRONMENT, *arguments, seconds_max=180) == "ready\n"
