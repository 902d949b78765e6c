"""What a system asks for against what there is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.clusters import ClusterError
from flametest.clusters.capacity import Amount, Capacity, requested_by, requested_by_pod
from flametest.manifests import Manifest

AMOUNTS = st.builds(Amount, st.integers(0, 64), st.integers(0, 2**36))


def container(**requests: str) -> dict[str, Any]:
    return {"name": "main", "resources": {"requests": requests}}


def workload(kind: str, replicas: int | None, *containers: dict[str, Any]) -> Manifest:
    spec: dict[str, Any] = {"template": {"spec": {"containers": list(containers)}}}
    return Manifest("x", {"kind": kind, "spec": spec | ({} if replicas is None else {"replicas": replicas})})


def test_replicas_and_containers_add_up_and_other_kinds_ask_for_nothing() -> None:
    manifests = [
        workload("Deployment", 3, container(cpu="100m", memory="64Mi"), container(cpu="50m")),
        workload("StatefulSet", None, container(cpu="1", memory="1Gi")),
        workload("ReplicationController", 2, container(cpu="100m")),
        Manifest("x", {"kind": "Service", "spec": {}}),
        Manifest("x", {"kind": "Secret"}),
    ]
    asked = requested_by(manifests)
    assert asked.cores == pytest.approx(1.65)
    assert asked.memory_bytes == 3 * 64 * 2**20 + 2**30


def test_a_limit_without_a_request_counts_as_one_and_an_init_container_only_if_it_asks_for_more() -> None:
    spec = {
        "containers": [{"resources": {"limits": {"cpu": "2", "memory": "1Gi"}, "requests": {"memory": "256Mi"}}}],
        "initContainers": [container(cpu="1", memory="512Mi")],
    }
    assert requested_by_pod(spec) == Amount(2.0, 512 * 2**20)


@given(asked=AMOUNTS, allocatable=AMOUNTS, used=AMOUNTS)
def test_what_cannot_fit_even_empty_nodes_is_refused_and_what_will_be_tight_is_told(
    asked: Amount, allocatable: Amount, used: Amount
) -> None:
    capacity = Capacity(asked, allocatable, allocatable - used)
    if not asked.fits(allocatable):
        with pytest.raises(ClusterError, match="all nodes together have"):
            capacity.checked()
    else:
        assert ("WARNING" in capacity.checked()) is not asked.fits(allocatable - used)


@pytest.mark.parametrize("known", [None, Amount(4, 2**33)])
def test_what_one_may_not_see_is_said_and_stops_nothing(known: Amount | None) -> None:
    assert "this user may not see" in Capacity(Amount(1, 1), known, None).checked()
