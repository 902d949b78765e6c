"""Locust as master and workers in pods of a real sandbox, against a server that answers more than it can ask."""

import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from flametest.clusters import Access
from flametest.faults.healing import heal_all
from flametest.faults.undo import UndoJournal
from flametest.kube import KubeClient, connect
from flametest.kube.api import MERGE
from flametest.kube.resources import NAMESPACES, PODS
from flametest.load import LoadError, LoadOptions, Locust
from flametest.manifests import parse_manifests
from flametest.measure.samples import Samples, read_samples
from flametest.model.events import LoadEnded, LoadStarted, LoadTrouble, LoadTroubled, LoadWorkerEnded, Noted
from flametest.model.history import History
from flametest.run.loadpods import PodLoadOptions, loaded_from_pods
from flametest.sandbox.launch import SandboxOptions, start
from tests.addresses import own_address

pytestmark = pytest.mark.sandbox

ROOT = Path(__file__).parents[2]
DRIVER = Path(__file__).parent / "pod_load_driver.py"
LOCUSTFILE = ROOT / "loadtests" / "locustfile.py"
ADDRESS = own_address("load")
NAMESPACE = "target"
SECONDS_MAX = 60.0

TARGET = f"""
apiVersion: v1
kind: Namespace
metadata: {{name: {NAMESPACE}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {{name: nginx, namespace: {NAMESPACE}}}
data:
  nginx.conf: |
    worker_processes 1;
    pid /tmp/nginx.pid;
    events {{ worker_connections 1024; }}
    http {{
      access_log off;
      client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi;
      uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
      keepalive_requests 1000000;
      server {{ listen 8080; add_header X-Served-By target; location / {{ return 200 "ok"; }} }}
    }}
---
apiVersion: v1
kind: Pod
metadata: {{name: target, namespace: {NAMESPACE}, labels: {{app: target}}}}
spec:
  containers:
    - name: nginx
      image: nginxinc/nginx-unprivileged:1.30-alpine
      command: [nginx, -c, /etc/target/nginx.conf, -g, "daemon off;"]
      volumeMounts: [{{name: config, mountPath: /etc/target}}]
  volumes: [{{name: config, configMap: {{name: nginx}}}}]
---
apiVersion: v1
kind: Service
metadata: {{name: target, namespace: {NAMESPACE}}}
spec:
  type: NodePort
  selector: {{app: target}}
  ports: [{{port: 80, targetPort: 8080, nodePort: 30081}}]
"""


@dataclass(frozen=True)
class Place:
    """A sandbox with something to ask."""

    access: Access
    home: Path
    client: KubeClient

    def load(self, users: int, rate_per_user: float) -> LoadOptions:
        """Return a load on one path."""
        return LoadOptions(users, rate_per_user, self.access.url, LOCUSTFILE, SECONDS_MAX, "/only")

    def load_namespaces(self) -> list[str]:
        """Return the namespaces of loads."""
        names = [str(one["metadata"]["name"]) for one in self.client.api.get(NAMESPACES.path())["items"]]
        return [name for name in names if name.startswith("flametest-load-")]

    def wait_until_removed(self) -> None:
        """Wait until no namespace of a load is left."""
        wait_until(lambda: not self.load_namespaces(), 30)
        assert UndoJournal(self.home).records() == ((), ())


def wait_until(condition: Callable[[], object], seconds: float) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that in time"
        threading.Event().wait(0.05)


def answers(url: str) -> bool:
    """Return whether something answers."""
    with suppress(OSError), urllib.request.urlopen(url, timeout=2) as answer:
        return bool(answer.status == 200)
    return False


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    home = tmp_path_factory.mktemp("home")
    images = ROOT / "manifests" / "images.toml"
    sandbox = start(SandboxOptions(home=home, node_port_address=ADDRESS, images_file=images))
    try:
        with connect(sandbox.kubeconfig, sandbox.context) as client:
            client.apply(parse_manifests(TARGET, "target"))
            access = Access(sandbox.kubeconfig, sandbox.context, f"http://{ADDRESS}:30081", NAMESPACE)
            wait_until(lambda: answers(access.url), 30)
            yield Place(access, home, client)
    finally:
        sandbox.stop()


