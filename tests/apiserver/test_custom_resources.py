"""Custom resources: served as soon as their definition is written, and gone with it. Asked over HTTP."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.sandbox.apiserver.columns.custom import values_at
from tests.apiserver.serving import Client, ServerThread

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
GROUP = "/apis/example.com"
WIDGETS = f"{GROUP}/v1/namespaces/default/widgets"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
SCHEMA = {
    "type": "object",
    "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer", "description": "how big"}}}},
}
COLUMNS = [
    {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
    {"name": "Ready", "type": "string", "jsonPath": '.status.conditions[?(@.type=="Ready")].status'},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
]


def version(name: str = "v1", *, storage: bool = True, **more: Any) -> dict[str, Any]:
    return {"name": name, "served": True, "storage": storage, "schema": {"openAPIV3Schema": SCHEMA}, **more}


def definition(**spec: Any) -> dict[str, Any]:
    names = {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"], "categories": ["all"]}
    versions = [version(additionalPrinterColumns=COLUMNS, subresources={"status": {}})]
    whole = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": versions, **spec}
    return {"metadata": {"name": "widgets.example.com"}, "spec": whole}


def widget(name: str = "one", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": {"size": 3, "tags": ["a", "b"], "deep": {"er": {"x": None, "y": 1}}, **spec},
    }


@pytest.fixture
def client() -> Iterator[Client]:
    """A client of a server of its own, which knows widgets."""
    with ServerThread() as server:
        client = Client(server)
        assert client.post(DEFINITIONS, definition()).status == 201
        yield client
        client.close()


def test_a_definition_is_established_at_once_and_says_what_is_not_done_with_it(client: Client) -> None:
    found = client.get(f"{DEFINITIONS}/widgets.example.com").body
    assert {c["type"]: c["status"] for c in found["status"]["conditions"]} == {
        "NamesAccepted": "True",
        "Established": "True",
    }
    assert found["status"]["acceptedNames"]["listKind"] == "WidgetList"
    assert found["status"]["storedVersions"] == ["v1"]
    assert found["spec"]["names"]["singular"] == "widget"
    patched = client.patch(
        f"{DEFINITIONS}/widgets.example.com", {"metadata": {"labels": {"a": "b"}}}, "merge-patch+json"
    )
    assert any("no controller acts on its objects" in warning for warning in patched.warnings)
    written = client.post(WIDGETS, widget())
    assert written.status == 201
    assert any("Widget: no controller acts on custom resources" in warning for warning in written.warnings)


def test_discovery_and_documents_show_it(client: Client) -> None:
    assert "example.com" in [group["name"] for group in client.get("/apis").body["groups"]]
    assert client.get(GROUP).body["preferredVersion"]["groupVersion"] == "example.com/v1"
    resources = {one["name"]: one for one in client.get(f"{GROUP}/v1").body["resources"]}
    assert resources["widgets"]["shortNames"] == ["wd"]
    assert resources["widgets"]["categories"] == ["all"]
    assert set(resources) == {"widgets", "widgets/status"}
    paths = client.get("/openapi/v3").body["paths"]
    document = client.get(paths["apis/example.com/v1"]["serverRelativeURL"]).body
    (schema,) = (one for name, one in document["components"]["schemas"].items() if name.endswith("Widget"))
    assert schema["properties"]["spec"]["properties"]["size"]["description"] == "how big"
    operation = document["paths"]["/apis/example.com/v1/namespaces/{namespace}/widgets/{name}"]["patch"]
    assert "application/strategic-merge-patch+json" not in operation["requestBody"]["content"]


def test_an_object_is_kept_as_it_was_written_and_read_and_listed(client: Client) -> None:
    created = client.post(WIDGETS, widget()).body
    assert created["spec"] == widget()["spec"]
    assert created["metadata"]["generation"] == 1
    assert client.get(f"{WIDGETS}/one").body == created
    listed = client.get(f"{GROUP}/v1/widgets?labelSelector=!x").body
    assert (listed["kind"], listed["apiVersion"]) == ("WidgetList", "example.com/v1")
    assert listed["items"] == [created]
    assert client.post(WIDGETS, widget()).status == 409


def test_it_is_shown_as_a_table_with_the_columns_of_its_definition(client: Client) -> None:
    client.post(WIDGETS, widget())
    status = {"status": {"conditions": [{"type": "Other", "status": "x"}, {"type": "Ready", "status": "True"}]}}
    assert client.patch(f"{WIDGETS}/one/status", status, "merge-patch+json").status == 200
    shown = client.get(WIDGETS, Accept=TABLE).body
    assert [column["name"] for column in shown["columnDefinitions"]] == ["Name", "Size", "Ready", "Age"]
    (row,) = shown["rows"]
    assert row["cells"][:3] == ["one", 3, "True"]
    assert row["cells"][3].endswith("s")


def test_merge_and_json_patches_change_it_and_a_strategic_one_is_not_taken(client: Client) -> None:
    client.post(WIDGETS, widget())
    merged = client.patch(f"{WIDGETS}/one", {"spec": {"size": 4, "tags": ["c"], "deep": None}}, "merge-patch+json").body
    assert merged["spec"] == {"size": 4, "tags": ["c"]}
    assert merged["metadata"]["generation"] == 2
    operation = [{"op": "add", "path": "/spec/tags/-", "value": "d"}]
    assert client.patch(f"{WIDGETS}/one", operation, "json-patch+json").body["spec"]["tags"] == ["c", "d"]
    refused = client.patch(f"{WIDGETS}/one", {"spec": {}}, "strategic-merge-patch+json")
    assert refused.status == 415


def test_server_side_apply_owns_fields_of_it_one_by_one(client: Client) -> None:
    def apply(manager: str, spec: dict[str, Any], *, force: bool = False) -> Any:
        path = f"{WIDGETS}/one?fieldManager={manager}&force={str(force).lower()}"
        return client.patch(path, {**widget(), "spec": spec}, "apply-patch+yaml")

    assert apply("first", {"size": 1, "nested": {"a": 1}}).status == 201
    both = apply("second", {"nested": {"b": 2}})
    assert both.body["spec"] == {"size": 1, "nested": {"a": 1, "b": 2}}
    assert apply("second", {"size": 2}).status == 409
    assert apply("second", {"size": 2}, force=True).body["spec"] == {"size": 2, "nested": {"a": 1}}


def test_it_is_replaced_only_by_who_knows_its_version(client: Client) -> None:
    created = client.post(WIDGETS, widget()).body
    blind = client.call("PUT", f"{WIDGETS}/one", widget(size=5))
    assert (blind.status, blind.body["details"]["causes"][0]["field"]) == (422, "metadata.resourceVersion")
    created["spec"]["size"] = 5
    assert client.call("PUT", f"{WIDGETS}/one", created).body["spec"]["size"] == 5
    assert client.call("PUT", f"{WIDGETS}/one", created).status == 409


def test_the_status_is_written_by_itself(client: Client) -> None:
    created = client.post(WIDGETS, {**widget(), "status": {"phase": "made up"}}).body
    assert "status" not in created
    told = client.patch(
        f"{WIDGETS}/one/status", {"status": {"phase": "Ready"}, "spec": {"size": 9}}, "merge-patch+json"
    )
    assert (told.body["status"], told.body["spec"]["size"]) == ({"phase": "Ready"}, 3)
    assert told.body["metadata"]["generation"] == 1
    assert client.patch(f"{WIDGETS}/one", {"status": {"phase": "no"}}, "merge-patch+json").body["status"] == {
        "phase": "Ready"
    }


def test_a_watch_tells_of_it(client: Client) -> None:
    created = client.post(WIDGETS, widget()).body
    since = created["metadata"]["resourceVersion"]
    client.patch(f"{WIDGETS}/one", {"spec": {"size": 7}}, "merge-patch+json")
    client.call("DELETE", f"{WIDGETS}/one")
    text = client.get(f"{WIDGETS}?watch=true&resourceVersion={since}&timeoutSeconds=1").body["text"]
    events = [json.loads(line) for line in text.splitlines()]
    assert [(event["type"], event["object"]["spec"]["size"]) for event in events] == [("MODIFIED", 7), ("DELETED", 7)]


def test_its_objects_go_with_the_definition(client: Client) -> None:
    client.post(WIDGETS, widget())
    assert client.call("DELETE", f"{DEFINITIONS}/widgets.example.com").status == 200
    assert client.get(WIDGETS).status == 404
    assert client.get(GROUP).status == 404
    assert client.get(f"{DEFINITIONS}/widgets.example.com").status == 404
    assert client.post(DEFINITIONS, definition()).status == 201
    assert client.get(WIDGETS).body["items"] == []


def test_an_object_with_a_finalizer_holds_the_definition_which_takes_no_further_ones(client: Client) -> None:
    held = widget()
    held["metadata"]["finalizers"] = ["example.com/hold"]
    client.post(WIDGETS, held)
    client.call("DELETE", f"{DEFINITIONS}/widgets.example.com")
    assert "deletionTimestamp" in client.get(f"{DEFINITIONS}/widgets.example.com").body["metadata"]
    assert client.post(WIDGETS, widget("late")).status == 405
    client.patch(f"{WIDGETS}/one", {"metadata": {"finalizers": None}}, "merge-patch+json")
    assert client.get(f"{DEFINITIONS}/widgets.example.com").status == 404


def test_its_objects_go_with_their_namespace(client: Client) -> None:
    client.post("/api/v1/namespaces", {"metadata": {"name": "short"}})
    assert client.post(WIDGETS.replace("default", "short"), widget()).status == 201
    client.call("DELETE", "/api/v1/namespaces/short")
    assert client.get("/api/v1/namespaces/short").status == 404
    assert client.get(f"{GROUP}/v1/widgets").body["items"] == []


def test_a_foreground_deletion_waits_for_nothing(client: Client) -> None:
    client.post(WIDGETS, widget())
    assert client.call("DELETE", f"{WIDGETS}/one?propagationPolicy=Foreground").status == 200
    assert client.get(f"{WIDGETS}/one").status == 404


def test_every_version_shows_the_same_object_under_its_own_name(client: Client) -> None:
    versions = [version("v1alpha1", storage=False), version("v1"), version("v2", storage=False)]
    changed = client.patch(f"{DEFINITIONS}/widgets.example.com", {"spec": {"versions": versions}}, "merge-patch+json")
    assert changed.status == 200, changed.body
    newer = WIDGETS.replace("/v1/", "/v2/")
    created = client.post(newer, {**widget(), "apiVersion": "example.com/v2"})
    assert created.body["apiVersion"] == "example.com/v2"
    assert client.get(f"{WIDGETS}/one").body["apiVersion"] == "example.com/v1"
    assert client.patch(f"{newer}/one", {"spec": {"size": 8}}, "merge-patch+json").body["spec"]["size"] == 8
    listed = client.get(WIDGETS.replace("/v1/", "/v1alpha1/")).body
    assert [(one["apiVersion"], one["spec"]["size"]) for one in listed["items"]] == [("example.com/v1alpha1", 8)]
    assert client.call("DELETE", f"{newer}/one").status == 200
    assert client.get(f"{WIDGETS}/one").status == 404


def test_a_webhook_for_conversion_is_not_asked_and_that_is_said(client: Client) -> None:
    change = {"spec": {"conversion": {"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"]}}}}
    changed = client.patch(f"{DEFINITIONS}/widgets.example.com", change, "merge-patch+json")
    assert changed.status == 200, changed.body
    assert any("spec.conversion.strategy: not supported by the sandbox" in warning for warning in changed.warnings)
    assert client.post(WIDGETS, widget()).status == 201


def test_a_cluster_scoped_kind_has_no_namespace() -> None:
    with ServerThread() as server:
        client = Client(server)
        assert client.post(DEFINITIONS, definition(scope="Cluster")).status == 201
        assert client.post(f"{GROUP}/v1/widgets", widget()).status == 201
        assert client.get(WIDGETS).status == 404
        client.close()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"group": "example"}, "spec.group"),
        ({"group": "other.com"}, "metadata.name"),
        ({"scope": "Somewhere"}, "spec.scope"),
        ({"versions": []}, "spec.versions"),
        ({"versions": [version(), version("v2")]}, "spec.versions"),
        ({"versions": [{"name": "v1", "served": True, "storage": True}]}, "spec.versions[0].schema.openAPIV3Schema"),
        ({"conversion": {"strategy": "Guess"}}, "spec.conversion.strategy"),
        ({"names": {"plural": "widgets"}}, "spec.names.kind"),
    ],
)
def test_a_definition_that_makes_no_sense_is_refused(client: Client, change: dict[str, Any], field: str) -> None:
    client.call("DELETE", f"{DEFINITIONS}/widgets.example.com")
    answer = client.post(DEFINITIONS, definition(**change))
    assert answer.status == 422, answer.body
    assert field in [cause["field"] for cause in answer.body["details"]["causes"]]


def test_a_definition_cannot_take_the_place_of_what_is_there(client: Client) -> None:
    names = {"plural": "deployments", "kind": "Deployment"}
    taken = definition(group="apps", names=names)
    taken["metadata"]["name"] = "deployments.apps"
    assert client.post(DEFINITIONS, taken).status == 422
    assert client.get("/apis/apps/v1/deployments").status == 200


def test_metadata_of_the_wrong_type_are_refused(client: Client) -> None:
    broken = widget()
    broken["metadata"]["labels"] = {"a": 1}
    assert client.post(WIDGETS, broken).status == 400


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (".a.b", [1]),
        (".a['b']", [1]),
        (".list[0].n", ["x"]),
        (".list[-1].n", ["y"]),
        (".list[*].n", ["x", "y"]),
        ('.list[?(@.n=="y")].v', [2]),
        (r".a.dotted\.key", ["z"]),
        (".absent.deeper", []),
        (".list[7]", []),
        (".a[", []),
        ("no path", []),
    ],
)
def test_columns_find_their_values_by_path(path: str, found: list[Any]) -> None:
    obj = {"a": {"b": 1, "dotted.key": "z"}, "list": [{"n": "x", "v": 1}, {"n": "y", "v": 2}]}
    assert values_at(obj, path) == found


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from("ab"), inner, max_size=2)),
    max_leaves=8,
)


@given(json_values, st.text(alphabet=".[]()?@='\"ab*0-\\ ", max_size=14))
def test_any_path_into_anything_finds_values_or_nothing(obj: Any, path: str) -> None:
    found = values_at(obj, path)
    assert isinstance(found, list)
    if path == "":
        assert found == [obj]


@given(st.dictionaries(st.text(min_size=1, max_size=4), st.integers(), min_size=1))
def test_a_quoted_name_finds_any_field_without_quotes(obj: dict[str, int]) -> None:
    for name, value in obj.items():
        if "'" not in name and "\n" not in name:
            assert values_at(obj, f"['{name}']") == [value]
