"""Every mistake in a ledger.toml is named with its entry; what is right is read as it stands."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flametest.ledger.database import ledger_rights
from flametest.ledger.definition import Definition, DefinitionError, Sql, read_definition
from flametest.ledger.plan import plan_write
from flametest.ledger.template import fill, fill_path, placeholders, sql_with_parameters
from tests.ledger.conftest import REPOSITORY, SHOP

VOTES = """
name = "votes"

[write]
request = "POST /quotes/{quote}/votes"
choose.quote = [0, 1, 2, 3]
accepted = [202]

[[count]]
request = "GET /quotes/{quote}"
joined = "quote"
laws.lost = "acknowledged <= votes - votes_before"
"""
NOTES = """
database = "postgresql://app@127.0.0.1/app"

[write]
sql = "INSERT INTO notes (id, text) VALUES ({key}, 'x')"

[read]
sql = "SELECT id AS key FROM notes"
find = "SELECT 1 FROM notes WHERE id = {key}"
"""
STORE = """
[sql]
service = "postgres"
user = "clerk"
secret = "postgres"

[write]
sql = "INSERT INTO notes (id) VALUES ({key})"

[read]
sql = "SELECT id AS key FROM notes"
"""


def read(text: str, folder: Path) -> Definition:
    """Return the ledger of a text."""
    (folder / "ledger.toml").write_text(text)
    found = read_definition(folder / "ledger.toml")
    assert found is not None
    return found


@pytest.mark.parametrize("text", [VOTES, NOTES, STORE])
def test_a_ledger_takes_few_lines(text: str, tmp_path: Path) -> None:
    assert len([line for line in text.splitlines() if line.strip()]) <= 15
    again = Definition.model_validate_json(read(text, tmp_path).model_dump_json(exclude_defaults=True))
    assert again == read(text, tmp_path)


def test_the_shop_and_the_examples_have_ledgers_that_can_be_read() -> None:
    files = [SHOP, *REPOSITORY.glob("examples/*/experiments/ledger.toml")]
    assert len(files) >= 3
    assert all(read_definition(file) is not None for file in files)


def test_a_project_without_the_file_has_no_ledger(tmp_path: Path) -> None:
    assert read_definition(tmp_path / "ledger.toml") is None


@pytest.mark.parametrize(
    ("text", "old", "new", "message"),
    [
        (VOTES, "POST /quotes", "SEND /quotes", "write.request: expected a method and a path such as 'POST /orders'"),
        (VOTES, "POST /quotes", "POST quotes", "write.request: expected a method and a path"),
        (VOTES, "GET /quotes/{quote}", "POST /quotes", "count.0.request: what is read back is requested by GET"),
        (VOTES, "/{quote}/votes", "/{quotes}/votes", "write: {quotes} has no value; there are key, number, quote, run"),
        (VOTES, "accepted", "akzepted", "write.akzepted is no entry of a ledger"),
        (VOTES, "accepted = [202]", "accepted = []", "write.accepted: List should have at least 1 item"),
        (VOTES, "accepted = [202]", "accepted = ['202']", "write.accepted.0: Input should be a valid integer"),
        (VOTES, "accepted = [202]", "repeat = 0.1", "write.repeat: a write without {key} that is sent twice is two"),
        (VOTES, "choose.quote", "choose.key", "write.choose: 'key' cannot be the name of a choice"),
        (VOTES, 'joined = "quote"', "", "count.0: it is requested by {quote}, so joined = 'quote' has to be there"),
        (VOTES, 'joined = "quote"', 'joined = "item"', "count.0: nothing is known of 'item' of a write"),
        (VOTES, "votes_before", "votes.before", "count.0.laws.lost: law"),
        (VOTES, "acknowledged <=", "acknowledged_before <=", "count.0.laws.lost: what a ledger sends begins with it"),
        (VOTES, "acknowledged <=", "written <=", "count.0.laws.lost: 'written' takes a list in [read]"),
        (VOTES, "[[count]]", "[[counts]]", "counts is no entry of a ledger"),
        (VOTES, "[write]", "[rite]", "write is missing"),
        (VOTES, "[write]", "write", "Expected '=' after a key"),
        (NOTES, "database", "#", "write.sql: a ledger without a database has request here"),
        (NOTES, 'sql = "INSERT', 'request = "INSERT', "write.request: expected a method and a path"),
        (NOTES, "find = ", 'items = "$["\nfind = ', "read.items: '$[' is no JSON path such as '$.orders[*]'"),
        (NOTES, "WHERE id = {key}", "", "read.find: expected {key} or {id} in it"),
        (NOTES, "VALUES ({key}, 'x')", "VALUES ({key}, 'x')\"\nbody = \"x", "a statement has neither headers nor a"),
        (NOTES, "app@127", "app:hush@127", "database: no password belongs here"),
        (NOTES, "postgresql://app@127.0.0.1/app", "postgres//app", "database: expected a PostgreSQL URI"),
        (NOTES, "[write]", "[sql]\nservice = 'db'\n\n[write]", "sql: a ledger has a database, or [sql], not both"),
        (STORE, 'service = "postgres"', "", "sql.service is missing"),
        (STORE, 'user = "clerk"', "", "sql.user is missing; or name the Secret's key that has it"),
        (STORE, 'secret = "postgres"', 'keys = { user = "name" }', "sql.keys: sql.secret is missing"),
        (STORE, 'user = "clerk"', 'user = "clerk"\nkeys = { uri = "uri" }', "sql.keys.uri"),
        (STORE, 'user = "clerk"', 'user = "clerk"\npassword = "hush"', "sql.password is no entry of a ledger"),
    ],
)
def test_a_mistake_is_named_with_its_entry(text: str, old: str, new: str, message: str, tmp_path: Path) -> None:
    assert old in text
    with pytest.raises(DefinitionError) as raised:
        read(text.replace(old, new), tmp_path)
    assert message in raised.value.message
    assert "\n" not in raised.value.message


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ledger.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(DefinitionError, match=r"ledger\.toml"):
        read_definition(tmp_path / "ledger.toml")


VALUES = st.dictionaries(st.sampled_from(["key", "item", "n"]), st.integers() | st.text(max_size=8), min_size=3)


@given(VALUES)
def test_a_placeholder_alone_keeps_its_value_and_one_in_a_text_becomes_text(values: dict[str, object]) -> None:
    template = {"whole": "{item}", "part": "x {n} {{n}}", "list": ["{key}", 7, None]}
    assert fill(template, values) == {
        "whole": values["item"],
        "part": f"x {values['n']} {{n}}",
        "list": [values["key"], 7, None],
    }
    assert sorted(placeholders(template)) == ["item", "key", "n"]


@given(st.text(max_size=20))
def test_a_value_in_a_path_is_one_segment_whatever_it_holds(value: str) -> None:
    path = fill_path("/quotes/{item}/votes?by={item}", {"item": value.encode(errors="replace").decode()})
    assert path.count("/") == 3
    assert path.count("?") == path.count("=") == 1
    assert path.isascii()
    assert " " not in path


def test_values_are_bound_to_a_statement_and_never_part_of_it() -> None:
    assert sql_with_parameters("SELECT '100%' LIKE {key}") == "SELECT '100%%' LIKE %(key)s"


@given(st.integers(), st.floats(0, 1))
def test_the_same_seed_gives_the_same_writes(seed: int, repeat: float) -> None:
    definition = read_definition(SHOP)
    assert definition is not None
    write = definition.write.model_copy(update={"repeat": repeat})
    first, second = random.Random(seed), random.Random(seed)
    planned = [plan_write(write, "ledger-1-", number, first) for number in range(20)]
    assert planned == [plan_write(write, "ledger-1-", number, second) for number in range(20)]
    assert len({one.key for one in planned}) == 20


def test_choices_are_drawn_as_often_as_they_stand_there() -> None:
    definition = read_definition(SHOP)
    assert definition is not None
    draws = random.Random(3)
    planned = [plan_write(definition.write, "ledger-1-", number, draws) for number in range(2000)]
    assert 0.06 < sum(one.values["event"] == 4 for one in planned) / 2000 < 0.14
    assert 0.06 < sum(one.repeat_delay_seconds is not None for one in planned) / 2000 < 0.14
    assert {one.contents for one in planned} == {
        '{"customer": "ledger-1", "event": 1, "event_id": 1, "quantity": 1}',
        '{"customer": "ledger-1", "event": 4, "event_id": 4, "quantity": 1}',
    }


def test_credentials_come_from_the_keys_of_a_secret() -> None:
    keys = {"user": "username", "password": "password", "database": "dbname"}
    sql = Sql.model_validate({"service": "db-rw", "secret": "db-app", "keys": keys})
    assert sql.from_secret() == keys
    assert Sql(service="db", user="clerk", secret="db").from_secret() == {"password": "password"}
    assert Sql(service="db", user="clerk").from_secret() == {}


def test_a_ledger_needs_its_own_service_and_secret_and_no_others(tmp_path: Path) -> None:
    assert sorted(map(str, ledger_rights(read(STORE, tmp_path)))) == [
        "create pods/portforward",
        "get pods/portforward",
        "get secrets 'postgres'",
        "get services 'postgres'",
        "list endpointslices.discovery.k8s.io",
    ]
    assert ledger_rights(read(NOTES, tmp_path)) == ()