@pytest.fixture(autouse=True)
def _home(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLAMETEST_HOME", str(place.home))


def recorded(folder: Path) -> tuple[History, Samples]:
    """Return what lies in a scenario's folder."""
    with (folder / "history.jsonl").open() as lines, (folder / "samples-load.csv").open(newline="") as rows:
        return History.from_lines(lines), read_samples(rows)


def requests_of(history: History) -> list[int]:
    """Return what the history says each worker has sent."""
    return [one.requests for one in history.of(LoadWorkerEnded)]


def test_every_request_of_every_worker_is_recorded_and_nothing_is_left_behind(place: Place, tmp_path: Path) -> None:
    options = PodLoadOptions(place.load(20, 5), workers=2)
    with loaded_from_pods("scenario", place.access, options, tmp_path, lambda _: None):
        assert len(place.load_namespaces()) == 1
        threading.Event().wait(2)
    history, samples = recorded(tmp_path)
    counts = requests_of(history)
    assert sum(counts) == len(samples) >= 200
    assert min(counts) > 0.4 * len(samples)
    assert samples.good.all()
    assert samples.pods == ("target",)
    assert all(one.clock_uncertainty_ns == 0 for one in history.of(LoadWorkerEnded))
    started, ended = history.of(LoadStarted)[0], history.of(LoadEnded)[0]
    assert (started.users, started.offered_per_second, ended.reason) == (20, 100.0, "stopped")
    between = samples.sent_between(started.at.monotonic_ns, ended.at.monotonic_ns)
    seconds = (ended.at.monotonic_ns - started.at.monotonic_ns) / 1e9
    assert len(between) / seconds == pytest.approx(100, rel=0.1)
    place.wait_until_removed()


@pytest.mark.exhaustive
def test_a_worker_that_dies_ends_the_load_with_a_reason_and_keeps_what_was_fetched(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flametest.load.collector.SILENT_SECONDS_MAX", 1.0)
    options = PodLoadOptions(place.load(10, 5), workers=2)
    with loaded_from_pods("scenario", place.access, options, tmp_path, lambda _: None):
        namespace = place.load_namespaces()[0]
        body = {"gracePeriodSeconds": 0}
        place.client.api.send("DELETE", PODS.path(namespace, "locust-worker-1"), body)
        threading.Event().wait(3)
    history, samples = recorded(tmp_path)
    assert "load worker locust-worker-1 does not answer any more" in history.of(LoadEnded)[0].reason
    assert len(samples) >= 50
    place.wait_until_removed()


def test_a_load_test_that_does_not_load_is_explained_by_its_own_words(place: Place, tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("this is no Python\n")
    load = LoadOptions(2, 1, place.access.url, broken, SECONDS_MAX)
    with (
        pytest.raises(LoadError, match=r"pod locust-\S+ .*it ended with code 1.*SyntaxError"),
        loaded_from_pods("scenario", place.access, PodLoadOptions(load, 1), tmp_path, lambda _: None),
    ):
        pytest.fail("it did not start")
    place.wait_until_removed()


BROKEN_AND_SHORT = """
from locust import FastHttpUser, LoadTestShape, between, events

@events.test_start.add_listener
def prepare(**_):
    raise RuntimeError("no data")

class Looking(FastHttpUser):
    wait_time = between(0.05, 0.1)
    tasks = [lambda user: user.client.get("/")]

class Short(LoadTestShape):
    def tick(self):
        return (4, 4) if self.get_run_time() < 6 else None
"""


def test_a_load_that_breaks_and_ends_in_pods_is_told_as_one_on_this_machine(place: Place, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.py"
    theirs.write_text(BROKEN_AND_SHORT)
    load = LoadOptions(4, None, place.access.url, theirs, SECONDS_MAX)
    with loaded_from_pods("scenario", place.access, PodLoadOptions(load, 2), tmp_path, lambda _: None):
        threading.Event().wait(8)
    history, samples = recorded(tmp_path)
    raised = {one.where for one in history.of(LoadTroubled) if one.trouble is LoadTrouble.LISTENER}
    assert raised == {f"{pod}: test_start" for pod in ("locust-master", "locust-worker-0", "locust-worker-1")}
    (ended,) = history.of(LoadEnded)
    assert (ended.reason, ended.by_itself) == ("its shape ended", True)
    assert sum(requests_of(history)) == len(samples) > 0
    place.wait_until_removed()


def test_a_run_that_is_killed_leaves_its_load_to_the_guardian(place: Place, tmp_path: Path) -> None:
    access = place.access
    command = [sys.executable, str(DRIVER), str(access.kubeconfig), access.context, access.url, NAMESPACE]
    with subprocess.Popen([*command, str(tmp_path), str(LOCUSTFILE)], stdout=subprocess.PIPE, cwd=ROOT) as driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == b"loaded\n"
        assert len(place.load_namespaces()) == 1
        driver.kill()
    assert driver.returncode == -signal.SIGKILL
    wait_until(lambda: not UndoJournal(place.home).records()[0], 30)
    place.wait_until_removed()


@pytest.mark.exhaustive
def test_a_namespace_without_the_mark_is_never_removed(place: Place, tmp_path: Path) -> None:
    options = PodLoadOptions(place.load(2, 1), workers=1, entry="http://target.target.svc")
    journal = UndoJournal(place.home)
    with loaded_from_pods("scenario", place.access, options, tmp_path, lambda _: None):
        namespace = place.load_namespaces()[0]
        patch = {"metadata": {"labels": {"flametest.dev/own": None}}}
        place.client.api.send("PATCH", NAMESPACES.path(name=namespace), patch, content_type=MERGE)
    (record,), _ = journal.records()
    healing, *_ = heal_all(journal, [record])
    assert not healing.healed
    assert "does not bear the label" in healing.evidence
    place.client.delete_namespace(namespace)
    healing, *_ = heal_all(journal, [record])
    assert healing.healed
    place.wait_until_removed()


@pytest.mark.measured
@pytest.mark.exhaustive
def test_two_workers_reach_more_than_one_process_does(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # More is offered than either reaches, so the wait for the rate is what they are given.
    monkeypatch.setattr("flametest.run.loadpods.OFFERED_SECONDS_MAX", 3.5)
    offered = place.load(120, 100)
    ratios = []
    for number in range(3):
        alone, both = tmp_path / f"alone-{number}", tmp_path / f"both-{number}"
        alone.mkdir()
        both.mkdir()
        with Locust(offered, alone):
            wait_until((alone / "samples-load.csv").exists, 20)
            threading.Event().wait(3.5)
        with loaded_from_pods("scenario", place.access, PodLoadOptions(offered, 2), both, lambda _: None):
            pass
        ratios.append(middle_second(both) / middle_second(alone))
        assert any("2 load workers did not offer 12000" in one.message for one in recorded(both)[0].of(Noted))
    print("two workers to one process:", " ".join(f"{ratio:.2f}" for ratio in ratios))
    assert sorted(ratios)[1] > 1.1


def middle_second(folder: Path) -> int:
    """Return how many requests were sent in the second that begins 1.5 s after the first."""
    with (folder / "samples-load.csv").open(newline="") as rows:
        samples = read_samples(rows)
    begin_ns = int(samples.sent_ns[0]) + 1_500_000_000
    return len(samples.sent_between(begin_ns, begin_ns + 1_000_000_000))
