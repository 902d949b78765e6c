"""Requests and connections that go through the API server to pods, here servers on this machine's loopback."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from kubernetes import client as kubernetes_client
from kubernetes.stream import portforward

from flametest.sandbox.apiserver.podproxy import split_name
from flametest.sandbox.apiserver.portforward import forwarded_ports
from flametest.sandbox.errors import StatusError
from tests.addresses import free_port
from tests.apiserver.objects import pod, service
from tests.apiserver.serving import TOKEN, Client, ServerThread

PODS = "/api/v1/namespaces/default/pods"
SERVICES = "/api/v1/namespaces/default/services"


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked; /teapot with 418, /moved with a redirect."""

    hung_up = 0

    def answer(self) -> None:
        if self.path == "/hang-up":
            Echo.hung_up += 1
            self.close_connection = True
            return
        length = int(self.headers.get("Content-Length") or 0)
        told = {
            "method": self.command,
            "path": self.path,
            "body": self.rfile.read(length).decode(),
            "headers": {name.lower(): value for name, value in self.headers.items()},
        }
        content = json.dumps(told).encode()
        status = {"/teapot": 418, "/moved": 302}.get(self.path, 200)
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/elsewhere")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("X-Served-By", "web-1")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


for _method in ("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"):
    setattr(Echo, f"do_{_method}", Echo.answer)


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, name="pod")
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def web(client: Client, port: int) -> str:
    """Return the path of a pod that listens on a port, and is the endpoint of a Service."""
    made = pod()
    made["spec"]["containers"][0]["ports"] = [{"containerPort": port}]
    client.post(PODS, made)
    client.post(f"{PODS}/web/binding", {"target": {"name": "sandbox-1"}})
    status = {"status": {"phase": "Running", "podIP": "127.0.0.1"}}
    client.patch(f"{PODS}/web/status", status, "merge-patch+json")
    client.post(SERVICES, {**service("web"), "spec": {"ports": [{"name": "http", "port": 80}]}})
    ports = [{"name": "http", "port": port}]
    subsets = [{"addresses": [{"ip": "127.0.0.1"}], "ports": ports}]
    client.post("/api/v1/namespaces/default/endpoints", {"metadata": {"name": "web"}, "subsets": subsets})
    return f"{PODS}/web"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH"])
def test_method_path_query_and_body_reach_the_pod(client: Client, web: str, port: int, method: str) -> None:
    answer = client.call(method, f"{web}:{port}/proxy/faults/a%2Fb/?rate=0.3&x=%20", {"rate": 0.3})
    assert answer.status == 200
    told = (answer.body["method"], answer.body["path"], answer.body["body"])
    assert told == (method, "/faults/a%2Fb/?rate=0.3&x=%20", '{"rate": 0.3}')
    assert answer.headers["X-Served-By"] == "web-1"


def test_the_token_stays_with_the_api_server(client: Client, web: str) -> None:
    told = client.get(f"{web}/proxy/", Accept="text/html").body["headers"]
    assert "authorization" not in told
    assert told["accept"] == "text/html"
    assert told["x-forwarded-uri"] == f"{web}/proxy/"


def test_without_a_port_the_first_declared_one_is_asked(client: Client, web: str) -> None:
    assert client.get(f"{web}/proxy/").body["path"] == "/"


def test_the_pods_own_statuses_and_redirects_are_passed_on(client: Client, web: str) -> None:
    assert client.get(f"{web}/proxy/teapot").status == 418
    moved = client.get(f"{web}/proxy/moved")
    assert (moved.status, moved.headers["Location"]) == (302, f"{web}/proxy/elsewhere")
    assert client.call("HEAD", f"{web}/proxy/").status == 200


def test_a_path_without_its_slash_is_redirected(client: Client, web: str) -> None:
    answer = client.get(f"{web}/proxy?a=1")
    assert (answer.status, answer.headers["Location"]) == (301, f"{web}/proxy/?a=1")


