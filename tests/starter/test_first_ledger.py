"""The first ledger.toml that ``flametest init`` guesses: usable as it is, said to be a guess, and left out in doubt."""

import json
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import uvicorn
from click.testing import CliRunner
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st

from flametest.cli.main import main
from flametest.ledger import Auditor, Definition, Ledger, LedgerOptions, read_definition, reader_of
from flametest.measure.durability import WriteRecord, judge_writes
from flametest.measure.ledger import read_attempts, read_looks
from flametest.model.writes import WriteOutcome
from flametest.starter import guess_ledger, make_topology, read_folder
from flametest.starter.answers import served_document
from flametest.starter.apis import find_operations
from flametest.starter.fastapi import operations_in_source
from flametest.starter.openapi import Operation, operations_of
from flametest.starter.system import SourceFile
from tests.load.conftest import wait_until

__all__ = ["wait_until"]

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs" / "ledger.schema.json").read_text())
HEADER = """
from typing import Annotated
from fastapi import FastAPI, Header
from pydantic import BaseModel, Field

class Order(BaseModel):
    item: str
    quantity: int = Field(ge=2)
    note: str | None = None

class Kept(BaseModel):
    id: int
    idempotency_key: str

app = FastAPI()
kept: list[Kept] = []

@app.post("/orders", status_code=201)
async def place(order: Order, idempotency_key: Annotated[str, Header()]) -> Kept:
    for one in kept:
        if one.idempotency_key == idempotency_key:
            return one
    kept.append(Kept(id=len(kept) + 1, idempotency_key=idempotency_key))
    return kept[-1]

@app.get("/orders")
async def orders(limit: int = 10000) -> list[Kept]:
    return kept[:limit]
"""
FIELD = """
from typing import Literal
from fastapi import APIRouter, FastAPI
from pydantic import BaseModel

class Job(BaseModel):
    reference: str
    kind: Literal["small", "large"]

app = FastAPI()
router = APIRouter(prefix="/api")
kept: dict[str, Job] = {}

@router.post("/jobs")
async def take(job: Job) -> dict[str, str]:
    kept[job.reference] = job
    return {"taken": job.reference}

@router.get("/jobs/{reference}")
async def find(reference: str) -> Job:
    return kept[reference]

@app.post("/login")
async def login(job: Job) -> dict[str, str]:
    return {"id": "1"}

app.include_router(router)
"""
IDENTITY = """
from uuid import uuid4
from fastapi import FastAPI, HTTPException

app = FastAPI()
kept: set[str] = set()

@app.post("/parcels", status_code=202)
async def take() -> dict[str, str]:
    parcel = str(uuid4())
    kept.add(parcel)
    return {"parcel": parcel}

@app.get("/parcels/{parcel}")
async def find(parcel: str) -> dict[str, str]:
    if parcel not in kept:
        raise HTTPException(404)
    return {"parcel": parcel}
"""
EXPECTED: dict[str, dict[str, Any]] = {
    HEADER: {
        "name": "orders",
        "write": {
            "request": "POST /orders",
            "headers": {"idempotency-key": "{key}"},
            "body": {"item": "flametest", "quantity": 2},
            "id": "$.id",
            "repeat": 0.1,
        },
        "read": {"request": "GET /orders", "items": "$[*]", "key": "$.idempotency_key", "id": "$.id"},
    },
    FIELD: {
        "name": "jobs",
        "write": {"request": "POST /api/jobs", "body": {"reference": "{key}", "kind": "small"}},
        "read": {"find": "GET /api/jobs/{key}"},
    },
    IDENTITY: {
        "name": "parcels",
        "quiet_seconds": 2,
        "write": {"request": "POST /parcels", "accepted": [202], "id": "$.parcel"},
        "read": {"find": "GET /parcels/{id}", "looks": 0},
    },
}


def application(source: str) -> FastAPI:
    """Return the application of a source."""
    names: dict[str, Any] = {"__name__": "application"}
    exec(compile(source, "application.py", "exec"), names)
    app = names["app"]
    assert isinstance(app, FastAPI)
    return app


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """Serve an application and yield its URL."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_for_start(server, thread)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


def wait_for_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    """Return when a server listens."""
    while not server.started:
        assert thread.is_alive()
        thread.join(0.01)


def definition_of(text: str, folder: Path) -> Definition:
    """Return the ledger that a text defines, by Flametest's own reader and by the schema."""
    jsonschema.validate(tomllib.loads(text), SCHEMA)
    (folder / "ledger.toml").write_text(text, encoding="utf-8")
    found = read_definition(folder / "ledger.toml")
    assert found is not None
    return found


