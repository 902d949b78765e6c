"""The ledger against the real shop: it accuses nobody wrongly, and finds every row that was changed in secret."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from flametest.ledger import Auditor, Ledger, LedgerOptions, reader_of
from flametest.measure.durability import WriteRecord, judge_writes
from flametest.measure.ledger import read_attempts, read_looks
from flametest.model.measures import Durability
from flametest.model.writes import Attempt, WriteOutcome
from tests.ledger.conftest import ledger_of_the_shop
from tests.patience import PATIENCE_SECONDS

EVENT, SCARCE = 1, 4  # a million tickets, and fifty
SHOP = ledger_of_the_shop()

Condition = Callable[[tuple[Attempt, ...]], bool]


class Bookkeeping:
    """A ledger that wrote to a shop, and what is read back of it as often as a test likes."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder
        self.auditor = Auditor(SHOP, reader_of(SHOP, url))
        self.auditor.begin()
        self.prefix = ""

    def attempts(self) -> tuple[Attempt, ...]:
        """Return what the ledger noted so far."""
        with (self.folder / "ledger.csv").open(newline="") as lines:
            return read_attempts(lines)

    @contextmanager
    def writing(self, **write: object) -> Iterator[Callable[[Condition], None]]:
        """Write while the block runs; it gets a function that returns when the attempts so far are as they should."""
        definition = ledger_of_the_shop(per_second=50.0, **write)
        with Ledger(LedgerOptions(self.url, definition, "7"), self.folder) as ledger:
            self.prefix = ledger.prefix

            def wait(condition: Condition) -> None:
                deadline = time.monotonic() + PATIENCE_SECONDS
                while not ((self.folder / "ledger.csv").exists() and condition(self.attempts())):
                    assert time.monotonic() < deadline, "the ledger did not get so far"
                    ledger.check()
                    time.sleep(0.02)

            yield wait
            ledger.stop()

    def acknowledged_keys(self) -> list[str]:
        """Return the keys of the orders for the common event that were acknowledged; on a busy machine not all are."""
        found = {one.key for one in self.attempts() if one.outcome is WriteOutcome.ACKNOWLEDGED}
        return sorted(found & {one.key for one in self.attempts() if f'"event_id": {EVENT}' in one.contents})

    def judge(self) -> Durability:
        """Read back and judge."""
        attempts = self.attempts()
        with (self.folder / "looks.csv").open(newline="") as lines:
            looks = read_looks(lines)
        audit = self.auditor.audit(self.prefix, attempts, timeout_seconds=60)
        return judge_writes(WriteRecord(attempts, audit, looks), self.prefix)

    def law(self, judged: Durability, name: str) -> tuple[str, ...]:
        """Return what broke a law."""
        return next(law.offences.first for law in judged.laws if law.name == name)


def acknowledged(number: int) -> Condition:
    """Return the condition that so many attempts were acknowledged."""
    return lambda attempts: sum(one.outcome is WriteOutcome.ACKNOWLEDGED for one in attempts) >= number


@pytest.fixture
def keeping(frontend: Any, shop_database: Any, tmp_path: Path) -> Bookkeeping:
    """A shop with no orders and a ledger that has not begun."""
    assert frontend.ask("GET", "/shop/api/events").status == 200  # which makes the tables
    return Bookkeeping(f"http://127.0.0.1:{frontend.port}", tmp_path)


@pytest.fixture
def written(keeping: Bookkeeping) -> Bookkeeping:
    """A ledger of some forty acknowledged orders in a shop that is sound so far."""
    with keeping.writing(choose={"event": [EVENT] * 4 + [SCARCE]}, repeat=0.3) as wait:
        wait(acknowledged(40))
    return keeping


def test_a_sound_shop_is_not_accused_and_repeats_are_one_order(written: Bookkeeping) -> None:
    judged = written.judge()
    assert judged.problem == ""
    assert judged.anomalies == 0
    assert 20 <= judged.acknowledged <= judged.kept <= judged.acknowledged + judged.unknown
    assert judged.repeated >= 3
    assert judged.attempts == judged.acknowledged + judged.unknown + judged.repeated
    assert judged.failed == judged.refused == 0


def test_deleted_orders_are_lost_and_unbalance_the_books(written: Bookkeeping, shop_database: Any) -> None:
    rows = shop_database.execute(
        "DELETE FROM orders WHERE idempotency_key = ANY(%s) RETURNING idempotency_key, id",
        (written.acknowledged_keys()[:3],),
    ).fetchall()
    judged = written.judge()
    assert len(rows) == 3
    assert {text.partition(",")[0] for text in judged.lost.first} == {f"{key} (id {number}" for key, number in rows}
    assert len(written.law(judged, "off the books")) == 1
    assert judged.anomalies == 4


