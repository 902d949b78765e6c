"""The patches: what each makes of an object, and that no patch does more than it says."""

import copy
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.sandbox.apiserver.patching import json_patch, merge_patch, strategic_merge_patch
from flametest.sandbox.apiserver.schema import type_of_kind
from flametest.sandbox.errors import StatusError
from tests.apiserver.objects import code_of

DEPLOYMENT = type_of_kind("apps", "v1", "Deployment")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), JSON, max_size=3)


def containers(*items: dict[str, Any]) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": list(items)}}}}


def strategic(obj: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    return strategic_merge_patch(copy.deepcopy(obj), patch, DEPLOYMENT)


MAIN, SIDE = {"name": "main", "image": "m:1"}, {"name": "side", "image": "s:1"}


class TestStrategicMergePatch:
    def test_items_pair_by_their_key_and_keep_their_place(self) -> None:
        patched = strategic(containers(MAIN, SIDE), containers({"name": "side", "image": "s:2"}))
        assert patched == containers(MAIN, {"name": "side", "image": "s:2"})

    def test_new_items_come_first_unless_an_order_is_given(self) -> None:
        assert strategic(containers(MAIN), containers(SIDE)) == containers(SIDE, MAIN)
        patch = containers(SIDE)
        patch["spec"]["template"]["spec"]["$setElementOrder/containers"] = [{"name": "main"}, {"name": "side"}]
        assert strategic(containers(MAIN), patch) == containers(MAIN, SIDE)

    def test_an_order_alone_reorders(self) -> None:
        patch = {"spec": {"template": {"spec": {"$setElementOrder/containers": [{"name": "side"}, {"name": "main"}]}}}}
        assert strategic(containers(MAIN, SIDE), patch) == containers(SIDE, MAIN)

    def test_delete_and_replace_directives(self) -> None:
        deleted = strategic(containers(MAIN, SIDE), containers({"name": "main", "$patch": "delete"}))
        assert deleted == containers(SIDE)
        replaced = strategic(containers(MAIN), containers({"$patch": "replace"}, SIDE))
        assert replaced == containers(SIDE)
        strategy = {"spec": {"strategy": {"$patch": "replace", "type": "Recreate"}}}
        old = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
        assert strategic(old, strategy) == {"spec": {"strategy": {"type": "Recreate"}}}

    def test_retain_keys_drops_the_others(self) -> None:
        patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
        old = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
        assert strategic(old, patch) == {"spec": {"strategy": {"type": "Recreate"}}}

    def test_lists_of_scalars_merge_where_the_type_says_so(self) -> None:
        old = {"metadata": {"finalizers": ["a", "b"]}}
        assert strategic(old, {"metadata": {"finalizers": ["c"]}})["metadata"]["finalizers"] == ["c", "a", "b"]
        dropped = strategic(old, {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}})
        assert dropped["metadata"]["finalizers"] == ["b"]

    def test_a_list_without_merge_key_is_replaced(self) -> None:
        old = containers({"name": "main", "command": ["a", "b"]})
        patched = strategic(old, containers({"name": "main", "command": ["c"]}))
        assert patched == containers({"name": "main", "command": ["c"]})

    def test_an_item_without_its_key_is_refused(self) -> None:
        with pytest.raises(StatusError, match="does not contain declared merge key: name"):
            strategic(containers(MAIN), containers({"image": "x"}))

    @given(OBJECTS)
    def test_an_empty_patch_changes_nothing(self, data: dict[str, Any]) -> None:
        assert strategic({"spec": data}, {"spec": {}}) == {"spec": data}

    @given(
        st.dictionaries(st.sampled_from("abc"), st.text(max_size=2)),
        st.dictionaries(st.sampled_from("abc"), st.none() | st.text(max_size=2)),
    )
    def test_on_plain_maps_it_is_a_merge_patch(self, labels: dict[str, Any], patch: dict[str, Any]) -> None:
        old, change = {"metadata": {"labels": labels}}, {"metadata": {"labels": patch}}
        assert strategic(old, change) == merge_patch(copy.deepcopy(old), change)

    @given(OBJECTS)
    def test_any_patch_is_applied_or_refused(self, patch: dict[str, Any]) -> None:
        change = {"spec": {"template": {"spec": {"containers": [patch], "volumes": patch}}}}
        assert code_of(lambda: strategic(containers(MAIN), change)) in (0, 400)


class TestMergePatch:
    @pytest.mark.parametrize(
        ("obj", "patch", "patched"),
        [
            # The examples of RFC 7386, appendix A, that have an object as their result.
            ({"a": "b"}, {"a": "c"}, {"a": "c"}),
            ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
            ({"a": "b"}, {"a": None}, {}),
            ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
            ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
            ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
            ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
            ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
            ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ],
    )
    def test_examples_of_the_rfc(self, obj: Any, patch: Any, patched: Any) -> None:
        assert merge_patch(obj, patch) == patched

    @given(OBJECTS, OBJECTS)
    def test_applying_twice_is_applying_once(self, obj: dict[str, Any], patch: dict[str, Any]) -> None:
        once = merge_patch(copy.deepcopy(obj), patch)
        assert merge_patch(copy.deepcopy(once), patch) == once


class TestJsonPatch:
    def test_operations_are_applied_in_order(self) -> None:
        patch = [{"op": "add", "path": "/a/-", "value": 2}, {"op": "move", "from": "/a", "path": "/b"}]
        assert json_patch({"a": [1]}, patch) == {"b": [1, 2]}

    @pytest.mark.parametrize(
        ("patch", "code"),
        [
            ({}, 400),
            ([1], 400),
            ([{"op": "nope", "path": "/a"}], 400),
            ([{"op": "test", "path": "/a", "value": 2}], 422),
            ([{"op": "remove", "path": "/none"}], 422),
            ([{"op": "replace", "path": "/none/x", "value": 1}], 422),
            ([{"op": "add", "path": "/a/b", "value": 1}], 422),
        ],
    )
    def test_a_failing_patch_is_refused(self, patch: Any, code: int) -> None:
        with pytest.raises(StatusError) as caught:
            json_patch({"a": 1}, patch)
        assert caught.value.code == code

    @given(
        st.lists(
            st.fixed_dictionaries(
                {
                    "op": st.sampled_from(("add", "remove", "replace", "test", "copy", "move")),
                    "path": st.text("/ab~0-", max_size=5),
                },
                optional={"value": JSON, "from": st.text("/ab~0-", max_size=5)},
            ),
            max_size=3,
        )
    )
    def test_any_patch_is_applied_or_refused(self, patch: list[dict[str, Any]]) -> None:
        obj = {"a": [1, {"b": 2}], "b": {}}
        assert code_of(lambda: orjson.dumps(json_patch(obj, patch))) in (0, 400, 422)
