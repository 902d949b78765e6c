"""Label and field selectors follow the grammar that kubectl sends."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.sandbox.apiserver.selectors import (
    matches_fields,
    matches_labels,
    matches_selector,
    parse_field_selector,
    parse_label_selector,
    selector_text,
)
from flametest.sandbox.errors import StatusError
from tests.apiserver.objects import code_of

KEYS = ("app", "example.org/tier", "n")
VALUES = ("", "a", "b", "7")
LABELS = st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES))

WEB = {"app": "web", "tier": "front", "n": "7"}


@pytest.mark.parametrize(
    ("text", "matched"),
    [
        ("", True),
        ("app=web", True),
        ("app==web,tier=front", True),
        ("app=api", False),
        ("app!=api", True),
        ("absent!=x", True),
        ("app in (api, web)", True),
        ("app notin (api,web)", False),
        ("absent notin (x)", True),
        ("app", True),
        ("absent", False),
        ("!absent", True),
        ("! app", False),
        ("n>6,n<8", True),
        ("n > 7", False),
        ("app > 1", False),
        ("app=", False),
    ],
)
def test_a_selector_chooses(text: str, matched: bool) -> None:
    assert matches_labels(parse_label_selector(text), WEB) is matched


@pytest.mark.parametrize(
    "text", ["==", "=a", "a=b,", "a in b", "a in (b", "a b", "!", "a=b=c", "a>x", "(a)", "a!", "-a=b"]
)
def test_a_broken_selector_is_refused(text: str) -> None:
    with pytest.raises(StatusError) as caught:
        parse_label_selector(text)
    assert caught.value.code == 400


@given(st.text(max_size=30))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    assert code_of(lambda: parse_label_selector(text)) in (0, 400)


EXPRESSIONS = st.one_of(
    st.builds(
        lambda key, operator, values: {"key": key, "operator": operator, "values": values},
        st.sampled_from(KEYS),
        st.sampled_from(("In", "NotIn")),
        st.lists(st.sampled_from(VALUES), min_size=1, max_size=3),
    ),
    st.builds(
        lambda key, operator: {"key": key, "operator": operator},
        st.sampled_from(KEYS),
        st.sampled_from(("Exists", "DoesNotExist")),
    ),
)


@given(st.fixed_dictionaries({"matchLabels": LABELS, "matchExpressions": st.lists(EXPRESSIONS, max_size=3)}), LABELS)
def test_a_selector_of_an_object_means_the_same_as_its_text(selector: dict[str, Any], labels: dict[str, str]) -> None:
    as_text = parse_label_selector(selector_text(selector))
    assert matches_labels(as_text, labels) == matches_selector(selector, labels)


def test_fields_are_compared_as_text() -> None:
    node = {"metadata": {"name": "n"}, "spec": {"unschedulable": True}}
    known = ("metadata.name", "metadata.namespace", "spec.unschedulable")
    assert matches_fields(parse_field_selector("metadata.name=n,spec.unschedulable=true", known), node)
    assert matches_fields(parse_field_selector("spec.unschedulable!=true", known), {"metadata": {}, "spec": {}})


@pytest.mark.parametrize("text", ["metadata.name", "spec.foo=1", "=x", "a=b=c"])
def test_a_broken_field_selector_is_refused(text: str) -> None:
    with pytest.raises(StatusError) as caught:
        parse_field_selector(text, ("metadata.name", "metadata.namespace"))
    assert caught.value.code == 400
