"""Selectors over labels, and quantities."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.sandbox.labels import requirement_holds, selector_matches, selects_everything
from flametest.sandbox.quantities import parse_quantity

labels = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xyz"), max_size=3)
values = st.lists(st.sampled_from("xyz"), min_size=1, max_size=3)


@given(labels, st.sampled_from("abc"), values)
def test_an_operator_and_its_opposite_never_agree(held: dict[str, str], key: str, wanted: list[str]) -> None:
    def holds(operator: str) -> bool:
        return requirement_holds({"key": key, "operator": operator, "values": wanted}, held)

    assert holds("In") != holds("NotIn")
    assert holds("Exists") != holds("DoesNotExist")
    assert not holds("In") or holds("Exists")


@given(labels, labels)
def test_match_labels_selects_what_includes_them(held: dict[str, str], wanted: dict[str, str]) -> None:
    assert selector_matches({"matchLabels": wanted}, held) == (wanted.items() <= held.items())


def test_no_selector_selects_nothing_and_an_empty_one_everything() -> None:
    assert not selector_matches(None, {"a": "x"})
    assert selector_matches({}, {"a": "x"})
    assert selects_everything({})
    assert not selects_everything(None)


@pytest.mark.parametrize(("operator", "holds"), [("Gt", True), ("Lt", False)])
def test_greater_and_less_compare_whole_numbers(operator: str, holds: bool) -> None:
    assert requirement_holds({"key": "n", "operator": operator, "values": ["5"]}, {"n": "10"}) is holds
    assert not requirement_holds({"key": "n", "operator": operator, "values": ["5"]}, {"n": "many"})
    assert not requirement_holds({"key": "n", "operator": operator, "values": ["5"]}, {})


@pytest.mark.parametrize(
    ("text", "amount"),
    [("100m", "0.1"), ("2", "2"), ("64Mi", str(64 * 2**20)), ("1.5G", "1500000000"), ("1e3", "1000"), ("1E", "1e18")],
)
def test_quantities_are_read_in_base_units(text: str, amount: str) -> None:
    assert parse_quantity(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["", "many", "1 Gi", "1KiB", "--1", "1e1000", "1Ee3"])
def test_text_that_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        parse_quantity(text)
