"""Which hop failed first, from lines as the shipped services and others write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.measure.hops import Asked, Evidence, first_failure
from flametest.measure.loglines import Told

MS = 1_000_000
ASKED = Asked(0, 1000 * MS, is_answered=True, entry="nginx")


def line(
    workload: str, at_ms: float, *, fails: bool = False, took_ms: float | None = None, blames: tuple[str, ...] = ()
) -> Evidence:
    seconds = None if took_ms is None else took_ms / 1e3
    return Evidence(workload, round(at_ms * MS), Told(fails, 503 if fails else 200, seconds, blames))


def test_the_earliest_failure_is_nearest_to_the_cause() -> None:
    lines = [line("nginx", 40, fails=True), line("api", 30, fails=True), line("logic", 20, fails=True)]
    assert first_failure(lines, ASKED).workload == "logic"


def test_who_was_killed_wrote_nothing_and_is_named_by_its_caller() -> None:
    found = first_failure([line("nginx", 40, fails=True, blames=("frontend",))], ASKED)
    assert found.workload == "frontend"
    assert found.why == "nginx says so, and frontend has no line of this request"


def test_blame_is_followed_through_callers_that_gave_up() -> None:
    lines = [
        line("nginx", 1000, fails=True, blames=("frontend",)),
        line("frontend", 1700, fails=True, took_ms=1700, blames=("logic",)),
        line("logic", 2500, took_ms=2000),
    ]
    found = first_failure(lines, ASKED)
    assert found.workload == "logic"
    assert found.why == "frontend gave up on it, and logic was not done by then"


def test_a_store_writes_no_lines_and_is_named_by_who_asked_it() -> None:
    lines = [
        line("logic", 500, fails=True, blames=("postgres",)),
        line("logic", 501, fails=True, took_ms=500),
        line("frontend", 503, fails=True, blames=("logic",)),
        line("nginx", 505, fails=True, blames=("frontend",)),
    ]
    assert first_failure(lines, ASKED).workload == "postgres"


def test_who_answered_well_and_in_time_is_blamed_for_nothing() -> None:
    lines = [line("logic", 10, took_ms=5), line("frontend", 30, fails=True, blames=("logic",))]
    assert first_failure(lines, ASKED).workload == "frontend"


def test_blame_in_a_circle_ends() -> None:
    lines = [line("one", 10, fails=True, blames=("other",)), line("other", 20, fails=True, blames=("one",))]
    assert first_failure(lines, ASKED).workload == "other"


def test_without_a_line_and_an_answer_the_entry_failed() -> None:
    asked = Asked(0, 5 * MS, entry="nginx")
    assert first_failure([], asked).workload == "nginx"
    assert first_failure([line("api", 4, took_ms=3)], asked).workload == "nginx"


def test_without_a_line_of_an_answered_request_nothing_is_known() -> None:
    assert first_failure([], ASKED).workload == ""
    assert first_failure([], ASKED).why == "no pod has a line of it"


def test_of_a_slow_request_the_hop_that_took_longest_by_itself_is_named() -> None:
    lines = [line("nginx", 900, took_ms=899), line("frontend", 898, took_ms=895), line("logic", 880, took_ms=860)]
    slow = Asked(0, 900 * MS, is_answered=True, is_slow=True, entry="nginx")
    assert first_failure(lines, slow).workload == "logic"


def test_a_slow_request_of_which_no_hop_took_most_names_nobody() -> None:
    slow = Asked(0, 900 * MS, is_answered=True, is_slow=True, entry="nginx")
    found = first_failure([line("nginx", 100, took_ms=90)], slow)
    assert found.workload == ""
    assert found.why == "no hop accounts for most of its 900 ms"


def test_a_timeout_without_a_failing_line_is_slowness() -> None:
    asked = Asked(0, 1000 * MS, is_timeout=True, entry="nginx")
    assert first_failure([line("nginx", 1500, took_ms=1499), line("api", 1490, took_ms=1480)], asked).workload == "api"


CHAINS = st.lists(st.sampled_from("abcdefgh"), min_size=2, max_size=6, unique=True)


@given(CHAINS, st.data())
def test_in_any_chain_of_calls_the_deepest_failure_is_named(chain: list[str], data: st.DataObject) -> None:
    """A chain of callers in which one fails: all above it fail later and say so, and all below it are well."""
    broken = data.draw(st.integers(0, len(chain) - 1))
    is_silent = broken > 0 and data.draw(st.booleans())  # killed, hung, or never reached: only its caller knows
    lines = []
    for depth, name in enumerate(chain):
        end_ms = 1000 - 10 * depth
        if depth < broken:
            lines.append(line(name, end_ms, fails=True, took_ms=end_ms - depth, blames=(chain[depth + 1],)))
        elif depth == broken and not is_silent:
            lines.append(line(name, end_ms, fails=True, took_ms=end_ms - depth))
        elif depth > broken and not is_silent:
            lines.append(line(name, 100 - depth, took_ms=50))
    shuffled = data.draw(st.permutations(lines))
    found = first_failure(shuffled, Asked(0, 1000 * MS, is_answered=True, entry=chain[0]))
    assert found.workload == chain[broken]


@given(st.lists(st.builds(line, st.sampled_from("abc"), st.floats(0, 2000)), max_size=6))
def test_lines_that_tell_of_no_failure_name_nobody_for_an_answered_request(lines: list[Evidence]) -> None:
    assert first_failure(lines, ASKED).workload == ""


@pytest.mark.parametrize("is_timeout", [False, True])
def test_the_order_in_which_lines_come_does_not_matter(is_timeout: bool) -> None:
    lines = [
        line("nginx", 40, fails=True, blames=("frontend",)),
        line("frontend", 35, fails=True, blames=("logic",)),
        line("logic", 30, took_ms=29, fails=True),
    ]
    asked = Asked(0, 50 * MS, is_timeout=is_timeout, entry="nginx")
    assert first_failure(lines, asked) == first_failure(lines[::-1], asked)
