"""A pretended cluster and entry over real HTTP, and stock ``chaos run`` against them as a process of its own.

It exists for what a whole cluster never does on demand: refuse a deletion, or let a pod never come back. What a
whole cluster does is tested on the sandbox.
"""

import itertools
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from flametest.model.history import History
from tests.environment import neutral_environment
from tests.patience import PATIENCE_SECONDS

Object = dict[str, Any]
EXPERIMENTS = Path(__file__).parents[2] / "experiments"


class PretendedCluster:
    """A Deployment ``api`` with three pods; a deleted pod is replaced at once."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.ending = False
        self.refuses_deletion = False
        self.replaces = True
        self.replicas_served: int | None = None  # any other number of pods fails every request; None for no such number
        self.deleted: list[str] = []
        self.requests = 0
        self.log: list[tuple[int, str, str, Object]] = []
        self.objects: dict[str, dict[str, Object]] = {"pods": {}, "deployments": {}, "replicasets": {}}
        self._numbers = itertools.count(1)
        for _ in range(3):
            self._add_pod()
        owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "api", "uid": "uid-api", "controller": True}
        self._put("replicasets", "ADDED", {"metadata": meta("replicas") | {"ownerReferences": [owner]}})
        selector = {"matchLabels": {"app": "api"}}
        counts = {"replicas": 3, "readyReplicas": 3, "updatedReplicas": 3, "availableReplicas": 3}
        self._put(
            "deployments",
            "ADDED",
            {"metadata": meta("api"), "spec": {"replicas": 3, "selector": selector}, "status": counts},
        )

    def delete(self, name: str) -> Object | None:
        """Let a pod go, and bring its replacement."""
        with self.changed:
            found = self.objects["pods"].get(name)
            if found is None or self.refuses_deletion:
                return None
            self.deleted.append(name)
            pod: Object = json.loads(json.dumps(found))
            pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
            self._put("pods", "MODIFIED", pod)
            self._put("pods", "DELETED", pod)
            if self.replaces:
                self._add_pod()
            return pod

    def scale(self, name: str, patch: Object) -> Object | None:
        """Give the Deployment another number of pods, all of which are ready at once."""
        with self.changed:
            found = self.objects["deployments"].get(name)
            if found is None:
                return None
            made: Object = json.loads(json.dumps(found))
            count = made["spec"]["replicas"] = patch["spec"]["replicas"]
            made["status"] = dict.fromkeys(made["status"], count)
            self._put("deployments", "MODIFIED", made)
            return made

    def serves(self) -> bool:
        """Return whether users are served."""
        return self.replicas_served in (None, self.objects["deployments"]["api"]["spec"]["replicas"])

    def ready_pods(self) -> list[str]:
        """Return the names of the pods."""
        with self.changed:
            return sorted(self.objects["pods"])

    def _add_pod(self) -> None:
        name = f"api-{next(self._numbers)}"
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        owners = [
            {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "api", "uid": "uid-replicas", "controller": True}
        ]
        self._put(
            "pods",
            "ADDED",
            {
                "metadata": meta(name) | {"ownerReferences": owners},
                "spec": {"containers": [{"name": "api"}]},
                "status": status,
            },
        )

    def _put(self, plural: str, kind: str, obj: Object) -> None:
        with self.changed:
            version = next(self._numbers)
            obj["metadata"]["resourceVersion"] = str(version)
            if kind == "DELETED":
                del self.objects[plural][obj["metadata"]["name"]]
            else:
                self.objects[plural][obj["metadata"]["name"]] = obj
            self.log.append((version, plural, kind, obj))
            self.changed.notify_all()


def meta(name: str) -> Object:
    """Return the metadata of an object of the app ``api``."""
    return {
        "name": name,
        "namespace": "flametest",
        "uid": f"uid-{name}",
        "labels": {"app": "api"},
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }


def in_namespace(obj: Object, namespace: str) -> Object:
    """Return an object as it would be in another namespace: there is one of each in all of them."""
    return obj | {"metadata": obj["metadata"] | {"namespace": namespace}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        cluster = self.server.cluster
        if url.path == "/":
            pods = cluster.ready_pods()
            status = 200 if cluster.serves() else 503
            self._answer({}, status, served_by=pods[next(self.server.requests) % len(pods)])
            return
        cluster.requests += 1
        if url.path == "/version":
            self._answer({"major": "1", "minor": "34", "gitVersion": "v1.34.0"})
            return
        owner, plural = url.path.rsplit("/", 2)[1:]
        query = parse_qs(url.query)
        if owner == "namespaces":
            labels = {"flametest.dev/faults": "allowed"}
            self._answer({"metadata": {"name": plural, "uid": plural, "labels": labels}, "status": {"phase": "Active"}})
            return
        if owner in cluster.objects:
            found = cluster.objects[owner].get(plural)
            missing = {"kind": "Status", "code": 404, "reason": "NotFound", "details": {"name": plural}}
            missing["message"] = f"there is no {plural}"
            self._answer(found or missing, 200 if found else 404)
            return
        if "watch" in query:
            self._watch(plural, int(query["resourceVersion"][0]), float(query["timeoutSeconds"][0]))
        else:
            with cluster.changed:
                version = cluster.log[-1][0]
                items = [in_namespace(one, owner) for one in cluster.objects.get(plural, {}).values()]
            self._answer({"kind": "List", "metadata": {"resourceVersion": str(version)}, "items": items})

    def do_POST(self) -> None:
        """Allow whatever somebody asks whether it is allowed."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._answer(asked | {"status": {"allowed": True}}, 201)

    def do_PATCH(self) -> None:
        """Scale."""
        patch = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        made = self.server.cluster.scale(urlsplit(self.path).path.rsplit("/", 1)[1], patch)
        self._answer(made or {"kind": "Status", "code": 404, "reason": "NotFound"}, 404 if made is None else 200)

    def do_DELETE(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))  # the uid that it is of, if that is said
        pod = self.server.cluster.delete(urlsplit(self.path).path.rsplit("/", 1)[1])
        refusal = {"kind": "Status", "code": 403, "reason": "Forbidden", "message": "pods may not be deleted"}
        self._answer(refusal if pod is None else pod, 403 if pod is None else 200)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test's output clean."""

    def _answer(self, body: object, status: int = 200, served_by: str = "") -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if served_by:
            self.send_header("X-Served-By", served_by)
        self.end_headers()
        self.wfile.write(data)

    def _watch(self, plural: str, version: int, seconds: float) -> None:
        cluster, end = self.server.cluster, time.monotonic() + seconds
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with suppress(OSError):
            while True:
                with cluster.changed:
                    while not cluster.ending and cluster.log[-1][0] <= version and time.monotonic() < end:
                        cluster.changed.wait(max(0.0, end - time.monotonic()))
                    if cluster.ending:
                        return
                    if cluster.log[-1][0] <= version:
                        self.wfile.write(b"0\r\n\r\n")
                        return
                    news = [entry for entry in cluster.log if entry[0] > version]
                    version = cluster.log[-1][0]
                for _, which, kind, obj in news:
                    if which == plural:
                        line = json.dumps({"type": kind, "object": obj}).encode() + b"\n"
                        self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
                        self.wfile.flush()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, cluster: PretendedCluster) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.cluster = cluster
        self.requests = itertools.count()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error of the server."""


class ChaosRun:
    """Stock ``chaos run`` of a pod-delete experiment made short, in a folder of its own."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.document = short_experiment("pod-delete-api", seconds=0.5, timeout_seconds=5)
        (folder / "home").mkdir()
        (folder / "home" / "allowed-contexts.toml").write_text(f'[contexts.pretended]\nserver = "{url}"\n')
        self.environment = {
            "KUBECONFIG": str(write_kubeconfig(folder, url)),
            "KUBERNETES_CONTEXT": "pretended",
            "FLAMETEST_URL": url,
            "FLAMETEST_RECORD_DIR": str(folder / "record"),
            "FLAMETEST_HOME": str(folder / "home"),
        }
        # Without the limit that needs hundreds of requests.
        # So low an availability is told by few requests, so that a hold is short.
        self.limits = {"outage_seconds": 3.0, "recovery_seconds": 5.0, "availability": 0.5}
        self.workload = "api"
        self.output = ""
        self.process: subprocess.Popen[str] | None = None

    def relax(self, figure: str, limit: float) -> None:
        """Give a figure another limit."""
        self.limits[figure] = limit

    def start(self) -> "subprocess.Popen[str]":
        """Start it."""
        experiment = self.folder / "pod-delete-api.json"
        experiment.write_text(json.dumps(self.document))
        limits = "".join(f"{name} = {value}\n" for name, value in self.limits.items())
        (self.folder / "limits.toml").write_text(f"[default]\n{limits}")
        inherited = neutral_environment()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "chaostoolkit", "--no-version-check", "run", str(experiment)],
            cwd=self.folder,
            env=inherited | self.environment | {"HOME": str(self.folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        return self.process

    def finish(self) -> str:
        """Wait for its end, and return what it printed."""
        process = self.process or self.start()
        return process.communicate(timeout=PATIENCE_SECONDS)[0]

    @property
    def exit_code(self) -> int | None:
        """Return its exit code."""
        return None if self.process is None else self.process.returncode

    @property
    def journal(self) -> Object:
        """Return the journal."""
        journal: Object = json.loads((self.folder / "journal.json").read_text())
        return journal

    @property
    def record(self) -> Path:
        """Return the record folder: the one that was named, or the only one below reports."""
        if "FLAMETEST_RECORD_DIR" in self.environment:
            return self.folder / "record"
        (record,) = (self.folder / "reports" / "experiments").iterdir()
        return record

    def history(self) -> History:
        """Return what was recorded so far."""
        with suppress(FileNotFoundError):
            return History.from_lines((self.record / "history.jsonl").read_text().splitlines(keepends=True))
        return History()

    def end(self) -> None:
        """End it if the test did not."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process is not None and self.process.stdout is not None:
            self.process.stdout.close()


def write_kubeconfig(folder: Path, url: str) -> Path:
    """Write the kubeconfig of a pretended cluster, and return it."""
    path = folder / "kubeconfig"
    named = {"name": "pretended"}
    path.write_text(
        json.dumps(
            {
                "clusters": [named | {"cluster": {"server": url}}],
                "users": [named | {"user": {"token": "t"}}],
                "contexts": [named | {"context": {"cluster": "pretended", "user": "pretended"}}],
            }
        )
    )
    return path


def short_experiment(name: str, seconds: float, timeout_seconds: float) -> Object:
    """Return an experiment with short waits."""
    document: Object = json.loads((EXPERIMENTS / f"{name}.json").read_text())
    baseline, _, recovery = document["method"]
    baseline["provider"]["arguments"] = {"seconds": seconds}
    recovery["provider"]["arguments"] = {"timeout_seconds": timeout_seconds, "hold_seconds": seconds}
    return document


@pytest.fixture
def pretended() -> Iterator[tuple[PretendedCluster, str]]:
    cluster = PretendedCluster()
    server = _Server(cluster)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="pretended-cluster")
    thread.start()
    yield cluster, f"http://127.0.0.1:{server.server_address[1]}"
    with cluster.changed:
        cluster.ending = True
        cluster.changed.notify_all()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def cluster(pretended: tuple[PretendedCluster, str]) -> PretendedCluster:
    return pretended[0]


@pytest.fixture
def chaos_run(pretended: tuple[PretendedCluster, str], tmp_path: Path) -> Iterator[ChaosRun]:
    run = ChaosRun(tmp_path, pretended[1])
    yield run
    run.end()
