"""The server over HTTP: who may ask, what it says of broken requests, how watches begin, go on and end."""

import asyncio
import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any, Self

import pytest

from flametest.sandbox.apiserver import ApiServer, Registry
from flametest.sandbox.errors import SandboxError
from tests.apiserver.objects import config_map, deployment, pod, service
from tests.apiserver.serving import TOKEN, Client, ServerThread

MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
METADATA = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json"


class Watch:
    """An open watch, event by event."""

    def __init__(self, server: ServerThread, path: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
        self._connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
        self.response = self._connection.getresponse()

    def next(self) -> Any:
        """Return the next event; None at the end of the watch."""
        line = self.response.readline()
        return json.loads(line) if line else None

    def seen(self, count: int) -> list[tuple[str, str]]:
        """Return type and name of the next events."""
        events = [self.next() for _ in range(count)]
        return [(event["type"], event["object"]["metadata"]["name"]) for event in events]

    def close(self) -> None:
        """Go away as a client that was killed."""
        self._connection.close()
        self.response.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@pytest.fixture
def one(client: Client) -> Iterator[dict[str, Any]]:
    """A config map that is there for one test."""
    created = client.post(MAPS, config_map("one", k="v"))
    yield created.body
    client.call("DELETE", f"{MAPS}/one")


class TestAccess:
    @pytest.mark.parametrize("path", ["/healthz", "/livez", "/readyz"])
    def test_health_needs_no_token(self, client: Client, path: str) -> None:
        answer = client.get(path, Authorization="")
        assert (answer.status, answer.body) == (200, {"text": "ok"})

    @pytest.mark.parametrize("path", ["/api", "/version", "/openapi/v3", MAPS, "/nope", f"{MAPS}/a/b/c"])
    def test_everything_else_does(self, client: Client, path: str) -> None:
        assert client.get(path, Authorization="").status == 403
        assert client.get(path, Authorization="Bearer wrong").status == 401
        assert client.get(path, Authorization=f"Basic {TOKEN}").status == 401
        assert client.get(path, Authorization="Bearer \xff").status == 401


class TestBrokenRequests:
    @pytest.mark.parametrize(
        "body", [b"{", b"[]", b"1", b"\xff", b"null", b'{"metadata": 1}', b'{"metadata": {"labels": 1}}']
    )
    def test_a_broken_body_is_a_bad_request(self, client: Client, body: bytes) -> None:
        assert client.call("POST", MAPS, raw=body).status == 400

    def test_a_body_over_the_limit_is_refused(self, client: Client) -> None:
        answer = client.post(MAPS, config_map(k="v" * 4_000_000))
        assert (answer.status, answer.body["reason"]) == (413, "RequestEntityTooLarge")

    @pytest.mark.parametrize(
        "query",
        ["limit=x", "limit=-1", "continue=nope", "labelSelector=%3D", "fieldSelector=a", "watch=1&resourceVersion=x"],
    )
    def test_a_broken_query_is_a_bad_request(self, client: Client, query: str) -> None:
        assert client.get(f"{MAPS}?{query}").status == 400

    @pytest.mark.parametrize("query", ["dryRun=Some", "fieldValidation=Odd"])
    def test_an_option_that_does_not_exist_is_invalid(self, client: Client, query: str) -> None:
        assert client.post(f"{MAPS}?{query}", config_map("x")).status == 422

    @pytest.mark.parametrize("patch", ["json-patch+json", "merge-patch+json", "strategic-merge-patch+json"])
    @pytest.mark.parametrize("body", [1, [1], None, "x", [None]])
    def test_a_broken_patch_is_refused(self, client: Client, one: dict[str, Any], patch: str, body: Any) -> None:
        raw = json.dumps(body).encode()
        answer = client.call("PATCH", f"{MAPS}/one", headers={"Content-Type": f"application/{patch}"}, raw=raw)
        assert answer.status == 400

    def test_a_form_that_is_not_served_is_not_acceptable(self, client: Client) -> None:
        assert client.get(MAPS, Accept="application/vnd.kubernetes.protobuf").status == 406
        both = "application/vnd.kubernetes.protobuf,application/json"
        assert client.get(MAPS, Accept=both).status == 200

    @pytest.mark.parametrize(
        ("method", "path", "status"),
        [
            ("POST", "/api/v1/configmaps", 405),
            ("PUT", MAPS, 405),
            ("POST", f"{MAPS}/one", 405),
            ("DELETE", "/api/v1/namespaces", 405),
            ("GET", "/api/v1/namespaces/default/nodes", 404),
            ("GET", f"{MAPS}/one/status", 404),
            ("GET", "/apis/apps/v2/deployments", 404),
        ],
    )
    def test_what_is_not_served_says_so(self, client: Client, method: str, path: str, status: int) -> None:
        assert client.call(method, path, {} if method != "GET" else None).status == status


class TestWarnings:
    def test_an_unknown_field_is_a_warning_by_default(self, client: Client) -> None:
        answer = client.post(f"{MAPS}?dryRun=All", {**config_map("w"), "bogus": 1})
        assert (answer.status, answer.warnings) == (201, ['299 - "unknown field \\"bogus\\""'])
        assert "bogus" not in answer.body

    def test_what_the_sandbox_does_not_do_is_a_warning(self, client: Client) -> None:
        spec: dict[str, Any] = {"hostNetwork": True, "volumes": [{"name": "h", "hostPath": {"path": "/"}}]}
        answer = client.post("/apis/apps/v1/namespaces/default/deployments?dryRun=All", deployment("warned", **spec))
        assert [warning.split(":")[0] for warning in answer.warnings] == [
            '299 - "spec.template.spec.hostNetwork',
            '299 - "spec.template.spec.volumes[h].hostPath',
        ]

    def test_what_it_does_has_none(self, client: Client) -> None:
        assert client.post(f"{PODS}?dryRun=All", pod("quiet")).warnings == []


class TestForms:
    def test_a_table_has_the_columns_of_its_kind(self, client: Client, one: dict[str, Any]) -> None:
        table = client.get(f"{MAPS}?fieldSelector=metadata.name%3Done", Accept=TABLE).body
        assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Data", "Age"]
        assert table["rows"][0]["cells"][:2] == ["one", 1]
        assert table["rows"][0]["object"]["metadata"]["uid"] == one["metadata"]["uid"]

    def test_rows_carry_what_was_asked_for(self, client: Client, one: dict[str, Any]) -> None:
        path = f"{MAPS}?fieldSelector=metadata.name%3Done&includeObject="
        assert client.get(f"{path}Object", Accept=TABLE).body["rows"][0]["object"]["data"] == {"k": "v"}
        assert "object" not in client.get(f"{path}None", Accept=TABLE).body["rows"][0]
        assert client.get(f"{path}All", Accept=TABLE).status == 400

    def test_metadata_alone_is_served(self, client: Client, one: dict[str, Any]) -> None:
        listed = client.get(f"{MAPS}?fieldSelector=metadata.name%3Done", Accept=METADATA).body
        assert listed["items"][0]["metadata"] == one["metadata"]
        assert "data" not in listed["items"][0]

    def test_pages_together_are_the_list(self, client: Client) -> None:
        for number in range(5):
            client.post(MAPS, config_map(f"page-{number}"))
        names, token = [], ""
        for _ in range(10):
            page = client.get(f"{MAPS}?limit=2&continue={token}").body
            assert len(page["items"]) <= 2
            names += [item["metadata"]["name"] for item in page["items"]]
            token = page["metadata"].get("continue", "")
            if not token:
                break
        assert names == [item["metadata"]["name"] for item in client.get(MAPS).body["items"]]
        for number in range(5):
            client.call("DELETE", f"{MAPS}/page-{number}")


class TestWatches:
    def test_a_watch_without_a_version_begins_with_what_exists(self, server: ServerThread, client: Client) -> None:
        client.post(MAPS, config_map("w1"))
        watch = Watch(server, f"{MAPS}?watch=true&fieldSelector=metadata.name!%3Dkube-root-ca.crt")
        assert watch.seen(1) == [("ADDED", "w1")]
        client.patch(f"{MAPS}/w1", {"data": {"a": "b"}}, "merge-patch+json")
        client.call("DELETE", f"{MAPS}/w1")
        assert watch.seen(2) == [("MODIFIED", "w1"), ("DELETED", "w1")]
        watch.close()

    def test_a_watch_from_a_version_shows_only_what_came_later(self, server: ServerThread, client: Client) -> None:
        first = client.post(MAPS, config_map("w2")).body
        client.post(MAPS, config_map("w3"))
        watch = Watch(server, f"{MAPS}?watch=1&resourceVersion={first['metadata']['resourceVersion']}")
        assert watch.seen(1) == [("ADDED", "w3")]
        watch.close()
        for name in ("w2", "w3"):
            client.call("DELETE", f"{MAPS}/{name}")

    def test_what_enters_and_leaves_a_selection_is_added_and_deleted(
        self, server: ServerThread, client: Client
    ) -> None:
        client.post(MAPS, config_map("w4"))
        watch = Watch(server, f"{MAPS}?watch=1&labelSelector=on%3Dyes")
        for value in ("yes", "no"):
            client.patch(f"{MAPS}/w4", {"metadata": {"labels": {"on": value}}}, "merge-patch+json")
        entered, left = watch.next(), watch.next()
        assert (entered["type"], left["type"]) == ("ADDED", "DELETED")
        assert left["object"]["metadata"]["labels"] == {"on": "yes"}
        assert int(left["object"]["metadata"]["resourceVersion"]) > int(
            entered["object"]["metadata"]["resourceVersion"]
        )
        watch.close()
        client.call("DELETE", f"{MAPS}/w4")

    def test_a_version_from_before_the_ring_is_an_error_event(self, server: ServerThread, client: Client) -> None:
        server.registry.store._ring_changes = 1
        for value in "abc":
            client.post(MAPS, config_map(f"ring-{value}"))
        with Watch(server, f"{MAPS}?watch=1&resourceVersion=1") as watch:
            event = watch.next()
        assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 410, "Expired")
        server.registry.store._ring_changes = 2048

    def test_a_watch_ends_when_its_time_is_over(self, server: ServerThread) -> None:
        with Watch(server, "/api/v1/nodes?watch=1&timeoutSeconds=1") as watch:
            assert watch.next() is None

    def test_initial_events_end_with_a_bookmark(self, server: ServerThread, one: dict[str, Any]) -> None:
        query = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
        watch = Watch(server, f"{MAPS}?{query}&fieldSelector=metadata.name%3Done")
        assert watch.next()["type"] == "ADDED"
        bookmark = watch.next()
        assert bookmark["type"] == "BOOKMARK"
        assert bookmark["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
        watch.close()

    def test_a_quiet_watch_gets_bookmarks(
        self, server: ServerThread, client: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("flametest.sandbox.apiserver.watching.BOOKMARK_SECONDS", 0.05)
        watch = Watch(server, "/api/v1/nodes?watch=1&allowWatchBookmarks=true")
        version = client.get(MAPS).body["metadata"]["resourceVersion"]
        assert watch.next()["object"]["metadata"]["resourceVersion"] == version
        watch.close()

    def test_a_watch_tells_the_version_shortly_before_its_end(self, server: ServerThread, client: Client) -> None:
        with Watch(server, "/api/v1/nodes?watch=1&allowWatchBookmarks=true&timeoutSeconds=3") as watch:
            version = client.get(MAPS).body["metadata"]["resourceVersion"]
            bookmark = watch.next()
            assert (bookmark["type"], bookmark["object"]["metadata"]["resourceVersion"]) == ("BOOKMARK", version)
            assert watch.next() is None

    def test_a_client_that_goes_leaves_nothing_behind(self, server: ServerThread) -> None:
        subscriptions = server.registry.store._subscriptions
        before = len(subscriptions)
        watch = Watch(server, "/api/v1/nodes?watch=1")
        watch.close()

        async def gone() -> None:
            async with asyncio.timeout(5):
                while len(subscriptions) > before:
                    await asyncio.sleep(0.01)

        asyncio.run_coroutine_threadsafe(gone(), server.loop).result(6)


class TestSubresources:
    def test_scale_sets_the_replicas_and_nothing_else(self, client: Client) -> None:
        path = "/apis/apps/v1/namespaces/default/deployments"
        client.post(path, deployment("scaled"))
        answer = client.patch(f"{path}/scaled/scale", {"spec": {"replicas": 4}}, "merge-patch+json")
        assert (answer.status, answer.body["spec"]) == (200, {"replicas": 4})
        assert client.get(f"{path}/scaled").body["spec"]["replicas"] == 4
        assert client.patch(f"{path}/scaled/scale", {"spec": {"replicas": -1}}, "merge-patch+json").status == 422
        assert client.patch(f"{path}/scaled/scale", {"spec": {"replicas": "x"}}, "merge-patch+json").status == 400

    def test_status_takes_the_status_alone(self, client: Client) -> None:
        client.post(PODS, pod("status"))
        change = {"status": {"phase": "Running"}, "metadata": {"labels": {"x": "y"}}}
        answer = client.patch(f"{PODS}/status/status", change, "strategic-merge-patch+json")
        assert answer.body["status"]["phase"] == "Running"
        assert answer.body["metadata"]["labels"] == {"app": "status"}

    def test_binding_and_eviction(self, client: Client) -> None:
        client.post(PODS, pod("bound"))
        assert client.post(f"{PODS}/bound/binding", {"target": {"name": "sandbox-1"}}).status == 201
        assert client.post(f"{PODS}/bound/binding", {"target": {"name": "sandbox-2"}}).status == 409
        assert client.post(f"{PODS}/bound/binding", {"target": {}}).status == 400
        assert client.post(f"{PODS}/bound/eviction", {"metadata": {"name": "bound"}}).status == 201
        assert client.get(f"{PODS}/bound").body["metadata"]["deletionGracePeriodSeconds"] == 30

    def test_a_review_says_that_the_token_may_do_everything(self, client: Client) -> None:
        answer = client.post(
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            {"kind": "SelfSubjectAccessReview", "spec": {"nonResourceAttributes": {"verb": "get", "path": "/x"}}},
        )
        assert (answer.status, answer.body["status"]["allowed"]) == (201, True)


def test_a_table_of_services_reads_as_with_kubectl(client: Client) -> None:
    client.post(
        "/api/v1/namespaces/default/services", service("shop", type="NodePort", ports=[{"port": 80, "nodePort": 30099}])
    )
    table = client.get("/api/v1/services?fieldSelector=metadata.name%3Dshop", Accept=TABLE).body
    cells = table["rows"][0]["cells"]
    assert (cells[1], cells[3], cells[4], cells[6]) == ("NodePort", "<none>", "80:30099/TCP", "app=shop")


async def test_closing_ends_open_watches_without_waiting() -> None:
    registry = Registry()
    server = ApiServer(registry, TOKEN)
    sock = socket.create_server(("127.0.0.1", 0))
    await server.serve(sock)
    reader, writer = await asyncio.open_connection(*sock.getsockname())
    writer.write(f"GET /api/v1/pods?watch=1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    async with asyncio.timeout(3):
        await server.close()
        await reader.read()
    await server.close()
    assert registry.store._subscriptions == set()
    writer.close()


async def test_serving_twice_is_an_error() -> None:
    server = ApiServer(Registry(), TOKEN)
    sock = socket.create_server(("127.0.0.1", 0))
    await server.serve(sock)
    with pytest.raises(SandboxError, match="serves already"):
        await server.serve(sock)
    await server.close()
