"""Edges of HTTP, Redis and PostgreSQL on a real system: proved, told apart, and taken back without a trace."""

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flametest.edgeproxy.rules import Effect, Match, Rule
from flametest.faults.connection import ready_pods
from flametest.faults.edge import Edge
from flametest.faults.errors import FaultError
from flametest.faults.protocol import Proof
from flametest.faults.proxy_parts import Front
from flametest.faults.wrapper import Injector, applied
from flametest.kube.execute import execute
from flametest.kube.resources import CONFIG_MAPS, DEPLOYMENTS, NETWORK_POLICIES, PODS, SERVICES, Resource
from flametest.model.helperimage import HELPER_IMAGE
from tests.certificates import Authority
from tests.faults.driver import FAULTS
from tests.faults.system import System, wait_until
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.sandbox

NAMESPACE = "flametest"
SENDS = {"edge-of-caller": 13, "edge-of-store": 12}  # requests of a driver until the proof
REDIS = Edge(NAMESPACE, "redis", (Rule(Effect(delay_ms=60)),), 6379)
POSTGRES = Edge(NAMESPACE, "postgres", (Rule(Effect(delay_ms=60)),), "postgres")
SILENT = Rule(Effect(silence=True))
RESET = Rule(Effect(reset=True))
PACED = Rule(Effect(bytes_per_second=50_000))


def is_without_trace(system: System, before: str, service: str) -> bool:
    front = Front(NAMESPACE, service)
    pods = system.client.api.get(PODS.path(NAMESPACE), {"labelSelector": f"app={front.proxy}"})["items"]
    maps = [one["metadata"]["name"] for one in system.client.api.get(CONFIG_MAPS.path(NAMESPACE))["items"]]
    return system.specifications() == before and not pods and front.proxy not in maps


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (REDIS, "open connections of redis ended"),
        (replace(REDIS, rules=(SILENT,)), "found silence as asked for"),
        (POSTGRES, "open connections of postgres ended"),
        (replace(POSTGRES, rules=(RESET,)), "were reset as asked for"),
        (Edge(NAMESPACE, "frontend", (PACED,), protocol="http"), "bytes/s of 50000 asked for came"),
        (FAULTS["edge-of-caller"], "20 of 20 soundings, one after the other, were as POST, /orders, the first 3 says"),
    ],
    ids=["slow-redis", "silent-redis", "slow-postgres", "reset-postgres", "bandwidth", "first-of-caller"],
)
def test_an_edge_is_proved_and_taken_back(system: System, fault: Edge, told: str) -> None:
    before = system.whole()
    with applied(fault, system.injector()) as proof:
        assert proof.proved, proof.evidence
        assert told in proof.evidence
        assert not is_without_trace(system, before, fault.service)
    assert is_without_trace(system, before, fault.service)


def asked(system: System, pod: str, script: str) -> str:
    return execute(system.client.api, (NAMESPACE, pod), ["python3", "-c", script], timeout_seconds=60).output


def pod_of(system: System, app: str) -> str:
    return next(
        str(pod["metadata"]["name"])
        for pod in ready_pods(system.client, NAMESPACE)
        if pod["metadata"]["labels"]["app"] == app
    )


COUNTING = """
import urllib.request, urllib.error
seen = []
for _ in range({count}):
    try:
        seen.append(urllib.request.urlopen("http://logic:8080{path}", timeout=20).status)
    except urllib.error.HTTPError as error:
        seen.append(error.code)
print(seen.count(503), len(seen))
"""


def test_a_rule_for_one_caller_and_route_touches_nobody_and_nothing_else(system: System) -> None:
    system.whole()
    rule = Rule(Effect(status=(503,)), Match(path="/events/1"), of_caller=True)
    frontend = pod_of(system, "frontend")
    fault = Edge(NAMESPACE, "logic", (rule,), 8080, "http", "frontend")
    with applied(fault, system.injector()) as proof:
        assert proof.proved, proof.evidence
        assert asked(system, frontend, COUNTING.format(count=20, path="/events/1")) == "20 20\n"
        assert asked(system, frontend, COUNTING.format(count=300, path="/events")) == "0 300\n"
        # A pod of the caller that comes later is one too.
        system.client.api.send("DELETE", PODS.path(NAMESPACE, frontend))
        replacement: list[str] = []

        def replaced() -> bool:
            found = [p["metadata"]["name"] for p in ready_pods(system.client, NAMESPACE)]
            replacement[:] = [name for name in found if name.startswith("frontend-") and name != frontend]
            return frontend not in found and len(replacement) == 2

        wait_until(replaced, 90)
        switch = fault.switch(system.client)
        addresses = {
            str(pod["status"]["podIP"])
            for pod in ready_pods(system.client, NAMESPACE)
            if pod["metadata"]["name"] in replacement
        }
        wait_until(lambda: addresses <= set(switch.state()["callers"]), 60)


