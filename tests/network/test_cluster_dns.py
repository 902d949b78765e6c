"""The cluster's name server: which names there are, what they resolve to, and that no bytes break it."""

from typing import Any

import pytest
from dnslib import CLASS, EDNS0, QTYPE, RCODE, DNSRecord
from hypothesis import given
from hypothesis import strategies as st

from flametest.sandbox.network.directory import ENDPOINT_SLICES, NAMESPACES, SERVICES, Snapshot
from flametest.sandbox.network.dns import TTL_SECONDS, Answerer

Object = dict[str, Any]


def snapshot() -> Snapshot:
    found = Snapshot()
    for namespace in ("default", "flametest"):
        found.put(NAMESPACES, {"metadata": {"name": namespace}})
    http = {"name": "http", "protocol": "TCP", "port": 80}
    redis = {"name": "redis", "protocol": "TCP", "port": 6379}
    _add(found, "api", {"clusterIP": "10.96.3.1", "ports": [http]}, http, [("10.244.1.2", "", True)])
    _add(
        found,
        "redis",
        {"clusterIP": "None", "ports": [redis]},
        redis,
        [("10.244.1.3", "redis-0", True), ("10.244.2.3", "redis-1", True), ("10.244.3.3", "redis-2", False)],
    )
    _add(found, "empty", {"clusterIP": "None", "ports": [redis]}, redis, [])
    _add(found, "outside", {"type": "ExternalName", "externalName": "example.org"}, http, [])
    _add(found, "inside", {"type": "ExternalName", "externalName": "api.flametest.svc.cluster.local."}, http, [])
    many = [(f"10.244.2.{number}", "", True) for number in range(10, 80)]
    _add(found, "many", {"clusterIP": "None", "ports": [http]}, http, many)
    return found


def _add(found: Snapshot, name: str, spec: Object, port: Object, endpoints: list[tuple[str, str, bool]]) -> None:
    metadata = {"name": name, "namespace": "flametest"}
    found.put(SERVICES, {"metadata": metadata, "spec": spec})
    labels = {"kubernetes.io/service-name": name}
    found.put(
        ENDPOINT_SLICES,
        {
            "metadata": {"name": f"{name}-x", "namespace": "flametest", "labels": labels},
            "endpoints": [
                {"addresses": [address], "conditions": {"ready": ready}} | ({"hostname": host} if host else {})
                for address, host, ready in endpoints
            ],
            "ports": [port],
        },
    )


@pytest.fixture
def answerer() -> Answerer:
    made = Answerer()
    made.update(snapshot())
    return made


def ask(answerer: Answerer, name: str, kind: str = "A", *, tcp: bool = False) -> DNSRecord:
    query = DNSRecord.question(name, kind)
    answer = answerer.answer(bytes(query.pack()), tcp=tcp)
    assert answer is not None
    record = DNSRecord.parse(answer)
    assert record.header.id == query.header.id
    return record


def data_of(record: DNSRecord) -> list[str]:
    return [str(one.rdata) for one in record.rr]


SVC = "flametest.svc.cluster.local"


def test_a_service_resolves_to_its_address_for_five_seconds(answerer: Answerer) -> None:
    record = ask(answerer, f"api.{SVC}")
    assert data_of(record) == ["10.96.3.1"]
    assert record.rr[0].ttl == TTL_SECONDS == 5
    assert record.header.aa == 1


def test_a_headless_service_resolves_to_its_ready_pods_in_turning_order(answerer: Answerer) -> None:
    first, second = (data_of(ask(answerer, f"redis.{SVC}")) for _ in range(2))
    assert sorted(first) == ["10.244.1.3", "10.244.2.3"]
    assert second == first[::-1]


def test_a_pod_of_a_stateful_set_has_a_name(answerer: Answerer) -> None:
    assert data_of(ask(answerer, f"redis-1.redis.{SVC}")) == ["10.244.2.3"]
    assert ask(answerer, f"redis-2.redis.{SVC}").header.rcode == RCODE.NXDOMAIN


def test_a_named_port_has_service_records_with_the_targets_addresses(answerer: Answerer) -> None:
    record = ask(answerer, f"_redis._tcp.redis.{SVC}", "SRV")
    assert sorted(data_of(record)) == [f"0 50 6379 redis-0.redis.{SVC}.", f"0 50 6379 redis-1.redis.{SVC}."]
    assert sorted(str(one.rdata) for one in record.ar) == ["10.244.1.3", "10.244.2.3"]
    assert data_of(ask(answerer, f"_http._tcp.api.{SVC}", "SRV")) == [f"0 100 80 api.{SVC}."]


def test_an_address_has_its_name(answerer: Answerer) -> None:
    assert data_of(ask(answerer, "1.3.96.10.in-addr.arpa", "PTR")) == [f"api.{SVC}."]
    assert data_of(ask(answerer, "3.1.244.10.in-addr.arpa", "PTR")) == [f"redis-0.redis.{SVC}."]
    assert ask(answerer, "9.9.9.9.in-addr.arpa", "PTR").header.rcode == RCODE.NXDOMAIN


def test_a_pods_address_is_a_name_in_its_namespace(answerer: Answerer) -> None:
    assert data_of(ask(answerer, "10-244-1-2.flametest.pod.cluster.local")) == ["10.244.1.2"]
    assert ask(answerer, "10-244-1-2.nowhere.pod.cluster.local").header.rcode == RCODE.NXDOMAIN
    assert ask(answerer, "999-244-1-2.flametest.pod.cluster.local").header.rcode == RCODE.NXDOMAIN


