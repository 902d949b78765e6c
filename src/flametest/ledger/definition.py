"""``experiments/ledger.toml``: which requests of an application write, and how what was kept is read back.

    [write]
    request = "POST /orders"
    headers = { Idempotency-Key = "{key}" }
    body = { item = "{item}", quantity = 1 }
    choose.item = [1, 1, 1, 4]

    [read]
    request = "GET /orders"
    items = "$.orders[*]"
    key = "$.idempotency_key"

Everything is described in docs/writes.md, and as a JSON Schema in docs/ledger.schema.json.
"""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import jsonpath
import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from flametest.ledger.template import placeholders
from flametest.model.errors import FlametestError
from flametest.model.laws import BEFORE, Law, LawError

__all__ = [
    "LEDGER_DEFINITION",
    "CountDefinition",
    "Definition",
    "DefinitionError",
    "Read",
    "Sql",
    "Write",
    "read_definition",
]

LEDGER_DEFINITION = "ledger.toml"
_OWN = ("key", "run", "number")
_REMEDY = "see docs/writes.md for what a ledger consists of"
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class DefinitionError(FlametestError):
    """A ledger.toml that cannot be used; the message names the entry."""


def _check_request(text: str) -> str:
    method, _, path = text.partition(" ")
    if method not in _METHODS or not path.startswith("/") or " " in path or not path.isascii():
        raise ValueError(f"expected a method and a path such as 'POST /orders', found {text!r}")
    return text


def _check_reading(text: str) -> str:
    if not text.startswith("GET "):
        raise ValueError(f"what is read back is requested by GET, found {text!r}")
    return _check_request(text)


def _check_json_path(text: str) -> str:
    try:
        jsonpath.compile(text)
    except jsonpath.JSONPathError as error:
        raise ValueError(f"{text!r} is no JSON path such as '$.orders[*]': {str(error).splitlines()[0]}") from error
    return text


def _check_names(choices: Mapping[str, object]) -> Mapping[str, object]:
    for name in choices:
        if name in (*_OWN, "id", "next") or not name.isidentifier():
            raise ValueError(f"{name!r} cannot be the name of a choice; {', '.join((*_OWN, 'id', 'next'))} are taken")
    return choices


Request = Annotated[str, AfterValidator(_check_request)]
Reading = Annotated[str, AfterValidator(_check_reading)]
JsonPath = Annotated[str, AfterValidator(_check_json_path)]
Scalar = bool | int | float | str


class _Part(BaseModel):
    model_config: ClassVar[ConfigDict] = ConfigDict(extra="forbid", frozen=True, strict=True)


class Write(_Part):
    """What is written, one after the other; ``{key}``, ``{run}``, ``{number}`` and choices stand in braces."""

    request: Request | None = Field(default=None, description="Method and path, such as POST /orders.")
    sql: str | None = Field(default=None, min_length=1, description="A statement, where the ledger has a database.")
    headers: dict[str, str] = Field(default={}, description="Headers, such as Idempotency-Key = '{key}'.")
    body: Any = Field(default=None, description="What is sent as JSON; a text is sent as it is.")
    choose: Annotated[dict[str, Annotated[list[Scalar], Field(min_length=1)]], AfterValidator(_check_names)] = Field(
        default={},
        description="Values from which one is drawn for each write, by name; repeat one to draw it more often.",
    )
    accepted: list[int] = Field(
        default=[200, 201, 204], min_length=1, description="Statuses that acknowledge the write."
    )
    refused: list[int] = Field(
        default=[], description="Statuses that refuse it for a reason, in addition to 402, 409, 410, 412, 422."
    )
    id: JsonPath | None = Field(default=None, description="Where the answer names what the write is kept under.")
    repeat: float = Field(
        default=0.0, ge=0, le=1, description="Share of writes that are sent twice, with the same key."
    )
    per_second: float = Field(default=10.0, gt=0, le=200, description="Writes a second.")
    timeout_seconds: float = Field(default=3.0, gt=0, le=60, description="After so long nothing is known of a write.")

    def known(self) -> frozenset[str]:
        """Return the names of what is known of a write: its choices, and the plain values of its body."""
        named = self.body if isinstance(self.body, Mapping) else {}
        return frozenset(self.choose) | {name for name, value in named.items() if isinstance(value, Scalar)}


