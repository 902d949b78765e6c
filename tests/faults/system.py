"""One deployed system for all tests of faults, on a sandbox of its own, and drivers that inject into it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flametest.faults.healing import place_of
from flametest.faults.owner import own_owner
from flametest.faults.safety import Radius
from flametest.faults.undo import UndoJournal
from flametest.faults.wrapper import InjectionOptions, Injector
from flametest.kube import KubeClient, connect
from flametest.kube.errors import ApiRejectedError
from flametest.kube.execute import execute
from flametest.kube.resources import CONFIG_MAPS, DEPLOYMENTS, NETWORK_POLICIES, NODES, PODS, SERVICES, STATEFUL_SETS
from tests.addresses import own_address
from tests.environment import neutral_environment
from tests.faults.driver import Ending
from tests.patience import PATIENCE_SECONDS

__all__ = ["GIVEN_CLUSTER", "NODE_PORT_ADDRESS", "ROOT", "System", "wait_until"]

ROOT = Path(__file__).parents[2]
DRIVER = Path(__file__).parent / "driver.py"
# The marks are in command lines and environments; that of this very script says nothing.
LEFT_INSIDE = """
for folder in /proc/[0-9]*; do
  number=${folder#/proc/}
  [ "$number" = $$ ] && continue
  while read -r key value _; do
    case "$key $value" in "State: T"*|"State: t"*) echo "stopped" ;; esac
  done < "$folder/status"
  for file in cmdline environ; do
    read -r line < "$folder/$file"
    case "$line" in *flametest-held-*) echo "held" ;; esac
  done
done 2>/dev/null
exit 0
"""
NODE_PORT_ADDRESS = own_address("faults")
URL = f"http://{NODE_PORT_ADDRESS}:30080"
GIVEN_CLUSTER = "TESTED_CLUSTER"
"""The variable that names a cluster to test on in place of a sandbox: KUBECONFIG,CONTEXT,URL. It runs the images of the
manifests, and has neither the namespace nor anybody else in it."""


class System:
    """The deployed system, and drivers that inject into it."""

    def __init__(self, kubeconfig: Path, context: str, home: Path, url: str = URL) -> None:
        self.home = home
        self.client: KubeClient = connect(kubeconfig, context)
        self.watched: tuple[str, ...] = ()  # pods to look into, as far as faults act inside of them
        self.environment = {
            **neutral_environment(),
            "KUBECONFIG": str(kubeconfig),
            "KUBERNETES_CONTEXT": context,
            "FLAMETEST_KNOWN_CONTEXT": context,
            "FLAMETEST_URL": url,
            "FLAMETEST_NODE_PORT_ADDRESS": NODE_PORT_ADDRESS,
            "FLAMETEST_HOME": str(home),
        }

    def whole(self) -> str:
        """Wait until everything is ready, and return all that a fault could have changed, as text."""
        end = time.monotonic() + PATIENCE_SECONDS
        while True:
            self.client.wait_ready("flametest", PATIENCE_SECONDS)
            try:
                return self.specifications()
            except ApiRejectedError:  # a container that has ended since that look cannot be looked into
                if time.monotonic() > end:
                    raise

    def specifications(self) -> str:
        """Return the specifications and labels of everything that faults change, byte for byte."""
        found: dict[str, Any] = {}
        for resource in (DEPLOYMENTS, STATEFUL_SETS, SERVICES, NETWORK_POLICIES, CONFIG_MAPS, NODES):
            for item in self.client.api.get(resource.path("flametest")).get("items", []):
                metadata = item["metadata"]
                kept = {"labels": metadata.get("labels"), "spec": item.get("spec"), "data": item.get("data")}
                if resource is NODES:
                    kept["annotations"] = metadata.get("annotations")
                    # What a node that stays lost for long is tainted with is the node controller's to remove.
                    kept["spec"] = {key: value for key, value in kept["spec"].items() if key != "taints"}
                found[f"{resource.kind} {metadata['name']}"] = kept
        pods = self.client.api.get(PODS.path("flametest")).get("items", [])
        bare = sorted(pod["metadata"]["name"] for pod in pods if not pod["metadata"].get("ownerReferences"))
        found["pods without a controller"] = bare
        found["inside"] = {name: self.inside(name) for name in self.watched}
        return json.dumps(found, sort_keys=True, indent=1)

    def inside(self, pod: str) -> list[str]:
        """Return what faults leave in a container: stopped processes, and such as bear a mark of Flametest's."""
        done = execute(self.client.api, ("flametest", pod), ["sh", "-c", LEFT_INSIDE])
        assert done.code == 0, done.output
        return sorted(done.output.splitlines())

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
    def stopped(
        self, fault: str, home: Path | None = None, environment: Mapping[str, str] | None = None
    ) -> Iterator["subprocess.Popen[bytes]"]:
        """Run a driver until it has injected, and stop it there: it lives, and does nothing any more."""
        with subprocess.Popen(
            [sys.executable, str(DRIVER), fault, "injected", "SIGSTOP"],
            env=self.environment | dict(environment or {}) | ({"FLAMETEST_HOME": str(home)} if home else {}),
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

    def injector(self) -> Injector:
        """Return what injects into it from this very process."""
        options = InjectionOptions(Radius(frozenset({"flametest"})), self.home, own_owner(self.environment))
        place = place_of(self.client, self.environment["KUBECONFIG"], self.environment["KUBERNETES_CONTEXT"])
        return Injector(self.client, place, options, Ending("", "end"))

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


def wait_until(condition: Callable[[], object], seconds: float, told: Callable[[], str] = str) -> float:
    """Wait for a condition, and return how long that took; ``told`` says what was seen instead."""
    begin = time.monotonic()
    while not condition():
        assert time.monotonic() - begin < seconds, told()
        time.sleep(0.05)
    return time.monotonic() - begin