def test_an_order_deleted_with_its_tickets_put_back_is_lost_all_the_same(
    written: Bookkeeping, shop_database: Any
) -> None:
    shop_database.execute("DELETE FROM orders WHERE idempotency_key = %s", (written.acknowledged_keys()[-1],))
    shop_database.execute("UPDATE events SET stock = stock + 1 WHERE id = 1")
    judged = written.judge()
    assert judged.lost.count == judged.anomalies == 1


def test_a_second_order_under_one_key_is_a_duplicate(written: Bookkeeping, shop_database: Any) -> None:
    shop_database.execute("ALTER TABLE orders DROP CONSTRAINT orders_idempotency_key_key")
    (key,) = shop_database.execute(
        "INSERT INTO orders (idempotency_key, event_id, quantity, total_cents, customer) "
        "SELECT idempotency_key, event_id, quantity, total_cents, customer FROM orders WHERE event_id = 1 "
        "ORDER BY id LIMIT 1 RETURNING idempotency_key"
    ).fetchone()
    shop_database.execute("UPDATE events SET stock = stock - 1 WHERE id = 1")
    judged = written.judge()
    assert judged.duplicated.count == judged.anomalies == 1
    assert judged.duplicated.first[0].startswith(f"{key} (id ")


def test_more_tickets_sold_than_there_were_are_oversold(written: Bookkeeping, shop_database: Any) -> None:
    constraints = shop_database.execute(
        "SELECT conname FROM pg_constraint WHERE conrelid = 'events'::regclass AND contype = 'c'"
    ).fetchall()
    for (name,) in constraints:
        shop_database.execute(f'ALTER TABLE events DROP CONSTRAINT "{name}"')
    shop_database.execute("UPDATE events SET initial_stock = 1, stock = 1 - (initial_stock - stock) WHERE id = 4")
    judged = written.judge()
    assert judged.anomalies == 1
    (text,) = written.law(judged, "oversold")
    assert text.startswith("event 4 (Lighthouse Reading): sold <= initial and ")


def test_an_order_that_nobody_sent_and_a_changed_one_are_phantoms(written: Bookkeeping, shop_database: Any) -> None:
    shop_database.execute(
        "INSERT INTO orders (idempotency_key, event_id, quantity, total_cents, customer) VALUES (%s, 1, 1, 0, 'x')",
        (f"{written.prefix}999999",),
    )
    shop_database.execute("UPDATE orders SET quantity = 2 WHERE id = (SELECT min(id) FROM orders WHERE event_id = 1)")
    shop_database.execute("UPDATE events SET stock = stock - 2 WHERE id = 1")
    judged = written.judge()
    assert judged.phantom.count == judged.anomalies == 2
    assert any("never sent" in text for text in judged.phantom.first)


def test_an_order_that_vanishes_between_two_audits_is_lost(written: Bookkeeping, shop_database: Any) -> None:
    assert written.judge().anomalies == 0
    own = written.prefix
    written.prefix = "ledger-of-the-next-scenario-"
    shop_database.execute("DELETE FROM orders WHERE id = (SELECT max(id) FROM orders WHERE event_id = 1)")
    shop_database.execute("UPDATE events SET stock = stock + 1 WHERE id = 1")
    audit = written.auditor.audit(written.prefix, (), timeout_seconds=60)
    assert len(audit.gone) == 1
    assert audit.gone[0].startswith(own)


def test_sold_out_is_refused_not_failed_and_nothing_is_oversold(keeping: Bookkeeping) -> None:
    with keeping.writing(choose={"event": [SCARCE]}, repeat=0.5) as wait:
        wait(lambda attempts: sum(one.status == 409 for one in attempts) >= 5)
    judged = keeping.judge()
    assert judged.anomalies == 0
    assert judged.kept == 50
    assert judged.acknowledged <= 50 <= judged.acknowledged + judged.unknown
    assert judged.refused >= 3
    assert (judged.failed, judged.refused_for) == (0, "sold_out")
    counts = keeping.auditor.audit(keeping.prefix, keeping.attempts(), timeout_seconds=60).counts
    (scarce,) = [one for one in counts if one.joined == {"event_id": SCARCE}]
    assert (scarce.values["left"], scarce.values["sold"], scarce.values["written"]) == (0, 50, 50)


def test_writes_during_an_outage_of_the_database_are_unknown_and_none_is_lost(
    keeping: Bookkeeping, postgres_server: Any
) -> None:
    with keeping.writing(choose={"event": [EVENT]}) as wait:
        wait(acknowledged(10))
        postgres_server.stop()
        wait(lambda attempts: sum(one.status == 503 for one in attempts) >= 3)
        postgres_server.start()
        before = sum(one.outcome is WriteOutcome.ACKNOWLEDGED for one in keeping.attempts())
        wait(acknowledged(before + 10))
    judged = keeping.judge()
    assert judged.unknown > 0
    assert judged.anomalies == 0
    assert judged.acknowledged <= judged.kept
