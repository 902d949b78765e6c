"""Lines wait in bounded memory until it is known whose they are."""

from hypothesis import given
from hypothesis import strategies as st

from flametest.tracing.keeper import Keeper, RawLine, ids_in

ONE, OTHER = "0af7651916cd43dd8448eb211c80319c", "f" * 32


def raw(text: str) -> RawLine:
    return RawLine("api-1", "api", 0, text)


def test_a_line_is_kept_whether_it_comes_before_its_request_has_ended_or_after() -> None:
    keeper = Keeper(10_000, 10)
    early, late = raw(f"early {ONE}"), raw(f"late {ONE}")
    assert list(keeper.take(early, [ONE])) == []
    assert list(keeper.want(ONE)) == [(ONE, early)]
    assert list(keeper.take(late, [ONE])) == [(ONE, late)]
    assert list(keeper.want(ONE)) == []
    assert (keeper.seen, keeper.kept, keeper.lost) == (2, 2, 0)


def test_a_line_of_several_requests_is_kept_for_each() -> None:
    keeper = Keeper(10_000, 10)
    line = raw("both")
    assert list(keeper.take(line, [ONE, OTHER, ONE])) == []
    assert list(keeper.want(ONE)) == [(ONE, line)]
    assert list(keeper.want(OTHER)) == [(OTHER, line)]


def test_the_oldest_lines_are_let_go_and_counted() -> None:
    keeper = Keeper(5_000, 10)
    for number in range(100):
        assert list(keeper.take(raw("x" * 100), [f"{number:032x}"])) == []
    assert keeper.lost > 80
    assert list(keeper.want(f"{0:032x}")) == []
    assert len(list(keeper.want(f"{99:032x}"))) == 1


def test_one_request_cannot_fill_the_room() -> None:
    keeper = Keeper(10_000, 3)
    for _ in range(10):
        assert list(keeper.take(raw("x"), [ONE])) == []
    assert len(list(keeper.want(ONE))) == 3
    assert list(keeper.take(raw("x"), [ONE])) == []


def test_ids_are_found_however_they_are_written() -> None:
    assert list(ids_in(f'{{"trace_id":"{ONE}","x":"{ONE.upper()}"}}')) == [ONE, ONE]
    assert list(ids_in(f"traceparent=00-{ONE}-b7ad6b7169203331-01")) == [ONE]
    assert list(ids_in(f"id {ONE[:8]}-{ONE[8:12]}-{ONE[12:16]}-{ONE[16:20]}-{ONE[20:]}")) == [ONE]
    assert list(ids_in(f"{ONE}0 sha {'a' * 64} {ONE[:31]}")) == []


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), max_size=60))
def test_no_line_is_given_out_twice(steps: list[tuple[int, bool]]) -> None:
    keeper = Keeper(1_000_000, 100)
    given_out: list[tuple[str, RawLine]] = []
    lines = 0
    for number, is_line in steps:
        trace_id = f"{number:032x}"
        if is_line:
            lines += 1
            given_out += keeper.take(RawLine("api", "api", lines, ""), [trace_id])
        else:
            given_out += keeper.want(trace_id)
    assert len({(trace_id, line.wall_ns) for trace_id, line in given_out}) == len(given_out) == keeper.kept
