"""Every planted error of the books is found, by its id; a system that keeps its word is never accused."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flametest.measure.durability import (
    OFFENCES_SHOWN_MAX,
    WriteRecord,
    combined,
    durability,
    judge_writes,
    write_words,
)
from flametest.model.events import LedgerEnded, LedgerOmitted, LedgerStarted, Stamp
from flametest.model.history import History
from flametest.model.writes import Attempt, Audit, Book, StoredOrder, WriteOutcome

PREFIX = "ledger-0-"
INITIAL = 1000
ACKNOWLEDGED, REFUSED = WriteOutcome.ACKNOWLEDGED, WriteOutcome.REFUSED
FAILED, UNKNOWN = WriteOutcome.FAILED, WriteOutcome.UNKNOWN


@dataclass(frozen=True)
class Write:
    """One write of a generated history: what each attempt brought, and whether the shop keeps it in truth."""

    outcomes: tuple[WriteOutcome, ...]
    is_kept: bool


def writes_of_a_sound_shop() -> st.SearchStrategy[list[Write]]:
    """Return histories of a shop that keeps what it acknowledged, drops what it refused, and either otherwise."""
    others = [(), (UNKNOWN,), (FAILED,), (ACKNOWLEDGED,)]
    acknowledged = st.sampled_from(others).map(lambda before: Write((*before, ACKNOWLEDGED), True))
    unknown = st.builds(Write, st.sampled_from([(UNKNOWN,), (UNKNOWN, FAILED), (FAILED, UNKNOWN)]), st.booleans())
    undone = [(FAILED,), (FAILED, FAILED), (REFUSED,), (REFUSED, REFUSED), (FAILED, REFUSED)]
    failed = st.sampled_from(undone).map(lambda outcomes: Write(outcomes, False))
    return st.lists(st.one_of(acknowledged, unknown, failed), max_size=40)


def attempts_of(writes: Sequence[Write]) -> list[Attempt]:
    """Return what the ledger noted; the order of write ``n`` is kept as number ``n + 1``."""
    return [
        Attempt(f"{PREFIX}{index}", number, 1, 1, 0, 0, 1, outcome, 0, index + 1 if outcome is ACKNOWLEDGED else 0, "")
        for index, write in enumerate(writes)
        for number, outcome in enumerate(write.outcomes, start=1)
    ]


def orders_of(writes: Sequence[Write]) -> list[StoredOrder]:
    """Return what a sound shop keeps."""
    return [StoredOrder(index + 1, f"{PREFIX}{index}", 1, 1) for index, write in enumerate(writes) if write.is_kept]


def audit_of(orders: Sequence[StoredOrder], **changes: Any) -> Audit:
    """Return an audit whose one book balances, but for ``changes``."""
    sold = sum(order.quantity for order in orders)
    book = replace(Book(1, "Concert", INITIAL, INITIAL - sold, sold, sold), **changes)
    return Audit(tuple(orders), len(orders), (book,), (), (), "")


@given(writes_of_a_sound_shop())
def test_a_shop_that_keeps_its_word_is_never_accused(writes: list[Write]) -> None:
    judged = judge_writes(attempts_of(writes), audit_of(orders_of(writes)), PREFIX)
    assert judged.anomalies == 0
    assert judged.acknowledged + judged.unknown + judged.refused + judged.failed == len(writes)
    assert judged.acknowledged == sum(ACKNOWLEDGED in write.outcomes for write in writes)
    assert judged.kept == sum(write.is_kept for write in writes)
    assert bool(judged.problem) is (judged.acknowledged == 0)


@given(writes_of_a_sound_shop(), st.data())
def test_exactly_the_acknowledged_orders_that_are_gone_are_lost(writes: list[Write], data: st.DataObject) -> None:
    orders = orders_of(writes)
    gone = data.draw(st.sets(st.sampled_from(orders), max_size=len(orders))) if orders else set()
    judged = judge_writes(attempts_of(writes), audit_of([one for one in orders if one not in gone]), PREFIX)
    lost = {one.key for one in gone if ACKNOWLEDGED in writes[one.order_id - 1].outcomes}
    assert judged.lost.count == len(lost)
    assert {text.partition(" ")[0] for text in judged.lost.first} == lost
    assert judged.anomalies == judged.lost.count


@given(writes_of_a_sound_shop(), st.data())
def test_exactly_the_keys_with_two_orders_are_duplicated(writes: list[Write], data: st.DataObject) -> None:
    orders = orders_of(writes)
    twice = data.draw(st.sets(st.sampled_from(orders), max_size=len(orders))) if orders else set()
    again = [replace(one, order_id=one.order_id + 1000) for one in twice]
    judged = judge_writes(attempts_of(writes), audit_of([*orders, *again]), PREFIX)
    assert {text.partition(" ")[0] for text in judged.duplicated.first} == {one.key for one in twice}
    assert judged.anomalies == judged.duplicated.count == len(twice)


@given(writes_of_a_sound_shop(), st.data())
def test_exactly_the_refused_and_never_sent_orders_that_are_there_are_phantoms(
    writes: list[Write], data: st.DataObject
) -> None:
    refused = [index for index, write in enumerate(writes) if set(write.outcomes) <= {FAILED, REFUSED}]
    kept = data.draw(st.sets(st.sampled_from([*refused, 7000]), max_size=len(refused) + 1))
    extra = [StoredOrder(index + 1, f"{PREFIX}{index}", 1, 1) for index in kept]
    judged = judge_writes(attempts_of(writes), audit_of([*orders_of(writes), *extra]), PREFIX)
    assert {text.partition(" ")[0] for text in judged.phantom.first} == {one.key for one in extra}
    assert judged.anomalies == judged.phantom.count == len(extra)


def test_an_order_kept_under_another_number_than_was_told_is_lost() -> None:
    writes = [Write((ACKNOWLEDGED,), True)]
    judged = judge_writes(attempts_of(writes), audit_of([StoredOrder(9, f"{PREFIX}0", 1, 1)]), PREFIX)
    assert judged.lost.first == (f"{PREFIX}0 (order 1; there is order 9 instead)",)


def test_an_order_for_something_else_than_was_asked_is_a_phantom() -> None:
    writes = [Write((ACKNOWLEDGED,), True)]
    judged = judge_writes(attempts_of(writes), audit_of([StoredOrder(1, f"{PREFIX}0", 1, 3)]), PREFIX)
    assert judged.phantom.first == (f"{PREFIX}0 (order 1, kept as 3 of event 1, asked for as 1 of event 1)",)


def test_orders_of_others_are_theirs_unless_they_share_a_key() -> None:
    writes = [Write((ACKNOWLEDGED,), True)]
    others = [StoredOrder(50, "web-1", 1, 2), StoredOrder(51, "web-2", 1, 1), StoredOrder(52, "web-2", 1, 1)]
    judged = judge_writes(attempts_of(writes), audit_of([*orders_of(writes), *others]), PREFIX)
    assert judged.duplicated.first == ("web-2 (order 51, order 52)",)
    assert judged.anomalies == 1


def test_an_event_of_which_more_was_sold_than_there_was_is_oversold() -> None:
    writes = [Write((ACKNOWLEDGED,), True)] * 3
    audit = audit_of(orders_of(writes), initial=2, left=-1)
    judged = judge_writes(attempts_of(writes), audit, PREFIX)
    assert judged.oversold.first == ("event 1 (Concert): sold 3 of 2, -1 left",)
    assert judged.unbalanced.count == 0


def test_stock_that_is_neither_left_nor_sold_unbalances_the_books() -> None:
    writes = [Write((ACKNOWLEDGED,), True)]
    for change in ({"left": INITIAL - 2}, {"counted": 0}):
        judged = judge_writes(attempts_of(writes), audit_of(orders_of(writes), **change), PREFIX)
        assert judged.unbalanced.count == 1
        assert judged.oversold.count == 0


def test_what_was_wrong_before_is_not_counted_again_but_what_was_added_is() -> None:
    writes = [Write((ACKNOWLEDGED,), True)]
    short = Book(1, "Concert", 10, -5, 12, 12)  # two oversold and three astray, before this ledger wrote
    same = replace(audit_of(orders_of(writes)), books=(replace(short, sold=13, counted=13, left=-6),))
    judged = judge_writes(attempts_of(writes), replace(same, books_before=(replace(short, left=-6, sold=13),)), PREFIX)
    assert judged.anomalies == 0
    judged = judge_writes(attempts_of(writes), replace(same, books_before=(short,)), PREFIX)
    assert (judged.oversold.count, judged.unbalanced.count) == (1, 0)
    judged = judge_writes(attempts_of(writes), replace(same, books_before=(replace(short, left=-4),)), PREFIX)
    assert judged.unbalanced.first == (
        "event 1 (Concert): 10 at first, -6 left, 13 sold, 13 in the orders, 2 astray before",
    )


def test_what_was_there_before_and_is_no_more_is_lost() -> None:
    writes = [Write((ACKNOWLEDGED,), True)]
    audit = replace(audit_of(orders_of(writes)), gone=("ledger-before-3 (order 3)",))
    judged = judge_writes(attempts_of(writes), audit, PREFIX)
    assert judged.lost.first == ("ledger-before-3 (order 3), there when the ledger began",)


def test_only_the_first_offences_are_named_and_all_are_counted() -> None:
    writes = [Write((ACKNOWLEDGED,), True)] * (OFFENCES_SHOWN_MAX + 10)
    judged = judge_writes(attempts_of(writes), audit_of([]), PREFIX)
    assert judged.lost.count == OFFENCES_SHOWN_MAX + 10
    assert len(judged.lost.first) == OFFENCES_SHOWN_MAX


def test_offences_are_told_in_plain_words() -> None:
    writes = [Write((ACKNOWLEDGED,), True)] * 2
    orders = orders_of(writes)
    assert write_words(judge_writes(attempts_of(writes), audit_of(orders), PREFIX)) == (
        "0 of 2 acknowledged orders were lost"
    )
    spoilt = audit_of([orders[0], replace(orders[0], order_id=8)], initial=1, left=-1)
    assert write_words(judge_writes(attempts_of(writes), spoilt, PREFIX)) == (
        "1 of 2 acknowledged orders was lost, 1 kept twice, 1 event oversold"
    )


def at(event: type[LedgerStarted] | type[LedgerEnded] | type[LedgerOmitted], *values: object) -> History:
    """Return a history of one event."""
    return History([event(Stamp(0, 0.0), "one", *values)])  # type: ignore[arg-type]


def test_without_a_ledger_nothing_is_judged_unless_one_was_asked_for() -> None:
    assert durability(History(), WriteRecord()) is None
    assert durability(at(LedgerOmitted, "the system has no ticket shop", False), WriteRecord()) is None
    asked = durability(at(LedgerOmitted, "the system has no ticket shop", True), WriteRecord())
    assert asked is not None
    assert asked.problem == "no ledger was kept: the system has no ticket shop"


def test_a_ledger_that_was_not_read_back_or_ended_early_is_not_judged() -> None:
    started = at(LedgerStarted, PREFIX, 10.0)
    writes = [Write((ACKNOWLEDGED,), True)]
    attempts, audit = tuple(attempts_of(writes)), audit_of(orders_of(writes))
    unread = durability(started, WriteRecord(attempts))
    failed = durability(started, WriteRecord(attempts, Audit((), 0, (), (), (), "GET /shop/api/audit: expected 200")))
    early = durability(
        started.append(LedgerEnded(Stamp(1, 0.0), "one", 0, "it was killed")), WriteRecord(attempts, audit)
    )
    assert unread is not None
    assert failed is not None
    assert early is not None
    assert [one.problem for one in (unread, failed, early)] == [
        "nothing was read back",
        "GET /shop/api/audit: expected 200",
        "the ledger ended early: it was killed",
    ]
    assert unread.acknowledged == 1


def test_the_writes_of_several_repeats_add_up_and_a_doubt_about_one_remains() -> None:
    writes = [Write((ACKNOWLEDGED,), True)] * 3
    sound = judge_writes(attempts_of(writes), audit_of(orders_of(writes)), PREFIX)
    spoilt = judge_writes(attempts_of(writes), audit_of(orders_of(writes)[:2]), PREFIX)
    unread = judge_writes(attempts_of(writes), None, PREFIX)
    both = combined([sound, spoilt])
    assert both is not None
    assert (both.acknowledged, both.kept, both.lost, both.problem) == (6, 5, spoilt.lost, "")
    doubtful = combined([sound, unread])
    assert doubtful is not None
    assert doubtful.problem == "repeat 2: nothing was read back"
    assert combined([]) is None


def test_orders_that_were_sold_out_are_refused_and_none_of_them_failed() -> None:
    sold_out = [Attempt(f"{PREFIX}{n}", 1, 4, 1, 0, 0, 1, REFUSED, 409, 0, "sold_out") for n in range(3)]
    never_sent = Attempt(f"{PREFIX}9", 1, 4, 1, 0, 0, 1, FAILED, 0, 0, "refused")
    bought = Attempt(f"{PREFIX}0", 2, 4, 1, 0, 0, 1, ACKNOWLEDGED, 201, 1, "")
    judged = judge_writes([*sold_out, never_sent, bought], audit_of([StoredOrder(1, f"{PREFIX}0", 4, 1)]), PREFIX)
    assert (judged.acknowledged, judged.refused, judged.failed, judged.refused_for) == (1, 2, 1, "sold_out")
    assert combined([judged, judged]) == replace(
        judged, **{name: 2 * getattr(judged, name) for name in ("attempts", "repeated", "acknowledged", "failed")},
        kept=2, refused=4,
    )  # fmt: skip


def test_orders_that_a_machine_at_its_own_limits_could_not_send_are_no_failures_of_the_shop() -> None:
    bought = Attempt(f"{PREFIX}0", 1, 1, 1, 0, 0, 1, ACKNOWLEDGED, 201, 1, "")
    unsent = Attempt(f"{PREFIX}1", 1, 1, 1, 0, 0, 1, FAILED, 0, 0, "generator: EMFILE")
    record = WriteRecord((bought, unsent), audit_of([StoredOrder(1, f"{PREFIX}0", 1, 1)]))
    judged = durability(at(LedgerStarted, PREFIX, 10.0), record)
    assert judged is not None
    assert judged.problem == "1 of its orders never left, since the machine that sends was at its own limits (EMFILE)"
