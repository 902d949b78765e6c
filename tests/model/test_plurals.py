"""Counts in words."""

from flametest.model.plurals import all_of, counted, plural, were


def test_one_is_singular_and_everything_else_is_not() -> None:
    assert [counted(number, "scenario") for number in (0, 1, 2)] == ["0 scenarios", "1 scenario", "2 scenarios"]
    assert [all_of(number, "pod") for number in (1, 3)] == ["the only pod", "all 3 pods"]
    assert [were(number) for number in (0, 1, 2)] == ["were", "was", "were"]
    assert [plural(noun) for noun in ("pod", "process")] == ["pods", "processes"]
    assert [counted(number, "process") for number in (1, 2)] == ["1 process", "2 processes"]
