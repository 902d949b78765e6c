"""The shipped system from real images beside the same from stand-ins: how long it starts, and pods are replaced.

The images come from the image store of the user who calls, since no registry is asked: what the manifests name and the
base image of the project's own, brought by `flametest images pull` or `flametest images load`. Where one is missing,
nothing is measured, and the row names it.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from flametest.clusters import Access, Cluster, ClusterError, ClusterOptions, provide
from flametest.kube import KubeClient, connect
from flametest.manifests import Reading, read_manifests
from flametest.run.awaiting import READY_SECONDS
from flametest.run.deploy import NAMESPACE
from flametest.run.project import Project
from flametest.sandbox.images import ImageStore
from flametest.sandbox.images.reference import parse_reference
from flametest.sandbox.launch import default_home, image_store
from scripts.bench_figures import Row, ratio, seconds_of, spread
from scripts.bench_pods import replacement_seconds

__all__ = ["measure"]

_REAL_ADDRESS, _STAND_IN_ADDRESS = "127.0.0.44", "127.0.0.45"
_APPS = {"redis": 1, "postgres": 1, "nginx": 2, "api": 3}
_STARTS_MAX = 3  # each takes both systems some seconds
_AIM = "<= 1.5 times"


def measure(root: Path, rounds: int) -> Iterator[Row]:
    """Measure starts and replacements of real images and stand-ins in turn.

    Args:
        root: the folder of the shipped project.
        rounds: how many pods of each kind are deleted in each system.
    """
    project = Project(root)
    reading = read_manifests(project.manifests)
    real = _cluster(project, _REAL_ADDRESS, "bench-real", "always")
    if reason := _lacks(real, reading):
        yield Row("shipped system of real images", f"not measured: {reason}", "")
        return
    with tempfile.TemporaryDirectory() as home, _home(home):
        stand_ins = _cluster(project, _STAND_IN_ADDRESS, "bench-stand-ins", "never")
    starts: tuple[list[float], list[float]] = ([], [])
    for _ in range(min(rounds, _STARTS_MAX)):
        for cluster, times in zip((stand_ins, real), starts, strict=True):
            with _running(cluster, reading, times):
                pass
    yield Row("shipped system of stand-ins: start to all Ready", spread(starts[0]), "")
    yield Row("shipped system of real images: start to all Ready", ratio(*starts), "<= 12 s, aim 8 s")
    with _running(stand_ins, reading, []) as base, _running(real, reading, []) as measured:
        for app, replicas in _APPS.items():
            replaced: tuple[list[float], list[float]] = ([], [])
            for _ in range(rounds):
                for client, times in zip((base, measured), replaced, strict=True):
                    times.append(replacement_seconds(client, NAMESPACE, app, replicas))
            yield Row(f"deleted {app} pod: replacement Ready, of a real image to a stand-in", ratio(*replaced), _AIM)


def _cluster(project: Project, address: str, name: str, build: str) -> Cluster:
    options = ClusterOptions(
        images_file=project.images_file, node_port_address=address, sandbox=name, build=build, namespace=NAMESPACE
    )
    return provide("sandbox", options)


def _lacks(cluster: Cluster, reading: Reading) -> str:
    """Build the project's images; return what is missing for that, or of the other images, in words."""
    store = ImageStore(image_store(default_home()))
    own = cluster.own_images(reading.images)
    given = sorted(reading.images - set(own))
    if missing := [name for name in given if store.find(parse_reference(name)) is None]:
        return f"the image store lacks {', '.join(missing)}: bring them by `flametest images pull` or `images load`"
    try:
        cluster.make_images(own, lambda _line: None)
    except ClusterError as error:
        return str(error)
    return ""


@contextmanager
def _home(folder: str) -> Iterator[None]:
    """Have a cluster keep its state and images below another folder, which it looks up when it is made."""
    before = os.environ.get("FLAMETEST_HOME")
    os.environ["FLAMETEST_HOME"] = folder
    try:
        yield
    finally:
        del os.environ["FLAMETEST_HOME"]
        if before is not None:
            os.environ["FLAMETEST_HOME"] = before


@contextmanager
def _running(cluster: Cluster, reading: Reading, times: list[float]) -> Iterator[KubeClient]:
    """Start the system, add to ``times`` how long it took until all was Ready, and end it after the block."""
    with ExitStack() as stack:
        stack.callback(cluster.down)
        clients: list[KubeClient] = []
        times.append(seconds_of(lambda: clients.append(stack.enter_context(_client(cluster.up(), reading)))))
        yield clients[0]


@contextmanager
def _client(access: Access, reading: Reading) -> Iterator[KubeClient]:
    with connect(access.kubeconfig, access.context) as client:
        client.apply(reading.manifests)
        client.wait_ready(NAMESPACE, READY_SECONDS)
        yield client
