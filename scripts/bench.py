"""Measure the figures that README and docs state, on this machine, in one run, and print them as a table.

    nox -s bench [-- --rounds 10]

It starts sandboxes of its own beside whatever runs, and ends them. Figures depend on the machine and on what else it
does, of which the load average tells: compare two versions in one sitting and look at ratios.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from flametest.clusters import ClusterOptions, provide
from flametest.kube import KubeClient, connect
from flametest.run.awaiting import READY_SECONDS
from flametest.run.deploy import NAMESPACE
from flametest.run.project import Project
from flametest.sandbox.images import ImageStore
from flametest.sandbox.launch import default_home, image_store
from scripts import bench_edges, bench_ids, bench_shipped
from scripts.bench_figures import Row, ratio, seconds_of, spread
from scripts.bench_images import copy_and_unpack, missing_programs, small_image
from scripts.bench_pods import pods, replacement_seconds, until

ROOT = Path(__file__).parents[1]
ADDRESS = "127.0.0.43"
EDGE_REQUESTS = 4000
ID_REQUESTS = 20000
ID_PATHS = ("/", "/shop/api/events")
SMALL_NAMESPACE = "small"
SMALL_PODS = 100
# Says nothing and ends at once when it is asked to.
SMALL_SCRIPT = "trap 'exit 0' TERM; sleep 3600 & wait"


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="repeats of what is repeated (default 7)")
    parser.add_argument(
        "--only", choices=("real-images",), help="measure nothing but the shipped system of real images"
    )
    options = parser.parse_args()
    rounds = options.rounds
    before = os.getloadavg()[0]
    if options.only:
        _print(before, list(bench_shipped.measure(ROOT, rounds)))
        return 0
    rows = [_help(rounds), *_edges(), *bench_shipped.measure(ROOT, rounds)]
    with tempfile.TemporaryDirectory() as home:
        os.environ["FLAMETEST_HOME"] = home
        rows += _sandbox(rounds)
    _print(before, rows)
    return 0


def _print(before: float, rows: list[Row]) -> None:
    print(f"load average {before:.1f} before, {os.getloadavg()[0]:.1f} after")
    width = max(len(row.figure) for row in rows)
    for row in rows:
        print(f"{row.figure:{width}}  {row.value:>24}  {row.aim}")


def _help(rounds: int) -> Row:
    command = [sys.executable, "-m", "flametest.cli", "--help"]
    times = [seconds_of(lambda: subprocess.run(command, check=True, capture_output=True)) for _ in range(rounds)]
    return Row("flametest --help", spread(times), "< 0.3 s")


def _edges() -> Iterator[Row]:
    direct: dict[bool, float] = {}
    for one in bench_edges.measure(EDGE_REQUESTS):
        kind = "fresh" if one.fresh else "kept"
        added = one.median_ms - direct.setdefault(one.fresh, one.median_ms)
        aim = ">= 2,000 / s, +1 ms" if "edge" in one.way else ""
        value = f"{one.per_second:,.0f} / s, {f'+{added:.2f}' if aim else f'{one.median_ms:.2f}'} ms"
        yield Row(f"requests {one.way}, {kind} connections", value, aim)
    for paced in bench_edges.measure_limits():
        value = f"{paced.came:,.0f} / s, {paced.came / paced.limit - 1:+.1%}"
        yield Row(f"edge limited to {paced.limit:,} bytes / s", value, "within 10 %")


def _sandbox(rounds: int) -> Iterator[Row]:
    project = Project(ROOT)
    cluster = provide("sandbox", ClusterOptions(images_file=project.images_file, node_port_address=ADDRESS))
    begun = time.monotonic()
    access = cluster.up()
    try:
        yield Row("sandbox: API answers, 3 nodes Ready", f"{time.monotonic() - begun:.2f} s", "<= 1.0 s")
        yield from _api(access.kubeconfig)
        with connect(access.kubeconfig, access.context) as client:
            yield from _small_pods(client, rounds)
            begun = time.monotonic()
            client.apply(project.manifests)
            client.wait_ready(NAMESPACE, READY_SECONDS)
            yield Row("manifests applied, all pods Ready", f"{time.monotonic() - begun:.2f} s", "<= 12 s, aim 6 s")
            memory = cluster.memory_bytes() or 0
            yield Row("memory of the sandbox's own processes", f"{memory / 1e6:.0f} MB", "<= 150 MB")
            replaced = [replacement_seconds(client, NAMESPACE, "api", 3) for _ in range(rounds)]
            yield Row("deleted api pod: replacement Ready", spread(replaced), "< 5 s, aim 2.5 s")
        asked = [seconds_of(lambda: _ask(access.url)) for _ in range(50 * rounds)]
        yield Row("GET / over a fresh connection", spread(asked), "")
        for path in ID_PATHS:
            cost = bench_ids.measure(f"{access.url}{path}", ID_REQUESTS)
            value = f"{cost.with_ms:.2f} ms, {cost.ratio:.3f} times ({cost.low:.3f} to {cost.high:.3f})"
            yield Row(f"GET {path} with ids, against without", value, "<= 1.01 times")
    finally:
        cluster.down()


def _api(kubeconfig: Path) -> Iterator[Row]:
    """Measure the API from a process of its own."""
    command = [sys.executable, "-m", "scripts.bench_api", str(kubeconfig)]
    measured = json.loads(subprocess.run(command, check=True, capture_output=True, cwd=ROOT).stdout)
    yield Row("API: GET of one object, 8 connections", f"{measured['gets_per_second']:,.0f} / s", ">= 5,000 / s")
    yield Row("API: list of 100 objects, 8 connections", f"{measured['lists_per_second']:,.0f} / s", ">= 1,000 / s")
    yield Row("API: a write reaches 100 watchers", f"{measured['watch_ms']:.1f} ms", "<= 20 ms")


def _small_pods(client: KubeClient, rounds: int) -> Iterator[Row]:
    """Measure pods that do nothing, so that the figures are the sandbox's own."""
    client.api.send("POST", "/api/v1/namespaces", {"metadata": {"name": SMALL_NAMESPACE}})
    deployments = f"/apis/apps/v1/namespaces/{SMALL_NAMESPACE}/deployments"
    begun = time.monotonic()
    client.api.send("POST", deployments, _small_deployment(SMALL_PODS))
    client.wait_ready(SMALL_NAMESPACE, READY_SECONDS)
    yield Row(f"{SMALL_PODS} small pods created, all Ready", f"{time.monotonic() - begun:.2f} s", "<= 10 s")
    client.api.send("DELETE", f"{deployments}/small")
    until(lambda: not pods(client, SMALL_NAMESPACE, "small"))
    client.api.send("POST", deployments, _small_deployment(3))
    client.wait_ready(SMALL_NAMESPACE, READY_SECONDS)
    replaced = [replacement_seconds(client, SMALL_NAMESPACE, "small", 3) for _ in range(3 * rounds)]
    yield Row("deleted small pod: replacement Ready", spread(replaced), "<= 0.6 s")
    plain = _small_deployment(1)["spec"]["template"]["spec"]["containers"][0]
    limited = plain | {"resources": {"limits": {"cpu": "1", "memory": "64Mi"}}}
    yield Row(
        "small pod started, with limits to without", ratio(*_started_in_turn(client, 3 * rounds, plain, limited)), ""
    )
    yield from _real_images(client, 3 * rounds, plain)
    client.api.send("DELETE", f"/api/v1/namespaces/{SMALL_NAMESPACE}")
    until(lambda: not pods(client, SMALL_NAMESPACE, "small"))