class Read(_Part):
    """How what was kept is read back: all of it by a list, or each write by its key or id; both may be there."""

    request: Reading | None = Field(default=None, description="The list; {next} asks for its next page.")
    sql: str | None = Field(default=None, min_length=1, description="A query with a column named key, or one named id.")
    items: JsonPath = Field(default="$[*]", description="Where an answer has the writes.")
    key: JsonPath | None = Field(default=None, description="Where each has the ledger's key.")
    id: JsonPath | None = Field(default=None, description="Where each has what it is kept under.")
    fields: list[str] = Field(default=[], description="Fields that have to be kept as they were written.")
    first: Scalar = Field(default=0, description="What {next} is on the first page.")
    next: JsonPath | None = Field(
        default=None, description="Where an answer has {next} of the page that follows; null ends."
    )
    find: str | None = Field(
        default=None, min_length=1, description="The request, or query, for one write by {key} or {id}."
    )
    missing: list[int] = Field(
        default=[404, 410], min_length=1, description="Statuses that say that there is no such write."
    )
    found: JsonPath | None = Field(
        default=None, description="What an answer of 200 has to have, and be neither null nor false."
    )
    looks: float = Field(
        default=0.1, ge=0, le=1, description="Share of acknowledged writes looked for at once, by find."
    )
    others_stay: bool = Field(default=True, description="Whether writes that were there before have to be there after.")


class CountDefinition(_Part):
    """What the system counts, and what has to hold for it."""

    name: str = Field(default="count", min_length=1, description="What it is called; fields of it are in braces.")
    request: Reading | None = Field(default=None, description="The request that asks for it.")
    sql: str | None = Field(default=None, min_length=1, description="The query; each row is one count.")
    items: JsonPath = Field(default="$", description="Where an answer has it; several are several counts.")
    joined: str | None = Field(default=None, description="The field by which writes belong to it.")
    sum: str | None = Field(default=None, description="The field of a write that adds up; without it each is one.")
    laws: dict[str, str] = Field(min_length=1, description="By the name of what breaks it: what has to hold.")

    def named_laws(self) -> tuple[Law, ...]:
        """Return its laws."""
        return tuple(Law(name, text) for name, text in self.laws.items())


class Sql(_Part):
    """A PostgreSQL inside the cluster, reached through its Service by port forwards of the API."""

    service: str = Field(min_length=1, description="The Service, in the namespace of the system.")
    port: int = Field(default=5432, ge=1, le=65535, description="Its port.")
    database: str | None = Field(default=None, min_length=1, description="The database's name.")
    user: str | None = Field(default=None, min_length=1, description="Who writes and reads.")
    secret: str | None = Field(default=None, min_length=1, description="The Secret that has the password.")
    keys: dict[Literal["user", "password", "database"], str] = Field(
        default={"password": "password"}, min_length=1, description="Under which of the Secret's keys each of them is."
    )

    def from_secret(self) -> Mapping[str, str]:
        """Return what is taken from the Secret: its key for ``user``, ``password`` and ``database``."""
        return {str(name): key for name, key in self.keys.items()} if self.secret is not None else {}


class Definition(_Part):
    """A ledger of writes: what is written, and how what was kept is read back."""

    name: str = Field(
        default="writes", min_length=1, max_length=40, description="What reports call them, such as orders."
    )
    database: str | None = Field(
        default=None, min_length=1, description="A PostgreSQL URI, for statements instead of requests."
    )
    sql: Sql | None = Field(default=None, description="A PostgreSQL inside the cluster, likewise.")
    quiet_seconds: float = Field(default=0.0, ge=0, le=60, description="Two readings have to agree, so far apart.")
    write: Write
    read: Read | None = None
    count: list[CountDefinition] = []

    @property
    def is_sql(self) -> bool:
        """Return whether it writes by statements to a database, rather than by requests."""
        return self.database is not None or self.sql is not None

    @model_validator(mode="after")
    def _check(self) -> Self:
        for problem in _problems(self):
            raise ValueError(problem)
        return self


