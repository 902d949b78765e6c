"""What is found becomes an experiment of the project, judged by its promise alone; everything else stays as it is."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.measure.scenario import LIMITABLE
from flametest.model.errors import FlametestError
from flametest.model.limits import parse_limits
from flametest.search.keeping import keep_found, with_limits
from flametest.search.promise import promise_of

ROOT = Path(__file__).parents[2]
PROMISE = promise_of(["availability=0.9", "outage_seconds=2"], parse_limits("", "limits.toml", LIMITABLE))
SHIPPED = (ROOT / "experiments" / "limits.toml").read_text()


def limits_of(text: str, name: str) -> dict[str, float]:
    return {one.criterion: one.value for one in parse_limits(text, "limits.toml", LIMITABLE).of(name)}


@pytest.mark.parametrize("text", ["", SHIPPED, "[default]\np95_ms = 5\n", "# no table\n"])
def test_the_found_experiment_is_judged_by_the_promise_and_nothing_else(text: str) -> None:
    changed = with_limits(text, "found-x", PROMISE)

    assert limits_of(changed, "found-x") == {"availability": 0.9, "outage_seconds": 2}
    assert limits_of(changed, "other") == limits_of(text, "other")


def test_limits_and_comments_of_others_stay_as_they_are_written() -> None:
    changed = with_limits(SHIPPED, "found-x", PROMISE)

    assert changed.startswith(SHIPPED.rstrip("\n"))


@given(st.lists(st.sampled_from(["found-a", "found-b", "found-a and more"]), min_size=1, max_size=4))
def test_what_is_found_again_takes_the_place_of_the_former(names: list[str]) -> None:
    text = SHIPPED
    for name in names:
        text = with_limits(text, name, PROMISE)

    assert with_limits(text, names[-1], PROMISE) == text
    book = parse_limits(text, "limits.toml", LIMITABLE)
    assert set(book.scenarios()) == {*parse_limits(SHIPPED, "limits.toml", LIMITABLE).scenarios(), *names}


def test_the_file_and_its_limits_are_written_together(tmp_path: Path) -> None:
    file = keep_found(tmp_path / "experiments", "found-x", "{}\n", PROMISE)

    assert file.read_text() == "{}\n"
    assert limits_of((file.parent / "limits.toml").read_text(), "found-x") == {"availability": 0.9, "outage_seconds": 2}


def test_limits_that_are_no_toml_are_left_alone_and_told(tmp_path: Path) -> None:
    (tmp_path / "limits.toml").write_text("[default\n")

    with pytest.raises(FlametestError, match="cannot be kept") as refused:
        keep_found(tmp_path, "found-x", "{}\n", PROMISE)

    assert refused.value.remedy
    assert (tmp_path / "limits.toml").read_text() == "[default\n"
    assert not (tmp_path / "found-x.json").exists()


def test_a_promise_may_be_of_any_figure() -> None:
    empty = parse_limits("", "limits.toml", LIMITABLE)
    promise = [limit for name in LIMITABLE for limit in promise_of([f"{name}=1.5"], empty)]

    assert set(limits_of(with_limits("", "found-x", promise), "found-x")) == set(LIMITABLE)
