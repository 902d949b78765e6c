"""Every fault on a real system: proved, and healed whatever ends the process that injected it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flametest.faults.undo import UndoJournal
from flametest.kube import KubeClient, connect
from flametest.kube.resources import DEPLOYMENTS, NETWORK_POLICIES, NODES, SERVICES, STATEFUL_SETS
from flametest.sandbox.launch import Sandbox, SandboxOptions, start

pytestmark = pytest.mark.sandbox

ROOT = Path(__file__).parents[2]
DRIVER = Path(__file__).parent / "driver.py"
NODE_PORT_ADDRESS = "127.0.63.1"  # not 127.0.0.1, so that a system of the user's own is left in peace
READY_SECONDS = 90.0
GUARDIAN_SECONDS = 30.0
LASTING = [
    "service-removal",
    "entry-removal",
    "scaling",
    "dependency-outage",
    "network-partition",
    "bad-rollout",
    "node-drain",
    "node-loss",
]
PROVED_SOON = [name for name in LASTING if name != "node-loss"] + ["container-crash"]


class System:
    """The deployed system, and drivers that inject into it."""

    def __init__(self, sandbox: Sandbox, home: Path) -> None:
        self.home = home
        self.client: KubeClient = connect(sandbox.kubeconfig, sandbox.context)
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("KUBE", "FLAMETEST"))},
            "KUBECONFIG": str(sandbox.kubeconfig),
            "KUBERNETES_CONTEXT": sandbox.context,
            "FLAMETEST_URL": f"http://{NODE_PORT_ADDRESS}:30080",
            "FLAMETEST_NODE_PORT_ADDRESS": NODE_PORT_ADDRESS,
            "FLAMETEST_HOME": str(home),
        }

    def whole(self) -> str:
        """Wait until everything is ready, and return all that a fault could have changed, as text."""
        self.client.wait_ready("flametest", READY_SECONDS)
        return self.specifications()

    def specifications(self) -> str:
        """Return the specifications and labels of everything that faults change, byte for byte."""
        found = {}
        for resource in (DEPLOYMENTS, STATEFUL_SETS, SERVICES, NETWORK_POLICIES, NODES):
            for item in self.client.api.get(resource.path("flametest")).get("items", []):
                metadata = item["metadata"]
                kept = {key: metadata.get(key) for key in ("labels",)} | {"spec": item.get("spec")}
                if resource is NODES:
                    kept["annotations"] = metadata.get("annotations")
                    # What a node that stays lost for long is tainted with is the node controller's to remove.
                    kept["spec"] = {key: value for key, value in kept["spec"].items() if key != "taints"}
                found[f"{resource.kind} {metadata['name']}"] = kept
        return json.dumps(found, sort_keys=True, indent=1)

    def driven(self, fault: str, step: str, way: str) -> "subprocess.CompletedProcess[str]":
        """Run a driver to its end."""
        return subprocess.run(
            [sys.executable, str(DRIVER), fault, step, way],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
        )

    @contextmanager
    def stopped(self, fault: str, home: Path | None = None) -> Iterator["subprocess.Popen[bytes]"]:
        """Run a driver until it has injected, and stop it there: it lives, and does nothing any more."""
        with subprocess.Popen(
            [sys.executable, str(DRIVER), fault, "injected", "SIGSTOP"],
            env=self.environment | ({"FLAMETEST_HOME": str(home)} if home else {}),
            stdout=subprocess.PIPE,
        ) as driver:
            try:
                wait_until(lambda: state_of(driver.pid) == "T", 60)
                yield driver
            finally:
                driver.kill()

    def abandoned(self, fault: str) -> None:
        """Inject a fault, and kill everything that could heal it."""
        with self.stopped(fault) as driver:
            for pid in [*self.guardians(), driver.pid]:
                os.kill(pid, signal.SIGKILL)

    def flametest(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a flametest command to its end."""
        return subprocess.run(
            [sys.executable, "-m", "flametest.cli", *arguments],
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def left(self) -> int:
        """Return how many undo records there are."""
        records, errors = UndoJournal(self.home).records()
        assert errors == ()
        return len(records)

    def guardians(self) -> list[int]:
        """Return the guardians of this state folder."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
            except OSError:
                continue
            if b"flametest.faults.guardian" in command and str(self.home).encode() in command:
                found.append(int(pid))
        return found


def state_of(pid: int) -> str:
    """Return what a process does, as one letter; see proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def wait_until(condition: Callable[[], object], seconds: float) -> float:
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < seconds
        time.sleep(0.05)
    return time.monotonic() - begin


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    home = tmp_path_factory.mktemp("home")
    images = ROOT / "manifests" / "images.toml"
    sandbox = start(
        SandboxOptions(name="faults-tests", home=home, node_port_address=NODE_PORT_ADDRESS, images_file=images)
    )
    try:
        deployed = System(sandbox, home)
        with deployed.client as client:
            client.apply(ROOT / "manifests")
            client.wait_ready("flametest", READY_SECONDS)
            yield deployed
    finally:
        sandbox.stop()


@pytest.mark.parametrize("fault", PROVED_SOON)
def test_a_fault_is_shown_proved_and_taken_back(system: System, fault: str) -> None:
    before = system.whole()
    done = system.driven(fault, "proved", "end")
    assert done.returncode == 0, done.stdout + done.stderr
    told = [line.split(" ")[0].rstrip(":") for line in done.stdout.splitlines()]
    assert told == ["shown", "proved", "the", *([] if fault == "container-crash" else ["healed"])], done.stdout
    assert system.specifications() == before
    assert (system.left(), system.guardians()) == (0, [])


@pytest.mark.parametrize("way", ["exception", "SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("fault", LASTING)
def test_a_fault_is_taken_back_before_the_process_ends(system: System, fault: str, way: str) -> None:
    before = system.whole()
    done = system.driven(fault, "injected", way)
    assert done.returncode not in (0, -signal.SIGKILL), done.stdout
    assert "ending at injected" in done.stdout
    assert system.specifications() == before, done.stdout + done.stderr
    assert (system.left(), system.guardians()) == (0, [])


@pytest.mark.parametrize("step", ["armed", "half", "injected"])
@pytest.mark.parametrize("fault", LASTING)
def test_the_guardian_takes_a_fault_back_when_its_process_is_killed(system: System, fault: str, step: str) -> None:
    before = system.whole()
    done = system.driven(fault, step, "SIGKILL")
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    wait_until(lambda: not system.left() and not system.guardians(), GUARDIAN_SECONDS)
    assert system.specifications() == before


@pytest.mark.parametrize("fault", LASTING)
def test_undo_takes_a_fault_back_when_the_guardian_was_killed_too(system: System, fault: str) -> None:
    before = system.whole()
    system.abandoned(fault)
    assert system.left() == 1
    assert system.specifications() != before
    done = system.flametest("undo")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("healed: ")
    assert system.specifications() == before
    assert system.flametest("undo").stdout == "nothing was left to heal\n"


def test_what_a_living_experiment_has_injected_is_left_alone(system: System) -> None:
    before = system.whole()
    with system.stopped("scaling") as driver:
        undo = system.flametest("undo")
        assert undo.returncode == 0
        assert f"left alone: scale Deployment api to 4: process {driver.pid} still runs" in undo.stdout
        assert system.left() == 1
    wait_until(lambda: not system.left(), GUARDIAN_SECONDS)
    assert system.specifications() == before


def test_every_command_heals_first(system: System) -> None:
    before = system.whole()
    system.abandoned("dependency-outage")
    down = system.flametest("down")
    assert "healed: take StatefulSet redis away: StatefulSet redis was set back from 0 to 1" in down.stdout
    assert "no sandbox is running" in down.stdout  # the one of these tests has another name
    assert down.returncode == 0
    assert system.specifications() == before


def test_nothing_is_injected_when_the_undo_record_cannot_be_written(system: System, tmp_path: Path) -> None:
    before = system.whole()
    # A file in the folder's place fails for root as well, whom no permission keeps out.
    (tmp_path / "undo").write_text("")
    own = {**system.environment, "FLAMETEST_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, str(DRIVER), "scaling", "proved", "end"],
        env=own,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert "nothing was injected" in done.stderr
    assert "proved" not in done.stdout
    assert system.specifications() == before


def test_a_fault_whose_namespace_is_gone_leaves_nothing_to_heal(system: System) -> None:
    before = system.whole()
    system.abandoned("scaling")
    (file,) = (system.home / "undo").glob("*.json")
    text = file.read_text()
    file.write_text(text.replace('"namespace": "flametest"', '"namespace": "was-deleted"'))
    done = system.flametest("undo")
    assert "nothing is left to heal: namespace was-deleted is gone, and everything in it" in done.stdout
    assert done.returncode == 0
    file.write_text(text)
    assert system.flametest("undo").returncode == 0
    assert system.specifications() == before


def test_a_cluster_that_is_another_one_is_left_alone(system: System) -> None:
    before = system.whole()
    system.abandoned("scaling")
    (file,) = (system.home / "undo").glob("*.json")
    text = file.read_text()
    file.write_text(text.replace(json.loads(text)["place"]["cluster_uid"], "uid-of-another-cluster"))
    assert "another cluster answers in the place" in system.flametest("undo").stdout
    file.write_text(text)
    assert system.flametest("undo").returncode == 0
    assert system.specifications() == before


def test_what_cannot_be_reached_is_exit_code_4_and_stays_until_it_can_be(system: System) -> None:
    before = system.whole()
    system.abandoned("scaling")
    (file,) = (system.home / "undo").glob("*.json")
    text = file.read_text()
    file.write_text(text.replace(system.environment["KUBECONFIG"], str(system.home / "missing")))
    for command in ("undo", "up"):
        done = system.flametest(command)
        assert done.returncode == 4, done.stdout + done.stderr
        assert "NOT HEALED: scale Deployment api to 4: kubeconfig" in done.stdout
        assert file.exists()
    file.write_text(text)
    assert system.flametest("undo").returncode == 0
    assert system.specifications() == before
