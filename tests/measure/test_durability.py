"""Every planted error of the books is found, by its id; a system that keeps its word is never accused."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
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
from flametest.model.laws import Law
from flametest.model.measures import Durability, RecoveryPoint
from flametest.model.writes import (
    Attempt,
    Audit,
    Count,
    Look,
    LookOutcome,
    ReadScope,
    StoredWrite,
    WriteOutcome,
)

PREFIX = "ledger-0-"
INITIAL = 1000
SECOND_NS = 1_000_000_000
CONTENTS = '{"event": 1, "quantity": 1}'
KEPT = {"event": 1, "quantity": 1}
LAWS = (
    Law("oversold", "sold <= initial and written <= initial and left >= 0"),
    Law("off the books", "initial == left + sold and sold == written"),
)
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
    """Return what the ledger noted; write ``n`` is kept under id ``n + 1``."""
    return [
        attempt(index, outcome, number=number)
        for index, write in enumerate(writes)
        for number, outcome in enumerate(write.outcomes, start=1)
    ]


def attempt(index: int, outcome: WriteOutcome, *, number: int = 1, error: str = "", status: int = 0) -> Attempt:
    """Return an attempt at the write of this index."""
    named = str(index + 1) if outcome is ACKNOWLEDGED else ""
    return Attempt(f"{PREFIX}{index}", number, CONTENTS, 0, 0, 1, outcome, status, named, error)


def stored(index: int, named: int | None = None, key: str = "") -> StoredWrite:
    """Return the write of this index as it is kept."""
    return StoredWrite(str(index + 1 if named is None else named), key or f"{PREFIX}{index}", KEPT)


def orders_of(writes: Sequence[Write]) -> list[StoredWrite]:
    """Return what a sound shop keeps."""
    return [stored(index) for index, write in enumerate(writes) if write.is_kept]


def concert(**values: float) -> Count:
    """Return the count of one event."""
    return Count("event 1 (Concert)", values, {"event": 1}, "quantity")


def audit_of(orders: Sequence[StoredWrite], **changes: float) -> Audit:
    """Return an audit whose one count balances, but for ``changes``."""
    sold = sum(order.contents["quantity"] for order in orders)  # type: ignore[misc]
    values = {"initial": INITIAL, "left": INITIAL - sold, "sold": sold, "written": sold} | changes
    return Audit(tuple(orders), len(orders), ReadScope.LIST, (concert(**values),), (), LAWS, (), "")


def judge(attempts: Sequence[Attempt], audit: Audit | None, *looks: Look, fault_ns: int | None = None) -> Durability:
    """Judge a ledger of these attempts."""
    return judge_writes(WriteRecord(tuple(attempts), audit, looks), PREFIX, fault_ns)


def broken(judged: Durability, name: str) -> tuple[str, ...]:
    """Return what broke a law."""
    return next(law.offences.first for law in judged.laws if law.name == name)


@given(writes_of_a_sound_shop())
def test_a_shop_that_keeps_its_word_is_never_accused(writes: list[Write]) -> None:
    judged = judge(attempts_of(writes), audit_of(orders_of(writes)))
    assert judged.anomalies == 0
    assert judged.acknowledged + judged.unknown + judged.refused + judged.failed == len(writes)
    assert judged.acknowledged == sum(ACKNOWLEDGED in write.outcomes for write in writes)
    assert judged.kept == sum(write.is_kept for write in writes)
    assert bool(judged.problem) is (judged.acknowledged == 0)


@given(writes_of_a_sound_shop(), st.data())
def test_exactly_the_acknowledged_orders_that_are_gone_are_lost(writes: list[Write], data: st.DataObject) -> None:
    orders = orders_of(writes)
    gone = data.draw(st.lists(st.sampled_from(orders), unique_by=lambda one: one.id)) if orders else []
    judged = judge(attempts_of(writes), audit_of([one for one in orders if one not in gone]))
    lost = {one.key for one in gone if ACKNOWLEDGED in writes[int(one.id) - 1].outcomes}
    assert judged.lost.count == len(lost)
    assert {text.partition(" ")[0] for text in judged.lost.first} == lost
    assert judged.anomalies == judged.lost.count


@given(writes_of_a_sound_shop(), st.data())
def test_exactly_the_keys_with_two_orders_are_duplicated(writes: list[Write], data: st.DataObject) -> None:
    orders = orders_of(writes)
    twice = data.draw(st.lists(st.sampled_from(orders), unique_by=lambda one: one.id)) if orders else []
    again = [replace(one, id=f"again-{one.id}") for one in twice]
    judged = judge(attempts_of(writes), audit_of([*orders, *again]))
    assert {text.partition(" ")[0] for text in judged.duplicated.first} == {one.key for one in twice}
    assert judged.anomalies == judged.duplicated.count == len(twice)


@given(writes_of_a_sound_shop(), st.data())
def test_exactly_the_refused_and_never_sent_orders_that_are_there_are_phantoms(
    writes: list[Write], data: st.DataObject
) -> None:
    refused = [index for index, write in enumerate(writes) if set(write.outcomes) <= {FAILED, REFUSED}]
    kept = data.draw(st.sets(st.sampled_from([*refused, 7000]), max_size=len(refused) + 1))
    extra = [stored(index) for index in kept]
    judged = judge(attempts_of(writes), audit_of([*orders_of(writes), *extra]))
    assert {text.partition(" ")[0] for text in judged.phantom.first} == {one.key for one in extra}
    assert judged.anomalies == judged.phantom.count == len(extra)


def test_an_order_kept_under_another_number_than_was_told_is_lost() -> None:
    writes = [Write((ACKNOWLEDGED,), True)]
    judged = judge(attempts_of(writes), audit_of([stored(0, named=9)]))
    assert judged.lost.first == (
        f"{PREFIX}0 (id 1, acknowledged 0.00 s after the ledger's start, there is id 9 instead)",
    )


def test_an_order_for_something_else_than_was_asked_is_a_phantom() -> None:
    writes = [Write((ACKNOWLEDGED,), True)]
    judged = judge(attempts_of(writes), audit_of([replace(stored(0), contents={"event": 1, "quantity": 3})]))
    assert judged.phantom.first == (f"{PREFIX}0 (id 1, kept with quantity 3 instead of 1)",)


def test_orders_of_others_are_theirs_unless_they_share_a_key() -> None:
    writes = [Write((ACKNOWLEDGED,), True)]
    others = [stored(50, key="web-1"), stored(51, key="web-2"), stored(52, key="web-2")]
    judged = judge(attempts_of(writes), audit_of([*orders_of(writes), *others]))
    assert judged.duplicated.first == ("web-2 (id 52, id 53)",)
    assert judged.anomalies == 1


def test_an_event_of_which_more_was_sold_than_there_was_is_oversold() -> None:
    writes = [Write((ACKNOWLEDGED,), True)] * 3
    audit = audit_of(orders_of(writes), initial=2, left=-1)
    judged = judge(attempts_of(writes), audit)
    assert broken(judged, "oversold") == (
        f"event 1 (Concert): {LAWS[0].text} does not hold (initial 2, left -1, sold 3, written 3)",
    )
    assert broken(judged, "off the books") == ()


def test_stock_that_is_neither_left_nor_sold_breaks_the_law_of_the_books() -> None:
    writes = [Write((ACKNOWLEDGED,), True)]
    for change in ({"left": INITIAL - 2}, {"written": 0}):
        judged = judge(attempts_of(writes), audit_of(orders_of(writes), **change))
        assert len(broken(judged, "off the books")) == 1
        assert broken(judged, "oversold") == ()


def test_what_was_wrong_before_is_not_counted_again_but_what_was_added_is() -> None:
    writes = [Write((ACKNOWLEDGED,), True)]
    now = {"initial": 10, "left": -6, "sold": 13, "written": 13}
    short = {"initial": 10, "left": -5, "sold": 12, "written": 12}  # two oversold, three astray before

    def judged(**before: float) -> Durability:
        audit = replace(audit_of(orders_of(writes)), counts=(concert(**now),), counts_before=(concert(**before),))
        return judge(attempts_of(writes), audit)

    assert judged(**(short | {"left": -6, "sold": 13, "written": 13})).anomalies == 0
    more = judged(**short)
    assert [law.offences.count for law in more.laws] == [1, 0]
    assert broken(judged(**(short | {"left": -4})), "off the books") == (
        f"event 1 (Concert): {LAWS[1].text} does not hold "
        "(initial 10, left -6, sold 13, written 13, broken by less when the ledger began)",
    )


def test_what_was_there_before_and_is_no_more_is_lost() -> None:
    writes = [Write((ACKNOWLEDGED,), True)]
    audit = replace(audit_of(orders_of(writes)), gone=("ledger-before-3 (id 3)",))
    judged = judge(attempts_of(writes), audit)
    assert judged.lost.first == ("ledger-before-3 (id 3), there when the ledger began",)


def test_only_the_first_offences_are_named_and_all_are_counted() -> None:
    writes = [Write((ACKNOWLEDGED,), True)] * (OFFENCES_SHOWN_MAX + 10)
    judged = judge(attempts_of(writes), audit_of([]))
    assert judged.lost.count == OFFENCES_SHOWN_MAX + 10
    assert len(judged.lost.first) == OFFENCES_SHOWN_MAX


def test_offences_are_told_in_plain_words() -> None:
    writes = [Write((ACKNOWLEDGED,), True)] * 2
    orders = orders_of(writes)
    assert write_words(judge(attempts_of(writes), audit_of(orders))) == ("0 of 2 acknowledged writes were lost")
    spoilt = audit_of([orders[0], replace(orders[0], id="8")], initial=1, left=-1)
    assert write_words(judge(attempts_of(writes), spoilt)) == (
        "1 of 2 acknowledged writes was lost, 1 kept twice, 1 oversold"
    )


def at(event: type[LedgerStarted] | type[LedgerEnded] | type[LedgerOmitted], *values: object) -> History:
    """Return a history of one event."""
    return History([event(Stamp(0, 0.0), "one", *values)])  # type: ignore[arg-type]


def test_without_a_ledger_nothing_is_judged_unless_one_was_asked_for() -> None:
    assert durability(History(), WriteRecord()) is None
    assert durability(at(LedgerOmitted, "the project has no ledger", False), WriteRecord()) is None
    asked = durability(at(LedgerOmitted, "the project has no ledger", True), WriteRecord())
    assert asked is not None
    assert asked.problem == "no ledger was kept: the project has no ledger"


def test_a_ledger_that_was_not_read_back_or_ended_early_is_not_judged() -> None:
    started = at(LedgerStarted, PREFIX, "orders", 10.0)
    writes = [Write((ACKNOWLEDGED,), True)]
    attempts, audit = tuple(attempts_of(writes)), audit_of(orders_of(writes))
    unread = durability(started, WriteRecord(attempts))
    failed = durability(
        started,
        WriteRecord(attempts, Audit((), 0, ReadScope.LIST, (), (), (), (), "GET /shop/api/audit: expected 200")),
    )
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
    sound = judge(attempts_of(writes), audit_of(orders_of(writes)))
    spoilt = judge(attempts_of(writes), audit_of(orders_of(writes)[:2]))
    unread = judge(attempts_of(writes), None)
    both = combined([sound, spoilt])
    assert both is not None
    assert (both.acknowledged, both.kept, both.lost, both.problem) == (6, 5, spoilt.lost, "")
    doubtful = combined([sound, unread])
    assert doubtful is not None
    assert doubtful.problem == "repeat 2: nothing was read back"
    assert combined([]) is None


def test_orders_that_were_sold_out_are_refused_and_none_of_them_failed() -> None:
    sold_out = [attempt(n, REFUSED, error="sold_out", status=409) for n in range(3)]
    never_sent = attempt(9, FAILED, error="refused")
    bought = attempt(0, ACKNOWLEDGED, number=2)
    judged = judge([*sold_out, never_sent, bought], audit_of([stored(0)]))
    assert (judged.acknowledged, judged.refused, judged.failed, judged.refused_for) == (1, 2, 1, "sold_out")
    assert combined([judged, judged]) == replace(
        judged, **{name: 2 * getattr(judged, name) for name in ("attempts", "repeated", "acknowledged", "failed")},
        kept=2, refused=4,
    )  # fmt: skip


def test_orders_that_a_machine_at_its_own_limits_could_not_send_are_no_failures_of_the_shop() -> None:
    bought = attempt(0, ACKNOWLEDGED)
    unsent = attempt(1, FAILED, error="generator: EMFILE")
    record = WriteRecord((bought, unsent), audit_of([stored(0)]))
    judged = durability(at(LedgerStarted, PREFIX, "orders", 10.0), record)
    assert judged is not None
    assert judged.problem == "1 of its writes never left, since the machine that sends was at its own limits (EMFILE)"


def look(index: int, sent_ns: int, outcome: LookOutcome = LookOutcome.MISSING) -> Look:
    """Return a read of the write of this index."""
    return Look(f"{PREFIX}{index}", sent_ns, sent_ns + 1, outcome, 404, "")


@given(st.integers(-5, 5), st.sampled_from(LookOutcome))
def test_only_a_read_sent_after_the_acknowledgement_that_misses_the_write_is_stale(
    later_ns: int, outcome: LookOutcome
) -> None:
    writes = [Write((ACKNOWLEDGED,), True)]
    judged = judge(attempts_of(writes), audit_of(orders_of(writes)), look(0, 1 + later_ns, outcome))
    assert judged.stale.count == judged.anomalies == (later_ns >= 0 and outcome is LookOutcome.MISSING)
    assert judged.looks == (outcome is not LookOutcome.UNKNOWN)


def test_a_write_counts_once_whether_it_was_missed_twice_or_is_lost() -> None:
    writes = [Write((ACKNOWLEDGED,), True)] * 2
    looks = (look(0, 5), look(0, 9), look(1, 5))
    judged = judge(attempts_of(writes), audit_of(orders_of(writes)[:1]), *looks)
    assert (judged.stale.count, judged.lost.count) == (1, 1)
    assert judged.stale.first == (
        f"{PREFIX}0 (acknowledged 0.00 s after the ledger's start, missing when read 0 ms later)",
    )


def test_the_recovery_point_counts_from_the_earliest_lost_acknowledgement_to_the_fault() -> None:
    attempts = [
        attempt(index, ACKNOWLEDGED)._replace(done_ns=(index + 1) * SECOND_NS // 10, sent_ns=index)
        for index in range(10)
    ]
    kept = [stored(index) for index in range(7)]
    judged = judge(attempts, audit_of(kept), fault_ns=SECOND_NS * 3 // 2)
    assert judged.recovery_point is not None
    assert judged.recovery_point.writes == 3
    assert judged.recovery_point.seconds == pytest.approx(0.7)
    assert "acknowledged 0.70 s before the fault" in judged.lost.first[0]
    assert judge(attempts, audit_of(kept), fault_ns=SECOND_NS // 2).recovery_point == RecoveryPoint(3, 0.0)
    assert judge(attempts, audit_of(kept)).recovery_point is None
    assert judge(attempts, audit_of([stored(index) for index in range(10)]), fault_ns=9).recovery_point is None


def test_a_system_that_only_counts_is_judged_by_its_laws() -> None:
    law = Law("votes lost", "acknowledged <= votes - votes_before <= acknowledged + unknown")
    attempts = [*(attempt(index, ACKNOWLEDGED) for index in range(3)), attempt(3, UNKNOWN)]
    before = Count("votes", {"votes": 5.0}, {"event": 1})
    for votes, is_broken in ((7, True), (8, False), (9, False), (10, True)):
        counts = (Count("votes", {"votes": float(votes)}, {"event": 1}),)
        audit = Audit((), 0, ReadScope.NONE, counts, (before,), (law,), (), "")
        judged = judge(attempts, audit)
        assert (judged.anomalies, judged.lost.count, judged.problem) == (is_broken, 0, "")
    unread = replace(audit, counts_before=())  # nothing is known of before, so nothing can be said
    assert judge(attempts, unread).anomalies == 0
