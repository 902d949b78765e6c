"""Reading a folder of manifests, and what its mistakes say."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.kube.apply import LAST_APPLIED, last_applied
from flametest.kube.errors import ManifestError
from flametest.kube.manifests import parse_manifests, read_manifests
from flametest.kube.resources import DEPLOYMENTS, NAMESPACES, PODS

CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n"


def test_objects_come_in_the_order_of_files_and_documents(tmp_path: Path) -> None:
    (tmp_path / "20-second.yaml").write_text(CONFIG_MAP.format(name="c"))
    (tmp_path / "10-first.yaml").write_text(CONFIG_MAP.format(name="a") + "---\n" + CONFIG_MAP.format(name="b"))
    (tmp_path / "images.toml").write_text("not = 'a manifest'")
    found = read_manifests(tmp_path)
    assert [one.name for one in found] == ["a", "b", "c"]
    assert [one.source for one in found] == [
        "10-first.yaml, document 1",
        "10-first.yaml, document 2",
        "20-second.yaml, document 1",
    ]


def test_empty_documents_are_skipped_and_lists_are_taken_apart() -> None:
    items = [json.dumps({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}) for name in "xy"]
    text = f"---\n---\nkind: List\napiVersion: v1\nitems: [{', '.join(items)}]\n---\n"
    assert [(one.source, one.name) for one in parse_manifests(text, "a.yaml")] == [
        ("a.yaml, document 2", "x"),
        ("a.yaml, document 2", "y"),
    ]


@pytest.mark.parametrize(
    ("document", "says"),
    [
        ("a: [1, 2", "no valid YAML"),
        ("just a text", "expected an object, found str"),
        ("kind: Service\nmetadata: {name: a}", "no apiVersion"),
        ("apiVersion: v1\nmetadata: {name: a}", "no kind"),
        ("apiVersion: v1\nkind: Service\nmetadata: {}", "the Service has no metadata.name"),
        ("apiVersion: v1\nkind: Service", "the Service has no metadata.name"),
    ],
)
def test_a_broken_manifest_names_file_and_document(document: str, says: str) -> None:
    text = CONFIG_MAP.format(name="fine") + "---\n" + document
    with pytest.raises(ManifestError, match=rf"^30-api.yaml, document 2: .*{says}"):
        parse_manifests(text, "30-api.yaml")


def test_a_folder_without_manifests_says_so(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="holds no manifest"):
        read_manifests(tmp_path)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ManifestError, match=r"a\.yaml cannot be read"):
        read_manifests(tmp_path)


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
