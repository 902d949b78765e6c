"""The events of events.k8s.io: those of the core group under the newer names, to be read only."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.apiserver.serving import Client
from tests.apiserver.test_apiserver_http import TABLE, Watch

CORE = "/api/v1/namespaces/default/events"
NEW = "/apis/events.k8s.io/v1/namespaces/default/events"


def event(name: str, reason: str = "Started") -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": "default"},
        "involvedObject": {"kind": "Pod", "name": "web-0", "namespace": "default", "apiVersion": "v1"},
        "reason": reason,
        "message": "Container started",
        "source": {"component": "kubelet", "host": "sandbox-1"},
        "firstTimestamp": "2026-01-02T03:04:05Z",
        "lastTimestamp": "2026-01-02T03:04:05Z",
        "count": 2,
        "type": "Normal",
        "reportingComponent": "kubelet",
    }


@pytest.fixture
def started(client: Client) -> Iterator[dict[str, Any]]:
    created = client.post(CORE, event("web-0.1"))
    assert created.status == 201
    yield created.body
    client.call("DELETE", f"{CORE}/web-0.1")


def test_an_event_is_shown_under_the_newer_names(client: Client, started: dict[str, Any]) -> None:
    assert client.get(f"{NEW}/web-0.1").body == {
        "kind": "Event",
        "apiVersion": "events.k8s.io/v1",
        "metadata": started["metadata"],
        "eventTime": None,
        "reportingController": "kubelet",
        "reason": "Started",
        "regarding": started["involvedObject"],
        "note": "Container started",
        "type": "Normal",
        "deprecatedSource": {"component": "kubelet", "host": "sandbox-1"},
        "deprecatedFirstTimestamp": "2026-01-02T03:04:05Z",
        "deprecatedLastTimestamp": "2026-01-02T03:04:05Z",
        "deprecatedCount": 2,
    }


@pytest.mark.parametrize("selector", ["regarding.name=web-0", "involvedObject.name=web-0", "reportingController!=x"])
def test_lists_select_by_old_and_new_names_of_fields(client: Client, started: dict[str, Any], selector: str) -> None:
    found = client.get(f"{NEW}?fieldSelector={selector}").body
    assert (found["kind"], found["apiVersion"]) == ("EventList", "events.k8s.io/v1")
    (item,) = found["items"]
    assert "kind" not in item
    assert item["regarding"]["name"] == "web-0"
    assert client.get(f"{NEW}?fieldSelector=regarding.name=other").body["items"] == []


def test_a_watch_and_a_table_show_them_too(client: Client, server: Any, started: dict[str, Any]) -> None:
    with Watch(server, f"{NEW}?watch=1") as watch:
        assert watch.next()["object"]["note"] == "Container started"
        client.post(CORE, event("web-0.2", "Killing"))
        assert watch.next()["object"]["apiVersion"] == "events.k8s.io/v1"
    client.call("DELETE", f"{CORE}/web-0.2")
    shown = client.get(f"{NEW}?includeObject=Object", Accept=TABLE).body
    assert shown["rows"][0]["cells"][2:4] == ["Started", "pod/web-0"]
    assert shown["rows"][0]["object"]["note"] == "Container started"


def test_they_are_discovered_as_read_only_and_are(client: Client, started: dict[str, Any]) -> None:
    (entry,) = client.get("/apis/events.k8s.io/v1").body["resources"]
    assert entry["verbs"] == ["get", "list", "watch"]
    assert client.post(NEW, event("web-0.3")).status == 405
    assert client.call("DELETE", f"{NEW}/web-0.1").status == 405
    assert client.get(f"{CORE}/web-0.1").status == 200
