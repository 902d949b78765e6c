"""The deployed system as its users see it: balanced, counting without gaps, keeping what it was given."""

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.end_to_end.conftest import System

pytestmark = pytest.mark.sandbox

PODS = "/api/v1/namespaces/flametest/pods"


def test_twenty_requests_show_at_least_two_pods(system: System) -> None:
    # Each draws one of three pods: all meet the same one with a probability of 3 · (1/3)^20, under one in 10^9.
    assert len({system.get("/")["hostname"] for _ in range(20)}) >= 2


def test_fresh_connections_spread_evenly_over_the_pods(system: System) -> None:
    served = Counter(system.get("/")["hostname"] for _ in range(900))

    assert len(served) == 3
    # Each draws one of three pods. By the binomial tail, one of them gets over 375 of 900 with a probability under one
    # in a million; of 300 it would get over 125 in one case of several hundred.
    assert max(served.values()) / (900 / 3) <= 1.25


def test_hits_count_without_gaps_under_parallel_requests(system: System) -> None:
    before = system.get("/hits")["hits"]
    with ThreadPoolExecutor(50) as pool:
        counted = sorted(pool.map(lambda _: system.get("/hits")["hits"], range(200)))

    assert counted == list(range(before + 1, before + 201))


def test_visits_survive_the_deletion_of_the_database_pod(system: System, api: Callable[..., Any]) -> None:
    kept = [system.post("/visits") for _ in range(5)]
    before = system.get("/visits")["count"]
    uid = json.load(api(f"{PODS}/postgres-0"))["metadata"]["uid"]

    with api(f"{PODS}?watch=1&labelSelector=app%3Dpostgres&timeoutSeconds=60") as events:
        api(f"{PODS}/postgres-0", "DELETE").close()
        for line in events:
            pod = json.loads(line)["object"]
            conditions = {one["type"]: one["status"] for one in pod["status"].get("conditions", [])}
            if pod["metadata"]["uid"] != uid and conditions.get("Ready") == "True":
                break

    assert len(kept) == 5
    assert after_reconnecting(system) == before


def after_reconnecting(system: System) -> int:
    """Return the number of visits once the services reach the new database pod; they answer 503 until then."""
    for _ in range(100):
        try:
            return int(system.get("/visits")["count"])
        except OSError:
            continue
    raise AssertionError("the api did not reach the database again")
