"""Laws say what they say and nothing else: by how much one is broken, and that a text which is no law is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.model.laws import Law, LawError

FIGURES = st.fixed_dictionaries({name: st.integers(-1000, 1000).map(float) for name in ("a", "b", "c")})


def sums() -> st.SearchStrategy[str]:
    """Return sums that laws may compare."""
    leaves = st.sampled_from(["a", "b", "c"]) | st.integers(0, 99).map(str)
    return st.recursive(
        leaves, lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from("+-*"), inner), max_leaves=6
    )


@given(sums(), sums(), FIGURES)
def test_an_equation_is_broken_by_the_difference_of_its_sides(left: str, right: str, values: dict[str, float]) -> None:
    difference = eval(left, {}, values) - eval(right, {}, values)  # what Python makes of the same sums
    assert Law("x", f"{left} == {right}").excesses(values) == (difference,)
    assert Law("x", f"{left} <= {right}").excesses(values) == (max(0.0, difference),)
    assert Law("x", f"{left} >= {right}").excesses(values) == (max(0.0, -difference),)


@given(FIGURES)
def test_chains_and_conjunctions_are_their_parts(values: dict[str, float]) -> None:
    chained, joined = Law("x", "a <= b <= c"), Law("x", "a <= b and b <= c")
    assert chained.excesses(values) == joined.excesses(values)
    assert any(chained.excesses(values)) is not (values["a"] <= values["b"] <= values["c"])


def test_the_figures_of_a_law_are_the_names_in_it() -> None:
    law = Law("votes", "acknowledged <= votes - votes_before <= acknowledged + unknown")
    assert law.figures() == {"acknowledged", "votes", "votes_before", "unknown"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a + b",
        "a = b",
        "a < b",
        "a != b",
        "a == b or b == c",
        "not a == b",
        "a == f(b)",
        "a == b.c",
        "a == b[0]",
        "a == 'b'",
        "a == True",
        "a == b ** 2",
        "a / b == 1",
        "__import__('os') == a",
        "(lambda: a)() == b",
        "a == (b if c else a)",
        "a is b",
        "a == b; c",
        "a == " + "(" * 400 + "b" + ")" * 400,
        "a == " + "-" * 490 + "b",
        "\0",
    ],
)
def test_what_is_no_law_is_refused_before_it_is_used(text: str) -> None:
    if text.startswith("a == -"):  # a law all the same, and a deep one
        assert Law("x", text).excesses({"a": 1.0, "b": 1.0}) == (0.0,)
        return
    with pytest.raises(LawError, match="law"):
        Law("x", text).figures()


@given(st.text(max_size=60))
def test_any_text_is_a_law_or_refused_as_one(text: str) -> None:
    try:
        figures = Law("x", text).figures()
    except LawError:
        return
    assert all(isinstance(one, float) for one in Law("x", text).excesses(dict.fromkeys(figures, 1.0)))


def test_a_figure_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(LawError, match="'sold'") as raised:
        Law("x", "sold == 1").excesses({"left": 1.0})
    assert "left" in raised.value.remedy