def read_definition(path: Path) -> Definition | None:
    """Return the ledger that a file defines; None where there is no such file.

    Raises:
        DefinitionError: it cannot be read or understood.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        raise DefinitionError(f"{path}: {error}", _REMEDY) from error
    try:
        return Definition.model_validate(content)
    except ValidationError as error:
        raise DefinitionError(f"{path}: {_first(error)}", _REMEDY) from error


def _first(error: ValidationError) -> str:
    """Return the first mistake in one line, with the entry that has it."""
    mistake = error.errors(include_url=False)[0]
    entry = ".".join(str(part) for part in mistake["loc"])
    words = {"missing": "is missing", "extra_forbidden": "is no entry of a ledger"}
    message = words.get(mistake["type"]) or mistake["msg"].removeprefix("Value error, ")
    return f"{entry} {message}" if mistake["type"] in words else f"{entry}: {message}" if entry else message


def _problems(ledger: Definition) -> Iterator[str]:
    """Yield what is wrong with a ledger as a whole; each part is right by itself."""
    if ledger.read is None and not ledger.count:
        yield "nothing is read back: add [read], or [[count]] with laws"
    yield from _database_problems(ledger)
    yield from _means_problems(ledger)
    yield from _write_problems(ledger.write)
    if ledger.read is not None:
        yield from _read_problems(ledger.write, ledger.read, is_sql=ledger.is_sql)
    for number, count in enumerate(ledger.count):
        yield from _count_problems(ledger, count, f"count.{number}")


def _database_problems(ledger: Definition) -> Iterator[str]:
    if ledger.database is not None:
        if ledger.sql is not None:
            yield "sql: a ledger has a database, or [sql], not both"
        try:
            named = conninfo_to_dict(ledger.database)
        except psycopg.ProgrammingError:  # its message repeats the URI
            yield "database: expected a PostgreSQL URI such as postgresql://USER@HOST:PORT/NAME"
            return
        if named.get("password"):
            yield (
                "database: no password belongs here, since each report keeps a copy of the ledger; put it into "
                "PGPASSWORD, or into a Secret that [sql] names"
            )
    elif ledger.sql is not None and ledger.sql.secret is None and "keys" in ledger.sql.model_fields_set:
        yield "sql.keys: sql.secret is missing"
    elif ledger.sql is not None and ledger.sql.user is None and "user" not in ledger.sql.from_secret():
        yield "sql.user is missing; or name the Secret's key that has it, as keys.user"


def _means_problems(ledger: Definition) -> Iterator[str]:
    """Yield parts that ask by SQL without a database, or by HTTP with one."""
    wanted, other = ("sql", "request") if ledger.is_sql else ("request", "sql")
    parts: dict[str, Write | Read | CountDefinition | None] = {"write": ledger.write, "read": ledger.read}
    parts |= {f"count.{number}": one for number, one in enumerate(ledger.count)}
    for name, part in parts.items():
        if part is None:
            continue
        if getattr(part, other) is not None:
            yield f"{name}.{other}: a ledger {'with' if ledger.is_sql else 'without'} a database has {wanted} here"
        if getattr(part, wanted) is None and not (isinstance(part, Read) and part.find):
            yield f"{name}.{wanted} is missing"


def _write_problems(write: Write) -> Iterator[str]:
    known = {*_OWN, *write.choose}
    used = set(placeholders([write.request, write.sql, list(write.headers.values()), write.body]))
    if unknown := sorted(used - known):
        yield f"write: {{{unknown[0]}}} has no value; there are {', '.join(sorted(known))}"
    if write.repeat and "key" not in used:
        yield "write.repeat: a write without {key} that is sent twice is two writes"
    if write.sql is not None and (write.headers or write.body is not None):
        yield "write: a statement has neither headers nor a body"


def _read_problems(write: Write, read: Read, *, is_sql: bool) -> Iterator[str]:
    used = set(placeholders([write.request, write.sql, list(write.headers.values()), write.body]))
    is_list = read.request is not None or read.sql is not None
    if read.key is not None and "key" not in used:
        yield "read.key: no write has {key}"
    if is_list and not is_sql and read.key is None and (read.id is None or write.id is None):
        yield "read: writes are distinguished by read.key, or by read.id and write.id"
    if unknown := sorted(set(read.fields) - write.known()):
        yield _unknown_field("read.fields", unknown[0], write)
    if read.request is not None and ("next" in placeholders(read.request)) != (read.next is not None):
        yield "read: {next} in the request and the entry next go together"
    if read.find is None:
        return
    if not is_sql:
        yield from _checked(_check_reading, "read.find", read.find)
    needed = set(placeholders(read.find))
    if not needed or needed - {"key", "id", *write.choose}:
        yield "read.find: expected {key} or {id} in it"
    if "id" in needed and write.id is None:
        yield "read.find: {id} is not known without write.id"


def _unknown_field(entry: str, field: str, write: Write) -> str:
    return f"{entry}: nothing is known of {field!r} of a write, but of {', '.join(sorted(write.known())) or 'nothing'}"


def _checked(check: Any, entry: str, text: str) -> Iterator[str]:
    try:
        check(text)
    except ValueError as error:
        yield f"{entry}: {error}"


def _count_problems(ledger: Definition, count: CountDefinition, entry: str) -> Iterator[str]:
    known = ledger.write.known()
    for name in (count.joined, count.sum):
        if name is not None and name not in known:
            yield _unknown_field(entry, name, ledger.write)
    asked = set(placeholders([count.request, count.sql]))
    if asked - set(ledger.write.choose):
        yield f"{entry}: {{{min(asked)}}} is no choice of a write"
    if asked and count.joined not in asked:
        yield f"{entry}: it is requested by {{{min(asked)}}}, so joined = {min(asked)!r} has to be there"
    is_list = ledger.read is not None and (ledger.read.request is not None or ledger.read.sql is not None)
    for law in count.named_laws():
        try:
            figures = law.figures()
        except LawError as error:
            yield f"{entry}.laws.{law.name}: {error.message}"
            continue
        if "written" in figures and not is_list:
            yield f"{entry}.laws.{law.name}: 'written' takes a list in [read]"
        if any(one.removesuffix(BEFORE) in ("acknowledged", "unknown") for one in figures if one.endswith(BEFORE)):
            yield f"{entry}.laws.{law.name}: what a ledger sends begins with it, and was nothing before"
