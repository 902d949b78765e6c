"""Where users enter is found where the cluster says so, or where a pod of the namespace answers; never guessed."""

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.clusters.entry import candidates, entry_service, find_entry
from flametest.kube import KubeClient
from flametest.kube.pages import Listing, whole_list
from tests.clusters.recording import answering


def service(kind: str = "NodePort", node_port: int = 30080, name: str = "nginx", **status: Any) -> dict[str, Any]:
    ports = [{"port": 80} | ({"nodePort": node_port} if node_port else {})]
    return {"metadata": {"name": name}, "spec": {"type": kind, "ports": ports}, "status": status}


def node(**addresses: str) -> dict[str, Any]:
    return {"status": {"addresses": [{"type": kind, "address": address} for kind, address in addresses.items()]}}


class StandInApi:
    """Answers lists of objects by the last part of their path."""

    def __init__(self, server: str, **lists: list[dict[str, Any]]) -> None:
        self.server = server
        self._lists = lists

    def get(self, path: str) -> dict[str, Any]:
        return {"items": self._lists.get(path.rsplit("/", 1)[1], [])}

    def listed(self, path: str) -> Listing:
        return whole_list(lambda _: self.get(path), {})


def found(server: str, **lists: list[dict[str, Any]]) -> str:
    class Client:
        api = StandInApi(server, **lists)

    port = lists["services"][0]["spec"]["ports"][0].get("nodePort", 30080) if lists["services"] else 30080
    return find_entry(cast("KubeClient", Client()), "shop", port)


PODS = [{"metadata": {"name": "nginx-1"}}]


def test_a_node_port_on_loopback_is_found_when_a_pod_of_the_namespace_answers_there() -> None:
    with answering(**{"X-Served-By": "nginx-1"}) as server:
        port = int(server.url.rpartition(":")[2])
        url = found("https://127.0.0.1:6443", services=[service(node_port=port)], pods=PODS)
    assert url == server.url


@pytest.mark.parametrize("headers", [{}, {"X-Served-By": "nginx-of-another-cluster"}])
def test_whatever_else_answers_on_loopback_is_not_taken_for_the_system(headers: dict[str, str]) -> None:
    with answering(**headers) as server:
        port = int(server.url.rpartition(":")[2])
        assert found("https://127.0.0.1:6443", services=[service(node_port=port)], pods=PODS) == ""
        nodes = [node(InternalIP="127.0.0.1")]
        assert found("https://10.0.0.1:6443", services=[service(node_port=port)], pods=PODS, nodes=nodes) == ""


def test_a_load_balancers_own_address_is_taken_as_it_is() -> None:
    with answering() as server:
        port = int(server.url.rpartition(":")[2])
        balanced = service("LoadBalancer", 0, loadBalancer={"ingress": [{"ip": "127.0.0.1"}]})
        balanced["spec"]["ports"][0]["port"] = port
        assert found("https://10.0.0.1:6443", services=[balanced], pods=PODS) == server.url


def test_without_a_service_that_is_open_to_the_outside_there_is_no_entry() -> None:
    assert found("https://127.0.0.1:6443", services=[service("ClusterIP", 0)]) == ""


def test_the_node_port_that_was_asked_for_is_the_entry_else_the_only_service_that_is_open() -> None:
    one, two = service(node_port=30080, name="one"), service(node_port=30081, name="two")
    inner = service("ClusterIP", 0, name="inner")
    assert entry_service([inner, two, one], 30080) is one
    assert entry_service([inner, two], 30080) is two
    assert entry_service([inner, service(node_port=30082), two], 30080) is None


def test_outsiders_use_a_nodes_external_address_if_it_has_one() -> None:
    nodes = [node(Hostname="n1", InternalIP="10.0.0.1", ExternalIP="198.51.100.7"), node(InternalIP="10.0.0.2")]
    urls = [one.url for one in candidates(service(), nodes, "https://198.51.100.1:6443", 30080)]
    assert urls == ["http://198.51.100.7:30080", "http://10.0.0.2:30080"]


@given(st.lists(st.ip_addresses(v=6), max_size=8))
def test_no_more_nodes_are_tried_than_people_wait_for(addresses: list[Any]) -> None:
    nodes = [node(InternalIP=str(address)) for address in addresses]
    found = list(candidates(service(), nodes, "https://198.51.100.1:6443", 30080))
    assert len(found) == min(len(addresses), 3)
    assert all(one.url.startswith("http://[") and not one.surely for one in found)


def test_what_a_redirect_leads_to_is_not_taken_for_the_system() -> None:
    with answering(**{"X-Served-By": "nginx-1"}) as elsewhere, answering(Location=elsewhere.url) as server:
        server.status = 308
        port = int(server.url.rpartition(":")[2])
        assert found("https://127.0.0.1:6443", services=[service(node_port=port)], pods=PODS) == ""
    assert elsewhere.asked == []
