"""Measure the figures that README and docs state, on this machine, in one run, and print them as a table.

    nox -s bench [-- --rounds 10]

It starts a sandbox of its own beside whatever runs, and ends it. Figures depend on the machine: compare two
versions in one sitting and look at ratios.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flametest.clusters import ClusterOptions, provide
from flametest.kube import KubeClient, connect
from flametest.run.deploy import NAMESPACE, READY_SECONDS
from flametest.run.project import Project

ROOT = Path(__file__).parents[1]
ADDRESS = "127.0.0.43"
REPLACEMENT_SECONDS_MAX = 60.0
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"


@dataclass(frozen=True, slots=True)
class Row:
    """One measured figure; ``aim`` is what the project asks of it."""

    figure: str
    value: str
    aim: str


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="repeats of what is repeated (default 7)")
    rounds = parser.parse_args().rounds
    rows = [_help(rounds)]
    with tempfile.TemporaryDirectory() as home:
        os.environ["FLAMETEST_HOME"] = home
        rows += _sandbox(rounds)
    width = max(len(row.figure) for row in rows)
    for row in rows:
        print(f"{row.figure:{width}}  {row.value:>24}  {row.aim}")
    return 0


def _help(rounds: int) -> Row:
    command = [sys.executable, "-m", "flametest.cli", "--help"]
    times = [_seconds(lambda: subprocess.run(command, check=True, capture_output=True)) for _ in range(rounds)]
    return Row("flametest --help", _spread(times), "< 0.3 s")


def _sandbox(rounds: int) -> Iterator[Row]:
    project = Project(ROOT)
    cluster = provide("sandbox", ClusterOptions(images_file=project.images_file, node_port_address=ADDRESS))
    begun = time.monotonic()
    access = cluster.up()
    try:
        yield Row("sandbox: API answers, 3 nodes Ready", f"{time.monotonic() - begun:.2f} s", "<= 1.0 s")
        with connect(access.kubeconfig, access.context) as client:
            begun = time.monotonic()
            client.apply(project.manifests)
            client.wait_ready(NAMESPACE, READY_SECONDS)
            yield Row("manifests applied, all pods Ready", f"{time.monotonic() - begun:.2f} s", "<= 12 s, aim 6 s")
            memory = cluster.memory_bytes() or 0
            yield Row("memory of the sandbox's own processes", f"{memory / 1e6:.0f} MB", "<= 150 MB")
            replaced = [_replacement_seconds(client) for _ in range(rounds)]
            yield Row("deleted api pod: replacement Ready", _spread(replaced), "< 5 s, aim 2.5 s")
        asked = [_seconds(lambda: _ask(access.url)) for _ in range(50 * rounds)]
        yield Row("GET / over a fresh connection", _spread(asked), "")
    finally:
        cluster.down()


def _replacement_seconds(client: KubeClient) -> float:
    """Delete an api pod and return how long it took until three others of its kind were Ready."""
    victim = next(pod for pod in _api_pods(client) if _ready(pod))["metadata"]
    begun = time.monotonic()
    client.api.send("DELETE", f"{PODS}/{victim['name']}")
    while time.monotonic() < begun + REPLACEMENT_SECONDS_MAX:
        others = [pod for pod in _api_pods(client) if pod["metadata"]["uid"] != victim["uid"]]
        if sum(_ready(pod) for pod in others) >= 3:
            return time.monotonic() - begun
    raise TimeoutError(f"the deleted api pod was not replaced within {REPLACEMENT_SECONDS_MAX:g} s")


def _api_pods(client: KubeClient) -> list[dict[str, Any]]:
    return list(client.api.get(PODS, {"labelSelector": "app=api"})["items"])


def _ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    going = "deletionTimestamp" in pod["metadata"]
    return not going and any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _ask(url: str) -> None:
    with urllib.request.urlopen(f"{url}/", timeout=5) as answer:  # noqa: S310 (the sandbox's own entry)
        answer.read()


def _seconds(action: Callable[[], object]) -> float:
    begun = time.monotonic()
    action()
    return time.monotonic() - begun


def _spread(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return f"{statistics.median(ordered):.3f} s ({ordered[0]:.3f} to {ordered[-1]:.3f})"


if __name__ == "__main__":
    sys.exit(main())