def refused() -> list[Any]:
    content = Rule(Effect(reset=True), Match(path="/x"))
    return [
        (replace(REDIS, rules=(content,)), "the content of a TCP edge is not read"),
        (replace(REDIS, protocol="http"), "does not answer HTTP/1.1, but redis"),
        (replace(REDIS, port=6380), "has no port 6380"),
        (replace(REDIS, service="rediss"), "holds no Service 'rediss'"),
        (replace(REDIS, caller="nobody"), "holds no Deployment or StatefulSet 'nobody'"),
        (replace(REDIS, rules=(Rule(Effect()),)), "nothing is to be injected"),
    ]


@pytest.mark.parametrize(("fault", "told"), refused(), ids=lambda one: one if isinstance(one, str) else "")
def test_an_edge_that_cannot_be_is_refused_and_nothing_stays(system: System, fault: Edge, told: str) -> None:
    before = system.whole()
    with pytest.raises(FaultError, match=told), applied(fault, system.injector()):
        raise AssertionError("it was injected")
    assert is_without_trace(system, before, "redis")


def injected(system: System, injecting: Injector, fault: Edge) -> tuple[str, Proof]:
    """Inject an edge, and return its undo record and its proof."""
    armed = injecting.arm(fault)
    fault.prepare(system.client, armed.targets)
    fault.inject(system.client, armed.targets)
    injecting.injected(armed)
    injecting.land(armed)
    return armed.record, injecting.evidence(armed)


def of_route(path: str, status: int) -> Edge:
    return Edge(NAMESPACE, "logic", (Rule(Effect(status=(status,)), Match(path=path)),), 8080, "http")


REQUESTING = """
import urllib.error, urllib.request
for path in ("/events/1", "/events/2"):
    try:
        print(urllib.request.urlopen("http://logic:8080" + path, timeout=20).status)
    except urllib.error.HTTPError as error:
        print(error.code)
"""
PINGING = """
import socket
try:
    with socket.create_connection(("redis", 6379), 5) as connection:
        connection.sendall(b"PING\\r\\n")
        connection.settimeout(3)
        print("answered" if connection.recv(64) else "closed")
except OSError as error:
    print(type(error).__name__)
"""


def of_two_callers(system: System) -> list[str]:
    """Return what becomes of a PING of Redis by api, and by logic."""
    return [asked(system, pod_of(system, app), PINGING).strip() for app in ("api", "logic")]


def of_two_routes(system: System) -> list[str]:
    """Return what the frontend is told of two events."""
    return asked(system, pod_of(system, "frontend"), REQUESTING).split()


SHARED: dict[str, tuple[tuple[Edge, Edge], Callable[[System], list[str]], list[str], list[str]]] = {
    "callers": (
        (
            replace(REDIS, rules=(replace(RESET, of_caller=True),), caller="api"),
            replace(REDIS, rules=(replace(SILENT, of_caller=True),), caller="logic"),
        ),
        of_two_callers,
        ["answered", "answered"],
        ["ConnectionResetError", "TimeoutError"],
    ),
    "routes": (
        (of_route("/events/1", 503), of_route("/events/2", 429)),
        of_two_routes,
        ["200", "200"],
        ["503", "429"],
    ),
}


@pytest.mark.parametrize(
    ("shared", "first"),
    [
        pytest.param(shared, first, marks=[] if (shared, first) == ("callers", 0) else pytest.mark.exhaustive)
        for shared in SHARED
        for first in (0, 1)
    ],
)
def test_two_edges_of_one_service_are_proved_apart_and_healed_by_name_in_either_order(
    system: System, shared: str, first: int
) -> None:
    before, injecting = system.whole(), system.injector()
    faults, fates, untouched, disturbed = SHARED[shared]
    assert fates(system) == untouched
    try:
        done = [injected(system, injecting, fault) for fault in faults]
        for _, proof in done:
            assert proof.proved, proof.evidence
        assert fates(system) == disturbed
        counted = [fault.counts(system.client)[0] for fault in faults]
        assert all(one.hit == one.matched >= 1 for one in counted), counted
        (healing,) = injecting.heal({done[first][0]})
        assert healing.healed, healing.evidence
        service = faults[0].service
        assert f"the fault proxy of Service {service} stays for" in healing.evidence
        left = [untouched[at] if at == first else disturbed[at] for at in (0, 1)]
        wait_until(lambda: fates(system) == left, 30, lambda: str(fates(system)))  # a breaker of the caller may be open
    finally:
        healed = injecting.heal()
    assert all(one.healed for one in healed), healed
    assert is_without_trace(system, before, service)
    wait_until(lambda: fates(system) == untouched, 30, lambda: str(fates(system)))


