"""What ``flametest init`` writes passes where a system is sound, and fails where a weakness is planted."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from flametest.kube.resources import DEPLOYMENTS, STATEFUL_SETS, Resource
from tests.starter.cluster import PARCELS_PORT, QUOTES_PORT, SHOP_PORT, START_SECONDS, Cluster

pytestmark = [pytest.mark.sandbox, pytest.mark.exhaustive]

TRIES = 3  # a machine that is busy with something else is felt as well, or leaves a run inconclusive
SLOW_SECONDS = 20  # longer than the limit of a crash


@pytest.mark.parametrize(
    ("namespace", "port", "names"),
    [
        ("parcels", PARCELS_PORT, ["rolling-restart-counter", "outage-postgres", "crash-redis"]),
        ("quotes", QUOTES_PORT, ["pod-delete-quotes", "crash-redis"]),
        ("flametest", SHOP_PORT, ["pod-delete-frontend", "rolling-restart-nginx"]),
    ],
)
def test_a_sound_system_passes(cluster: Cluster, tmp_path: Path, namespace: str, port: int, names: list[str]) -> None:
    cluster.init(namespace, tmp_path)
    left, seen = names, dict[str, Any]()
    for _ in range(TRIES):
        seen |= cluster.measured(namespace, port, tmp_path, *left)
        left = [name for name in left if seen[name]["verdict"] != "passed"]
        if not left:
            return
    raise AssertionError({name: seen[name]["sentence"] for name in left})


@dataclass(frozen=True)
class Planted:
    """A weakness in a system: how a workload is changed, what init calls it, and the experiment that it fails."""

    namespace: str
    port: int
    workload: tuple[Resource, str]
    command: str
    seconds: int
    spec: dict[str, Any]
    rule: str
    experiment: str


PLANTED = [
    Planted(
        "parcels",
        PARCELS_PORT,
        (DEPLOYMENTS, "counter"),
        "python -m uvicorn counter:app --host 0.0.0.0 --port 8000",
        START_SECONDS,
        {"strategy": {"type": "Recreate", "rollingUpdate": None}},
        "recreate-strategy",
        "rolling-restart-counter",
    ),
    Planted(
        "quotes",
        QUOTES_PORT,
        (STATEFUL_SETS, "redis"),
        "redis-server --dir /data --appendonly yes",
        SLOW_SECONDS,
        {},
        "single-pod",
        "crash-redis",
    ),
    Planted(
        "flametest",
        SHOP_PORT,
        (DEPLOYMENTS, "frontend"),
        "python -m frontend_service",
        START_SECONDS,
        {"replicas": 1},
        "single-pod",
        "pod-delete-frontend",
    ),
]


@pytest.mark.parametrize("planted", PLANTED, ids=lambda one: one.experiment)
def test_a_planted_weakness_is_named_and_misses_the_limit_of_what_users_feel(
    cluster: Cluster, tmp_path: Path, planted: Planted
) -> None:
    command = ["sh", "-c", f"sleep {planted.seconds}; exec {planted.command}"]
    cluster.plant(planted.namespace, *planted.workload, command, **planted.spec)
    assert planted.rule in cluster.init(planted.namespace, tmp_path)
    found = cluster.measured(planted.namespace, planted.port, tmp_path, planted.experiment)[planted.experiment]
    assert found["verdict"] == "failed", found["sentence"]
    missed = [one["name"] for one in found["criteria"] if one["verdict"] == "failed"]
    assert "outage_seconds" in missed, found["sentence"]
