"""What pods count: read from Prometheus' text format, by the API server's proxy, without what the cluster asks."""

import json
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from flametest.chaos import traffic
from flametest.chaos.traffic import TrafficReader, counted_requests
from flametest.kube import connect
from flametest.model.events import RequestsCounted
from tests.patience import PATIENCE_SECONDS

ROUTES = st.text(st.characters(codec="utf-8"), max_size=12)
PROXY = "/api/v1/namespaces/flametest/pods/{}:8080/proxy/metrics"


def pod(name: str, *, annotations: dict[str, str] | None = None, phase: str = "Running") -> dict[str, Any]:
    """Return a pod of logic whose probes ask for /healthz."""
    probe = {"httpGet": {"path": "/healthz", "port": "http"}}
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "labels": {"app": "logic"}, "annotations": annotations or {}},
        "spec": {"containers": [{"ports": [{"containerPort": 8080}], "readinessProbe": probe}]},
        "status": {"phase": phase},
    }


class Metrics(BaseHTTPRequestHandler):
    """An API server with three pods: one that counts, one that does not answer, one that did not ask to be read."""

    asked: set[str]

    def do_GET(self) -> None:
        self.asked.add(self.path.partition("?")[0])
        asks = {"prometheus.io/scrape": "true"}
        pods = [
            pod("counts", annotations=asks),
            pod("mute", annotations=asks),
            pod("private"),
            pod("late", phase="Pending"),
        ]
        text = 'http_requests_total{route="/orders",status="200"} 41.0\nhttp_requests_total{route="/healthz"} 900\n'
        bodies = {
            "/api/v1/namespaces/flametest/pods": json.dumps({"items": pods}),
            PROXY.format("counts"): text,
        }
        body = bodies.get(self.path.partition("?")[0], "").encode()
        self.send_response(200 if body else 503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def server() -> Iterator[tuple[str, set[str]]]:
    """Return the address of an API server with `Metrics`, and the paths that it was asked for."""
    asked: set[str] = set()
    found = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (Metrics,), {"asked": asked}))
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{found.server_port}", asked
    found.shutdown()
    found.server_close()
    thread.join()


@given(st.dictionaries(ROUTES, st.integers(0, 10**12), max_size=8))
def test_every_request_is_counted_but_those_to_uncounted_paths(counts: dict[str, int]) -> None:
    registry = CollectorRegistry()
    counter = Counter("http_requests", "Requests.", ("method", "route"), registry=registry)
    Counter("other_http_requests", "Others.", registry=registry).inc(3)
    for route, number in counts.items():
        counter.labels("GET", route).inc(number)
    counter.labels("GET", "/healthz").inc(7)
    counted = sum(number for route, number in counts.items() if route != "/healthz")
    assert counted_requests(generate_latest(registry).decode(), {"/healthz"}) == counted


def test_the_count_of_a_histogram_serves_where_there_is_no_counter() -> None:
    registry = CollectorRegistry()
    seconds = Histogram("http_request_duration_seconds", "Time.", ("route",), registry=registry)
    for _ in range(5):
        seconds.labels("/").observe(0.1)
    assert counted_requests(generate_latest(registry).decode()) == 5


@pytest.mark.parametrize("text", ["", "<html>", "process_cpu_seconds_total 4", "http_requests_total"])
def test_what_counts_no_requests_tells_nothing(text: str) -> None:
    assert counted_requests(text) is None


@pytest.fixture
def kubeconfig(server: tuple[str, set[str]], tmp_path: Path) -> Path:
    names = {"name": "one", "cluster": {"server": server[0]}}
    contexts = [{"name": "one", "context": {"cluster": "one", "user": "one"}}]
    config = {"clusters": [names], "users": [{"name": "one", "user": {}}], "contexts": contexts}
    path = tmp_path / "config"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **config}))
    return path


def test_a_reading_that_is_asked_for_is_not_put_off(kubeconfig: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(traffic, "EVERY_SECONDS", 3600.0)
    seen: queue.Queue[RequestsCounted] = queue.Queue()
    with connect(kubeconfig, "one") as client:
        reader = TrafficReader(client, "flametest", "pod-delete-logic", seen.put)
        reader.start()
        for _ in range(3):
            seen.get(timeout=PATIENCE_SECONDS)
            reader.read_soon()
        reader.stop()
    assert not any(thread.name.startswith("request counts") for thread in threading.enumerate())


def test_annotated_pods_are_read_and_one_that_does_not_answer_is_left_out(
    server: tuple[str, set[str]], kubeconfig: Path
) -> None:
    _, asked = server
    seen: queue.Queue[RequestsCounted] = queue.Queue()
    with connect(kubeconfig, "one") as client:
        reader = TrafficReader(client, "flametest", "pod-delete-logic", seen.put)
        reader.start()
        event = seen.get(timeout=PATIENCE_SECONDS)
        reader.stop()
    assert [(one.pod_uid, one.pod_name, one.app, one.requests) for one in event.pods] == [
        ("uid-counts", "counts", "logic", 41)
    ]
    assert event.scenario == "pod-delete-logic"
    assert {PROXY.format(name) in asked for name in ("private", "late")} == {False}
    assert not any(thread.name.startswith("request counts") for thread in threading.enumerate())
