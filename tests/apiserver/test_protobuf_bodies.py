"""Bodies in protobuf: those of kubectl's commands are read, others are refused as a whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.sandbox.apiserver.protobuf import MAGIC, decode_protobuf
from flametest.sandbox.errors import StatusError
from tests.apiserver.objects import code_of
from tests.apiserver.serving import Client


def varint(number: int) -> bytes:
    """Return a number on the wire."""
    head = b""
    while number > 0x7F:
        head += bytes((number & 0x7F | 0x80,))
        number >>= 7
    return head + bytes((number,))


def field(number: int, value: int | bytes | str) -> bytes:
    """Return a field on the wire: a number, or a string or message with its length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(data)) + data


def body(kind: str, version: str, raw: bytes) -> bytes:
    """Return a body as kubectl sends it."""
    return MAGIC + field(1, field(1, version) + field(2, kind)) + field(2, raw)


METADATA = field(1, "one") + field(2, "") + field(7, 0) + field(8, b"")
EVICTION = body("Eviction", "policy/v1", field(1, METADATA) + field(2, field(1, 0) + field(4, "Background")))


def test_a_config_map_is_read_without_the_zeros_that_go_writes() -> None:
    entry = field(2, field(1, "key") + field(2, "value"))
    raw = field(1, METADATA) + entry + field(3, field(1, "bin") + field(2, b"\xff"))
    assert decode_protobuf(body("ConfigMap", "v1", raw)) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "one"},
        "data": {"key": "value"},
        "binaryData": {"bin": "/w=="},
    }


def test_an_autoscaler_is_read_in_the_version_that_it_names() -> None:
    target = field(1, field(1, "Deployment") + field(2, "web") + field(3, "apps/v1"))
    reference = {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"}
    old = field(1, METADATA) + field(2, target + field(3, 5) + field(4, 60))
    assert decode_protobuf(body("HorizontalPodAutoscaler", "autoscaling/v1", old))["spec"] == {
        "scaleTargetRef": reference,
        "maxReplicas": 5,
        "targetCPUUtilizationPercentage": 60,
    }
    aim = field(1, "AverageValue") + field(3, field(1, "64Mi"))
    metric = field(1, "Resource") + field(4, field(1, "memory") + field(2, aim))
    new = field(1, METADATA) + field(2, target + field(3, 5) + field(4, metric))
    resource = {"name": "memory", "target": {"type": "AverageValue", "averageValue": "64Mi"}}
    assert decode_protobuf(body("HorizontalPodAutoscaler", "autoscaling/v2", new))["spec"] == {
        "scaleTargetRef": reference,
        "maxReplicas": 5,
        "metrics": [{"type": "Resource", "resource": resource}],
    }
    assert code_of(lambda: decode_protobuf(body("HorizontalPodAutoscaler", "autoscaling/v9", new))) == 415


def test_a_zero_that_means_something_is_kept() -> None:
    options = decode_protobuf(EVICTION)["deleteOptions"]
    assert options == {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}


@pytest.mark.parametrize(
    "sent",
    [body("Pod", "v1", b""), body("ConfigMap", "v1", field(99, "x")), body("Deployment", "apps/v1", field(9, "x"))],
)
def test_what_is_not_known_is_refused_as_a_whole(sent: bytes) -> None:
    with pytest.raises(StatusError, match="application/json only") as caught:
        decode_protobuf(sent)
    assert caught.value.code == 415


@given(st.integers(0, len(EVICTION) - 1), st.binary(max_size=6))
def test_any_bytes_are_read_or_refused(length: int, tail: bytes) -> None:
    assert code_of(lambda: decode_protobuf(EVICTION[:length] + tail)) in (0, 400, 415)


def test_a_server_takes_them(client: Client) -> None:
    sent = body("ConfigMap", "v1", field(1, METADATA))
    headers = {"Content-Type": "application/vnd.kubernetes.protobuf"}
    answer = client.call("POST", "/api/v1/namespaces/default/configmaps", headers=headers, raw=sent)
    assert (answer.status, answer.body["metadata"]["name"]) == (201, "one")