@pytest.mark.parametrize("source", EXPECTED)
def test_source_and_the_document_of_the_running_application_give_the_same_ledger(source: str, tmp_path: Path) -> None:
    in_source = guess_ledger(operations_in_source([SourceFile("application.py", source)]))
    in_document = guess_ledger(operations_of(application(source).openapi(), "GET /openapi.json"))
    for guess in (in_source, in_document):
        definition_of(guess.text, tmp_path)
        assert tomllib.loads(guess.text) == EXPECTED[source]
        assert guess.text.startswith("# A GUESS of `flametest init`")
        assert "nothing was sent" in guess.told
    assert "application.py:" in in_source.told


def test_a_list_that_takes_pages_is_to_be_checked() -> None:
    text = guess_ledger(operations_in_source([SourceFile("application.py", HEADER)])).text
    assert "# - that GET /orders lists all of them: it takes limit, so it may need `first` and `next`\n" in text


@pytest.mark.parametrize("source", [HEADER, IDENTITY])
def test_a_guess_that_was_made_of_a_running_application_keeps_a_sound_ledger(
    source: str, tmp_path: Path, wait_until: Any
) -> None:
    with served(application(source)) as url:
        document, path = served_document(url)
        assert path == "/openapi.json"
        definition = definition_of(guess_ledger(operations_of(document, path)).text, tmp_path)
        auditor = Auditor(definition, reader_of(definition, url))
        auditor.begin()

        def noted() -> WriteRecord:
            if not (tmp_path / "looks.csv").exists():
                return WriteRecord()
            with (tmp_path / "ledger.csv").open() as attempts, (tmp_path / "looks.csv").open() as looks:
                return WriteRecord(read_attempts(attempts), None, read_looks(looks))

        with Ledger(LedgerOptions(url, definition, "7"), tmp_path) as ledger:
            wait_until(lambda: sum(one.outcome is WriteOutcome.ACKNOWLEDGED for one in noted().attempts) >= 5)
            ledger.stop()
        record = noted()
        audit = auditor.audit(ledger.prefix, record.attempts, timeout_seconds=60)
    found = judge_writes(WriteRecord(record.attempts, audit, record.looks), ledger.prefix)
    assert (found.problem, found.anomalies, found.refused, found.failed) == ("", 0, 0, 0)
    assert found.acknowledged >= 5


