"""Whole lists: page by page, from the beginning when the server has forgotten the next page, in bounded time."""

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.clusters.capacity import measure_capacity
from flametest.kube import KubeClient, connect, pages
from flametest.kube.errors import ApiUnreachableError, GoneError
from flametest.kube.pages import whole_list
from flametest.kube.resources import PODS, Object


class Server:
    """A list of numbers that forgets pages at the requests that it is told."""

    def __init__(self, count: int, page: int, forgets: set[int]) -> None:
        self.count, self.page, self.forgets, self.asked = count, page, forgets, 0

    def __call__(self, query: Mapping[str, str]) -> Object:
        self.asked += 1
        assert query["labelSelector"] == "a=b"
        if "limit" not in query:
            return {"metadata": {"resourceVersion": "9"}, "items": list(range(self.count))}
        begin = int(query.get("continue", "0"))
        if begin and self.asked in self.forgets:
            raise GoneError("the provided continue parameter is too old", code=410, reason="Expired")
        end = begin + self.page
        metadata = {"resourceVersion": f"{begin}"} | ({"continue": str(end)} if end < self.count else {})
        return {"metadata": metadata, "items": list(range(begin, min(end, self.count))) or None}


@given(count=st.integers(0, 30), page=st.integers(1, 7), forgets=st.sets(st.integers(1, 40)))
def test_each_object_comes_once_whatever_the_server_forgets(count: int, page: int, forgets: set[int]) -> None:
    listing = whole_list(Server(count, page, forgets), {"labelSelector": "a=b"})
    assert cast("Any", listing.items) == list(range(count))
    assert listing.version in ("0", "9")  # of the first page: what changed since is told by a watch


def test_a_real_server_is_asked_in_pages(live_client: KubeClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "PAGE_OBJECTS", 10)
    path = "/api/v1/namespaces/default/configmaps"
    for number in range(25):
        live_client.api.send("POST", path, {"metadata": {"name": f"page-{number}", "labels": {"paged": "yes"}}})
    asked: list[str] = []
    get = live_client.api.get

    def counting(path: str, query: Any = None, **options: Any) -> Object:
        asked.append(path)
        return get(path, query, **options)

    monkeypatch.setattr(live_client.api, "get", counting)
    listing = live_client.api.listed(path, {"labelSelector": "paged=yes"})
    assert sorted(one["metadata"]["name"] for one in listing.items) == sorted(f"page-{one}" for one in range(25))
    assert len(asked) == 3
    assert int(listing.version) > 0


def test_a_list_that_never_ends_is_given_up(
    scripted_api: Any, scripted_client: KubeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAMETEST_LIST_SECONDS", "0.2")
    page = {"metadata": {"resourceVersion": "1", "continue": "more"}, "items": []}
    scripted_api.handlers = [lambda exchange: exchange.answer(page)] * 100_000
    with (
        connect(tmp_path / "kubeconfig", "scripted") as client,
        pytest.raises(ApiUnreachableError, match=r"not end|timed out"),
    ):
        client.api.listed(PODS.path())


def test_lists_have_a_time_limit_of_their_own(
    scripted_api: Any, scripted_client: KubeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLAMETEST_API_SECONDS", "0.2")

    def late(exchange: Any) -> None:
        time.sleep(0.5)  # the server's own slowness
        exchange.answer({"metadata": {"resourceVersion": "1"}, "items": []})

    with connect(tmp_path / "kubeconfig", "scripted") as client:
        scripted_api.handlers = [late, late]
        assert client.api.listed(PODS.path()).items == []
        with pytest.raises(ApiUnreachableError):
            client.api.get("/version")


def test_what_the_nodes_have_left_is_unknown_where_a_list_takes_long_and_stops_nothing(
    scripted_api: Any, scripted_client: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flametest.clusters.capacity._PAGE_SECONDS", 0.2)
    node = {"metadata": {"name": "n"}, "spec": {}, "status": {"allocatable": {"cpu": "4", "memory": "8Gi"}}}
    nodes = {"metadata": {"resourceVersion": "1"}, "items": [node]}
    ended = threading.Event()
    scripted_api.handlers = [lambda exchange: exchange.answer(nodes), lambda _: ended.wait(20)]
    told = measure_capacity(scripted_client, "shop", ()).checked()
    ended.set()
    assert "of 4 cores and 8.00 GiB; what others use, is not known: " in told