def test_a_port_where_nothing_listens_is_unavailable(client: Client, web: str) -> None:
    closed = free_port()
    answer = client.get(f"{web}:{closed}/proxy/")
    assert (answer.status, answer.body["reason"]) == (503, "ServiceUnavailable")
    refused = f"error trying to reach service: dial tcp 127.0.0.1:{closed}: connect: connection refused"
    assert answer.body["message"] == refused


def test_a_request_that_the_pod_hangs_up_on_is_not_sent_again(client: Client, web: str) -> None:
    answer = client.get(f"{web}/proxy/hang-up")
    assert (answer.status, answer.body["reason"]) == (503, "ServiceUnavailable")
    assert answer.body["message"].startswith("error trying to reach service: ")
    assert Echo.hung_up == 1


def test_a_pod_without_address_or_with_a_broken_port_is_refused(client: Client, web: str) -> None:
    client.post(PODS, pod("pending"))
    assert client.get(f"{PODS}/pending/proxy/").status == 400
    assert client.get(f"{PODS}/none/proxy/").status == 404
    assert client.get(f"{web}:http/proxy/").status == 400
    assert client.call("GET", f"{web}/proxy/", headers={"Authorization": ""}).status == 403


@pytest.mark.parametrize("name", ["web:http", "web:80", "http:web:http"])
def test_a_service_is_reached_at_an_endpoint(client: Client, web: str, name: str) -> None:
    assert web
    assert client.get(f"{SERVICES}/{name}/proxy/orders?id=1").body["path"] == "/orders?id=1"


def test_a_service_without_endpoint_or_port_is_unavailable(client: Client, web: str) -> None:
    assert web
    client.post(SERVICES, service("empty"))
    for name, message in (
        ("empty", 'no endpoints available for service "empty"'),
        ("web:81", 'no service port 81 found for service "web"'),
        ("web:none", 'no endpoints available for service "web"'),
    ):
        answer = client.get(f"{SERVICES}/{name}/proxy/")
        assert (answer.status, answer.body["message"]) == (503, message)


def test_names_with_scheme_and_port() -> None:
    assert split_name("web") == ("http", "web", "")
    assert split_name("web:80") == ("http", "web", "80")
    assert split_name("https:web:443") == ("https", "web", "443")
    assert split_name(":web:443") == ("http", "web", "443")
    for broken in ("", "ftp:web:80", "a:b:c:d", ":80"):
        with pytest.raises(StatusError, match="expected NAME"):
            split_name(broken)


def test_the_official_client_forwards_ports(server: ServerThread, web: str, port: int) -> None:
    assert web
    configuration = kubernetes_client.Configuration(host=server.url, api_key={"authorization": f"Bearer {TOKEN}"})
    with kubernetes_client.ApiClient(configuration) as api_client:
        api = kubernetes_client.CoreV1Api(api_client)
        closed = free_port()
        forwarded = portforward(api.connect_get_namespaced_pod_portforward, "web", "default", ports=f"{port},{closed}")
        connection = forwarded.socket(port)
        connection.settimeout(10)
        connection.sendall(b"GET /through HTTP/1.0\r\n\r\n")
        received = b""
        while data := connection.recv(4096):
            received += data
        assert b'"path": "/through"' in received
        assert "failed to connect" in forwarded.error(closed)
        end(forwarded)


def end(forwarded: Any) -> None:
    """End what the client leaves open: its thread and its socket."""
    forwarded.close()
    for thread in threading.enumerate():
        if thread.name.startswith("Kubernetes port forward proxy"):
            thread.join(10)
    forwarded.websocket.shutdown()


def test_ports_have_to_be_numbers() -> None:
    assert forwarded_ports(["80", "81,82"]) == [80, 81, 82]
    for broken in ([], ["http"], ["0"], ["65536"], ["1"] * 33):
        with pytest.raises(StatusError):
            forwarded_ports(broken)