@pytest.mark.parametrize(
    ("name", "kind"),
    [(f"api.{SVC}", "AAAA"), (f"api.{SVC}", "TXT"), (SVC, "A"), ("svc.cluster.local", "A"), ("cluster.local", "A")],
)
def test_a_name_without_such_a_record_is_no_error(answerer: Answerer, name: str, kind: str) -> None:
    record = ask(answerer, name, kind)
    assert record.header.rcode == RCODE.NOERROR
    assert not record.rr
    assert [one.rtype for one in record.auth] == [QTYPE.SOA]


@pytest.mark.parametrize("name", [f"nobody.{SVC}", "api.nowhere.svc.cluster.local", f"empty.{SVC}", f"x.api.{SVC}"])
def test_a_name_that_is_not_there_is_nxdomain_with_a_start_of_authority(answerer: Answerer, name: str) -> None:
    record = ask(answerer, name)
    assert record.header.rcode == RCODE.NXDOMAIN
    assert [one.rtype for one in record.auth] == [QTYPE.SOA]


def test_an_external_name_is_an_alias_that_is_followed_inside_the_cluster(answerer: Answerer) -> None:
    assert data_of(ask(answerer, f"outside.{SVC}")) == ["example.org."]
    assert data_of(ask(answerer, f"inside.{SVC}")) == [f"api.{SVC}.", "10.96.3.1"]


@pytest.mark.parametrize("name", ["example.org", "local", "notcluster.local"])
def test_names_of_others_are_refused(answerer: Answerer, name: str) -> None:
    assert ask(answerer, name).header.rcode == RCODE.REFUSED


def test_the_question_comes_back_as_it_was_written(answerer: Answerer) -> None:
    record = ask(answerer, f"Api.{SVC.upper()}")
    assert str(record.q.qname) == f"Api.{SVC.upper()}."
    assert data_of(record) == ["10.96.3.1"]


def test_a_long_answer_is_cut_over_udp_and_whole_over_tcp(answerer: Answerer) -> None:
    cut = ask(answerer, f"many.{SVC}")
    assert cut.header.tc == 1
    assert not cut.rr
    whole = ask(answerer, f"many.{SVC}", tcp=True)
    assert whole.header.tc == 0
    assert len(whole.rr) == 70


def test_a_client_that_takes_more_gets_more_over_udp(answerer: Answerer) -> None:
    query = DNSRecord.question(f"_redis._tcp.redis.{SVC}", "SRV")
    query.add_ar(EDNS0(udp_len=4096))
    answer = answerer.answer(bytes(query.pack()))
    assert answer is not None
    record = DNSRecord.parse(answer)
    assert [one.rclass for one in record.ar if one.rtype == QTYPE.OPT] == [1232]


def test_names_follow_the_cluster(answerer: Answerer) -> None:
    assert ask(answerer, f"late.{SVC}").header.rcode == RCODE.NXDOMAIN
    changed = snapshot()
    _add(changed, "late", {"clusterIP": "10.96.3.9", "ports": []}, {"name": "", "port": 1}, [])
    answerer.update(changed)
    assert data_of(ask(answerer, f"late.{SVC}")) == ["10.96.3.9"]


def test_another_class_is_refused(answerer: Answerer) -> None:
    query = DNSRecord.question(f"api.{SVC}", "A")
    query.q.qclass = CLASS.CH
    answer = answerer.answer(bytes(query.pack()))
    assert answer is not None
    assert DNSRecord.parse(answer).header.rcode == RCODE.REFUSED


def test_an_answer_is_not_answered(answerer: Answerer) -> None:
    answer = answerer.answer(bytes(DNSRecord.question(f"api.{SVC}").pack()))
    assert answer is not None
    assert answerer.answer(answer) is None


_answerer_of_bytes = Answerer()
_answerer_of_bytes.update(snapshot())


@given(st.binary(max_size=80))
def test_whatever_bytes_come_an_answer_bears_their_id_or_none_is_given(data: bytes) -> None:
    answer = _answerer_of_bytes.answer(data)
    if answer is not None:
        assert answer[:2] == data[:2]
        assert DNSRecord.parse(answer).header.qr == 1


@given(st.binary(max_size=40), st.integers(0, 40))
def test_a_damaged_query_breaks_nothing(noise: bytes, position: int) -> None:
    query = bytes(DNSRecord.question(f"redis.{SVC}").pack())
    damaged = query[:position] + noise + query[position + len(noise) :]
    answer = _answerer_of_bytes.answer(damaged)
    assert answer is None or answer[:2] == damaged[:2]


@given(st.integers(0, 65535), st.sampled_from([f"api.{SVC}", f"redis-0.redis.{SVC}", "example.org", f"no.{SVC}"]))
def test_an_answer_kept_differs_only_in_its_id(number: int, name: str) -> None:
    first, again = DNSRecord.question(name), DNSRecord.question(name)
    first.header.id, again.header.id = number, (number + 1) % 65536
    one, other = _answerer_of_bytes.answer(bytes(first.pack())), _answerer_of_bytes.answer(bytes(again.pack()))
    assert one is not None
    assert other is not None
    assert one[2:] == other[2:]
    assert (one[:2], other[:2]) == (first.pack()[:2], again.pack()[:2])
