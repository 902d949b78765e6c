"""When a mutating request was sent and answered."""

import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config
from kubernetes.client.rest import RESTClientObject

from flametest.kube import KubeClient
from flametest.kube.errors import NotFoundError
from flametest.kube.stamps import stamp_mutations

POD = "/api/v1/namespaces/flametest/pods/api-1"


@pytest.fixture
def official(scripted_client: KubeClient, tmp_path: Path) -> Iterator[Any]:
    """Return the official client, made as chaostoolkit-kubernetes makes its own."""
    config.load_kube_config(str(tmp_path / "kubeconfig"), context="scripted")
    with client.ApiClient() as api:
        yield client.CoreV1Api(api)


def test_a_deletion_by_the_official_client_is_stamped_around_the_servers_clock(
    scripted_api: Any, official: Any
) -> None:
    served_ns = []

    def delete(exchange: Any) -> None:
        served_ns.append(time.monotonic_ns())
        exchange.answer({"kind": "Pod", "metadata": {"name": "api-1"}})

    scripted_api.handlers = [delete]
    with stamp_mutations() as mutations:
        official.delete_namespaced_pod("api-1", "flametest")
    (mutation,) = mutations
    assert (mutation.method, mutation.path, mutation.status) == ("DELETE", POD, 200)
    assert mutation.sent_ns < served_ns[0] < mutation.acknowledged_ns
    assert mutation.accepted


def test_what_only_reads_is_not_stamped(scripted_api: Any, official: Any, scripted_client: KubeClient) -> None:
    scripted_api.handlers = [lambda exchange: exchange.answer({"items": []})] * 2
    with stamp_mutations() as mutations:
        official.list_namespaced_pod("flametest")
        scripted_client.api.get("/api/v1/namespaces/flametest/pods")
    assert mutations == []


def test_a_refused_request_is_stamped_with_its_status_and_its_error_passes(scripted_api: Any, official: Any) -> None:
    scripted_api.handlers = [lambda exchange: exchange.answer({"kind": "Status", "message": "no"}, status=403)]
    with stamp_mutations() as mutations, pytest.raises(client.ApiException):
        official.delete_namespaced_pod("api-1", "flametest")
    assert [(one.status, one.accepted) for one in mutations] == [(403, False)]


def test_requests_of_flametests_own_client_are_stamped_too(scripted_api: Any, scripted_client: KubeClient) -> None:
    scripted_api.handlers = [lambda exchange: exchange.answer({"kind": "Status", "message": "gone"}, status=404)]
    with stamp_mutations() as mutations, pytest.raises(NotFoundError):
        scripted_client.api.send("DELETE", POD, query={"gracePeriodSeconds": "0"})
    assert [(one.method, one.path, one.status) for one in mutations] == [("DELETE", POD, 404)]


def test_requests_of_other_threads_count_and_blocks_may_overlap(scripted_api: Any, scripted_client: KubeClient) -> None:
    scripted_api.handlers = [lambda exchange: exchange.answer({})] * 2
    with stamp_mutations() as outer:
        with stamp_mutations() as inner:
            thread = threading.Thread(target=scripted_client.api.send, args=("DELETE", POD))
            thread.start()
            thread.join()
        scripted_client.api.send("DELETE", POD)
    assert (len(outer), len(inner)) == (2, 1)


def test_the_official_client_is_as_before_afterwards_also_after_an_error() -> None:
    before = RESTClientObject.request
    with suppress(ValueError), stamp_mutations(), stamp_mutations():
        assert RESTClientObject.request is not before
        raise ValueError
    assert RESTClientObject.request is before