def test_init_writes_it_for_an_example_and_says_that_it_guessed(tmp_path: Path) -> None:
    manifests = ROOT / "examples" / "parcels" / "manifests"
    done = CliRunner().invoke(main, ["init", "--manifests", str(manifests), "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    file = tmp_path / "experiments" / "ledger.toml"
    told = (
        "ledger of writes: guessed POST /parcels (counter.py:74), read back by GET /parcels/{parcel}; nothing was sent"
    )
    assert f"{told}. Check it before the first run: {file}\n" in done.output
    shipped = tomllib.loads((manifests.parent / "experiments" / "ledger.toml").read_text())
    assert tomllib.loads(file.read_text()) == shipped
    accounted = CliRunner().invoke(
        main, ["init", "--format", "json", "--manifests", str(manifests), "--out", str(tmp_path)]
    )
    assert json.loads(accounted.output)["ledger"]["guessed"] is True


@pytest.mark.parametrize(
    ("example", "why"),
    [
        ("quotes", "no POST has a key that can be read back (POST /quotes/{number}/votes: its path has parameters)"),
        ("languages", "no POST is described by the entry's OpenAPI, next to the manifests or in source"),
    ],
)
def test_where_nothing_is_found_nothing_is_written_and_one_line_says_why(
    example: str, why: str, tmp_path: Path
) -> None:
    manifests = ROOT / "examples" / example / "manifests"
    done = CliRunner().invoke(main, ["init", "--manifests", str(manifests), "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert f"no ledger.toml: {why}\n" in done.output
    assert not (tmp_path / "experiments" / "ledger.toml").exists()


@pytest.mark.parametrize(("name", "place"), [("openapi.json", "manifests"), ("openapi.yaml", ".")])
def test_a_document_in_or_beside_the_manifests_is_read(name: str, place: str, tmp_path: Path) -> None:
    folder = tmp_path / "manifests"
    folder.mkdir()
    pods = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "web", "image": "web:1"}]}}
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": pods}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": spec}
    (folder / "web.yaml").write_text(json.dumps(deployment))
    (tmp_path / place / name).write_text(json.dumps(application(IDENTITY).openapi()))
    found = find_operations(make_topology(read_folder(folder)), "", folder)
    assert guess_ledger(found).told.startswith(f"guessed POST /parcels ({name})")


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"parameters": [{"name": "day", "in": "query", "required": True}]}, "what it takes is not described"),
        ({"requestBody": {"required": True, "content": {"text/xml": {}}}}, "what it takes is not described"),
        (
            {
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {"required": ["a"], "properties": {"a": {"type": "string", "pattern": "^x$"}}}
                        }
                    }
                }
            },
            "its body has a field with a pattern",
        ),
    ],
)
def test_what_cannot_be_sent_as_it_is_described_is_not_guessed(changed: dict[str, Any], why: str) -> None:
    document = application(IDENTITY).openapi()
    document["paths"]["/parcels"]["post"] |= changed
    guess = guess_ledger(operations_of(document, "openapi.json"))
    assert (guess.text, guess.told.endswith(f"(POST /parcels: {why})")) == ("", True)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["id", "reference", "Idempotency-Key", "order_id", "x y", "ä", '"', "items"])
SCHEMAS = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["string", "integer", "number", "boolean", "array", "object", ["null", "string"]]),
            "default": JSON,
            "enum": JSON,
            "example": JSON,
            "format": st.sampled_from(["uuid", "date", "odd"]),
            "minimum": JSON,
            "maximum": JSON,
            "minLength": JSON,
            "required": JSON | st.lists(NAMES, max_size=3),
        },
    ),
    lambda inner: (
        st.fixed_dictionaries(
            {"properties": st.dictionaries(NAMES, inner, max_size=4)},
            optional={"required": st.lists(NAMES, max_size=3), "items": inner, "allOf": st.lists(inner, max_size=2)},
        )
        | st.fixed_dictionaries({"type": st.just("array"), "items": inner}, optional={"minItems": st.integers(-1, 200)})
    ),
    max_leaves=8,
)
OPERATIONS = st.builds(
    lambda name, header, schema, answer, status: {
        "parameters": [{"name": header, "in": "header", "schema": schema}, {"name": name, "in": "path"}],
        "requestBody": {"content": {"application/json": {"schema": schema}}},
        "responses": {str(status): {"content": {"application/json": {"schema": answer}}}},
    },
    NAMES,
    NAMES,
    SCHEMAS | JSON,
    SCHEMAS | JSON,
    st.sampled_from([200, 201, 202, 204, 299, 404]),
)
PATHS = st.sampled_from(
    ["/orders", "/orders/", "/orders/{id}", "/orders/{order_id}", "/a b", "/jobs", "/jobs/{reference}"]
)
DOCUMENTS = st.builds(
    lambda paths: {"openapi": "3.1.0", "paths": paths},
    st.dictionaries(PATHS, st.dictionaries(st.sampled_from(["get", "post"]), OPERATIONS | JSON), max_size=5),
)


@given(DOCUMENTS | JSON)
def test_whatever_a_document_holds_a_guess_is_a_ledger(document: Any) -> None:
    guess = guess_ledger(operations_of(document, "openapi.json"))
    assert "\n" not in guess.told
    if guess.text:
        Definition.model_validate(tomllib.loads(guess.text))


@given(st.text(max_size=200) | st.sampled_from(list(EXPECTED)).map(lambda text: text[: len(text) // 2]))
def test_whatever_a_source_holds_it_is_read_or_left_out(text: str) -> None:
    found = operations_in_source([SourceFile("application.py", text), SourceFile("application.js", text)])
    assert all(isinstance(one, Operation) for one in found)
