"""The ticket shop as deployed: bought through the entry, while the pods that sell are taken away."""

import http.client
import json
import threading
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.end_to_end.conftest import System

pytestmark = pytest.mark.sandbox

PODS = "/api/v1/namespaces/flametest/pods"
BUYERS = 4


def test_a_ticket_is_bought_through_the_entry_and_its_request_id_is_in_every_log(system: System) -> None:
    identifier = uuid.uuid4().hex
    status, _ = buy(system, identifier, {"X-Request-ID": identifier})
    assert status == 201
    for app in ("nginx", "frontend", "logic"):
        assert identifier in system.kubectl("logs", "-l", f"app={app}", "--tail", "-1")


def test_the_page_is_served_by_the_entry(system: System) -> None:
    with urllib.request.urlopen(f"{system.url}/shop", timeout=60) as answer:
        page = answer.read().decode()
    assert "<h1>Events</h1>" in page


@pytest.mark.parametrize("app", ["logic", "frontend"])
def test_buyers_keep_what_they_bought_while_a_pod_is_deleted(system: System, api: Callable[..., Any], app: str) -> None:
    run, stop, replaced = uuid.uuid4().hex, threading.Event(), False
    statuses: dict[str, int] = {}

    def keep_buying(buyer: int) -> None:
        number = 0
        while not stop.is_set():
            key = f"{run}-{buyer}-{number}"
            statuses[key], _ = buy(system, key)
            number += 1

    buyers = [threading.Thread(target=keep_buying, args=(number,), name=f"buyer {number}") for number in range(BUYERS)]
    for buyer in buyers:
        buyer.start()
    try:
        replaced = replace_a_pod(api, app)
    finally:
        stop.set()
        for buyer in buyers:
            buyer.join()
    assert replaced
    assert set(statuses.values()) <= {201, 503}
    acknowledged = {key for key, status in statuses.items() if status == 201}
    assert len(acknowledged) >= 0.95 * len(statuses)
    kept = Counter(row["idempotency_key"] for row in audited(system))
    assert acknowledged <= set(kept)
    assert set(kept.values()) == {1}
    books = system.get("/shop/api/audit/books")["books"]
    assert all(book["initial"] == book["left"] + book["sold"] for book in books)


def replace_a_pod(api: Callable[..., Any], app: str) -> bool:
    """Delete one of the app's pods and return once as many others are Ready."""
    selector = f"labelSelector=app%3D{app}"
    old = [pod["metadata"] for pod in json.load(api(f"{PODS}?{selector}"))["items"]]
    ready = {pod["uid"] for pod in old}
    with api(f"{PODS}?watch=1&{selector}&timeoutSeconds=60") as events:
        api(f"{PODS}/{old[0]['name']}", "DELETE").close()
        ready.discard(old[0]["uid"])
        for line in events:
            pod = json.loads(line)["object"]
            conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", [])}
            if conditions.get("Ready") == "True" and pod["metadata"]["uid"] != old[0]["uid"]:
                ready.add(pod["metadata"]["uid"])
            if len(ready) == len(old):
                return True
    return False


def buy(system: System, key: str, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """Order one ticket over a fresh connection; return the status and the answer's JSON."""
    entry = urlsplit(system.url)
    connection = http.client.HTTPConnection(str(entry.hostname), entry.port, timeout=60)
    body = json.dumps({"event_id": 1, "quantity": 1, "customer": "end-to-end"})
    sent = {"Content-Type": "application/json", "Idempotency-Key": key} | (headers or {})
    try:
        connection.request("POST", "/shop/api/orders", body, sent)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def audited(system: System) -> list[dict[str, Any]]:
    """Return every order, page by page."""
    rows: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        page = system.get(f"/shop/api/audit?after={after}&limit=1000")
        rows += page["orders"]
        after = page["next_after"]
    return rows