def test_edges_of_one_service_that_could_not_be_told_apart_are_refused(system: System) -> None:
    before, injecting = system.whole(), system.injector()
    refused = [
        (REDIS, "the same edge is already active"),
        (replace(REDIS, rules=(SILENT,), service="redis", protocol="http"), "takes the same port for tcp already"),
    ]
    try:
        injected(system, injecting, REDIS)
        for fault, told in refused:
            with pytest.raises(FaultError, match=told):
                injecting.arm(fault)
        injected(system, injecting, replace(REDIS, rules=(SILENT,)))
        with pytest.raises(FaultError, match="another edge lets nothing through"):
            injecting.arm(replace(REDIS, rules=(PACED,)))
    finally:
        healed = injecting.heal()
    assert all(one.healed for one in healed), healed
    assert is_without_trace(system, before, "redis")


@pytest.mark.exhaustive
@pytest.mark.parametrize("number", range(1, 9))
def test_no_trace_is_left_of_two_edges_whose_process_is_killed_after_any_request_of_the_second(
    system: System, number: int
) -> None:
    before = system.whole()
    done = system.driven("fault-proxy+edge-of-caller", f"sent-{number}", "SIGKILL")
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    wait_until(lambda: not system.left() and not system.guardians(), PATIENCE_SECONDS)
    assert is_without_trace(system, before, "logic")


@pytest.mark.exhaustive
@pytest.mark.parametrize(
    ("fault", "number"), [(fault, number) for fault, sends in SENDS.items() for number in range(1, sends + 1)]
)
def test_no_trace_is_left_of_an_edge_whose_process_is_killed_after_any_request(
    system: System, fault: str, number: int
) -> None:
    before = system.whole()
    done = system.driven(fault, f"sent-{number}", "SIGKILL")
    assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
    wait_until(lambda: not system.left() and not system.guardians(), PATIENCE_SECONDS)
    edge = FAULTS[fault]
    assert isinstance(edge, Edge)
    assert is_without_trace(system, before, edge.service)


def test_the_proxy_needs_no_image_of_ours_and_keeps_the_restricted_profile(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    system.whole()
    monkeypatch.setenv("FLAMETEST_HELPER_IMAGE", "python:3.12-alpine")
    with applied(REDIS, system.injector()) as proof:
        assert proof.proved, proof.evidence
        proxy = system.client.api.get(DEPLOYMENTS.path(NAMESPACE, Front(NAMESPACE, "redis").proxy))
        (container,) = proxy["spec"]["template"]["spec"]["containers"]
        assert container["image"] == "python:3.12-alpine"


def test_a_caller_whose_egress_is_limited_comes_through_the_proxy(system: System) -> None:
    before = system.whole()
    to = [{"podSelector": {"matchLabels": {"app": "logic"}}}]
    dns = {"ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]}
    spec = {
        "podSelector": {"matchLabels": {"app": "frontend"}},
        "policyTypes": ["Egress"],
        "egress": [{"to": to, "ports": [{"port": 8080}]}, dns],
    }
    policy = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "out"}, "spec": spec}
    system.client.api.send("POST", NETWORK_POLICIES.path(NAMESPACE), policy)
    try:
        limited = system.whole()
        rule = Rule(Effect(status=(503,)), Match(path="/events/1"), of_caller=True)
        with applied(Edge(NAMESPACE, "logic", (rule,), 8080, "http", "frontend"), system.injector()) as proof:
            assert proof.proved, proof.evidence
            frontend = pod_of(system, "frontend")
            assert asked(system, frontend, COUNTING.format(count=5, path="/events/1")) == "5 5\n"
        assert is_without_trace(system, limited, "logic")
    finally:
        system.client.api.send("DELETE", NETWORK_POLICIES.path(NAMESPACE, "out"))
    assert is_without_trace(system, before, "logic")


@pytest.fixture
def headless(system: System) -> Iterator[None]:
    """Have a headless Service beside that of Redis."""
    spec = {"clusterIP": "None", "selector": {"app": "redis"}, "ports": [{"name": "redis", "port": 6379}]}
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "stores"}, "spec": spec}
    system.client.api.send("POST", SERVICES.path(NAMESPACE), body)
    yield
    system.client.api.send("DELETE", SERVICES.path(NAMESPACE, "stores"))