def _real_images(client: KubeClient, count: int, stand_in: dict[str, Any]) -> Iterator[Row]:
    """Measure the image store, and pods of a real image against those of a stand-in."""
    store, started = ImageStore(image_store(default_home())), "small pod started, of a real image to a stand-in"
    if missing := missing_programs():
        yield Row("real images", f"not measured: {' and '.join(missing)} not installed", "")
        return
    copied, unpacked = copy_and_unpack(store)
    yield Row("real image of 100 MB: copied into the store", f"{copied:.2f} s", "")
    yield Row("real image of 100 MB: unpacked", f"{unpacked:.2f} s", "")
    real = stand_in | {"image": small_image(store)}
    yield Row(started, ratio(*_started_in_turn(client, count, stand_in, real)), "<= 1.5 times")


def _started_in_turn(
    client: KubeClient, count: int, one: dict[str, Any], other: dict[str, Any]
) -> tuple[list[float], list[float]]:
    """Return how long pods of one container and of another take until they run, started in turn."""
    collection = f"/api/v1/namespaces/{SMALL_NAMESPACE}/pods"
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(2 * count):
        spec = {"containers": [other if number % 2 else one]}
        path = f"{collection}/started-{number}"
        begun = time.monotonic()
        client.api.send("POST", collection, {"metadata": {"name": f"started-{number}"}, "spec": spec})
        until(partial(_runs, client, path))
        times[number % 2].append(time.monotonic() - begun)
        client.api.send("DELETE", path)
    return times


def _small_deployment(replicas: int) -> dict[str, Any]:
    labels = {"app": "small"}
    container = {"name": "main", "image": "busybox:1.36", "command": ["sh", "-c", SMALL_SCRIPT]}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "small"}, "spec": spec}


def _runs(client: KubeClient, path: str) -> bool:
    return bool(client.api.get(path)["status"].get("phase") == "Running")


def _ask(url: str) -> None:
    with urllib.request.urlopen(f"{url}/", timeout=5) as answer:  # noqa: S310 (the sandbox's own entry)
        answer.read()


if __name__ == "__main__":
    sys.exit(main())
