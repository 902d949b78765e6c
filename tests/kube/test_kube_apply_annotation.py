"""kubectl's annotation of what was applied last, and the API's paths."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flametest.kube.apply import LAST_APPLIED, last_applied
from flametest.kube.resources import DEPLOYMENTS, NAMESPACES, PODS


def test_the_annotation_is_written_byte_for_byte_as_kubectl_writes_it() -> None:
    # That kubectl itself agrees is tested where there is one, in test_kube_apply.py.
    obj = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "c", "namespace": "flametest"},
        "data": {"text": 'if a < b && c > d: "ü"\n'},
    }
    assert last_applied(obj) == (
        '{"apiVersion":"v1","data":{"text":"if a \\u003c b \\u0026\\u0026 c \\u003e d: \\"ü\\"\\n"},'
        '"kind":"ConfigMap","metadata":{"annotations":{},"name":"c","namespace":"flametest"}}\n'
    )


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.booleans() | st.none()))
def test_the_annotation_reads_back_as_the_object(data: dict[str, Any]) -> None:
    obj = {"metadata": {"name": "c", "annotations": {"a": "b"}}, "data": data}
    assert json.loads(last_applied(obj)) == obj
    assert LAST_APPLIED not in last_applied(obj)


def test_paths_are_those_of_the_api() -> None:
    assert PODS.path("flametest", "api-1") == "/api/v1/namespaces/flametest/pods/api-1"
    assert DEPLOYMENTS.path("flametest") == "/apis/apps/v1/namespaces/flametest/deployments"
    assert DEPLOYMENTS.path() == "/apis/apps/v1/deployments"
    assert NAMESPACES.path("ignored", "flametest") == "/api/v1/namespaces/flametest"
    assert PODS.path("a/b", "c?d") == "/api/v1/namespaces/a%2Fb/pods/c%3Fd"