@pytest.mark.usefixtures("headless")
def test_callers_of_a_headless_service_find_the_proxy_by_its_name_and_the_pods_again_afterwards(system: System) -> None:
    before = system.whole()
    pod = next(one for one in ready_pods(system.client, NAMESPACE) if one["metadata"]["labels"]["app"] == "logic")
    find = "import socket; print(*sorted({one[4][0] for one in socket.getaddrinfo('stores', 6379)}))"

    def found() -> str:
        where = (NAMESPACE, str(pod["metadata"]["name"]))
        return execute(system.client.api, where, ["python3", "-c", find]).output.strip()

    own = found()
    fault = Edge(NAMESPACE, "stores", (Rule(Effect(delay_ms=60)),), 6379)
    with applied(fault, system.injector()) as proof:
        assert proof.proved, proof.evidence
        (proxy,) = system.client.api.get(PODS.path(NAMESPACE), {"labelSelector": f"app={fault.front.proxy}"})["items"]
        wait_until(lambda: found() == proxy["status"]["podIP"], 30, found)
    wait_until(lambda: found() == own, 30, found)
    assert is_without_trace(system, before, "stores")


SECURE_PORT = 8443
SERVING = """
import http.server, ssl
class Hello(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"hello")
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("0.0.0.0", 8443), Hello)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/files/certificate", "/files/key")
server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
server.serve_forever()
"""
ASKING = """
import ssl, time, urllib.request
context = ssl.create_default_context(cadata='''{authority}''')
begin = time.monotonic()
try:
    told = urllib.request.urlopen("https://secure:8443/", timeout=3, context=context).read().decode()
except OSError as error:
    told = type(getattr(error, "reason", error)).__name__
print(told, round(time.monotonic() - begin, 3))
"""


@pytest.fixture
def secure(system: System, tmp_path: Path) -> Iterator[str]:
    """Deploy a server that speaks TLS at a port whose name does not say so, and give its authority."""
    authority = Authority(tmp_path)
    pair = authority.pair("secure")
    labels = {"app": "secure"}
    files = {"serve.py": SERVING, "certificate": pair.certificate.read_text(), "key": pair.key.read_text()}
    container = {
        "name": "secure",
        "image": HELPER_IMAGE,
        "command": ["python3", "/files/serve.py"],
        "ports": [{"containerPort": SECURE_PORT}],
        "readinessProbe": {"tcpSocket": {"port": SECURE_PORT}, "periodSeconds": 1},
        "volumeMounts": [{"name": "files", "mountPath": "/files"}],
    }
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [container], "volumes": [{"name": "files", "configMap": {"name": "secure"}}]},
    }
    made: list[tuple[Resource, Any]] = [
        (CONFIG_MAPS, {"data": files}),
        (DEPLOYMENTS, {"spec": {"selector": {"matchLabels": labels}, "template": template}}),
        (SERVICES, {"spec": {"selector": labels, "ports": [{"name": "web", "port": SECURE_PORT}]}}),
    ]
    for resource, obj in made:
        head = {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": {"name": "secure"}}
        system.client.api.send("POST", resource.path(NAMESPACE), head | obj)
    system.whole()
    yield authority.file.read_text()
    for resource, _ in reversed(made):
        system.client.api.send("DELETE", resource.path(NAMESPACE, "secure"))


@pytest.mark.exhaustive
def test_tls_through_an_edge_is_delayed_reset_and_silent_and_its_content_is_not_read(
    system: System, secure: str
) -> None:
    before, client = system.whole(), pod_of(system, "api")
    edge = Edge(NAMESPACE, "secure", (Rule(Effect(delay_ms=300)),), SECURE_PORT)

    def told() -> tuple[str, float]:
        answer, seconds = asked(system, client, ASKING.format(authority=secure)).split()
        return answer, float(seconds)

    assert told()[0] == "hello"
    with applied(edge, system.injector()) as proof:
        assert proof.proved, proof.evidence
        answer, seconds = told()
        assert answer == "hello"
        assert seconds >= 0.6  # its handshake is answered late, and so is its request
    for effect, answer in ((Effect(reset=True), "ConnectionResetError"), (Effect(silence=True), "TimeoutError")):
        with applied(replace(edge, rules=(Rule(effect),)), system.injector()) as proof:
            assert proof.proved, proof.evidence
            assert told()[0] == answer
    content = replace(edge, rules=(Rule(Effect(status=(503,))),), protocol="http")
    with pytest.raises(FaultError, match="speaks TLS"), applied(content, system.injector()):
        raise AssertionError("it was injected")
    assert told()[0] == "hello"
    assert is_without_trace(system, before, "secure")
