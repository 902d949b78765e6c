"""result.json and ledger.toml keep what their published schemas say."""

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest
from pydantic import TypeAdapter

from flametest.model.result import Result
from scripts.generate_document_schemas import LEDGER, RESULT, schema_texts
from tests.report import sample_result

REPOSITORY = Path(__file__).parents[2]


def test_the_published_schemas_are_those_of_the_code() -> None:
    assert {path: path.read_text() for path in (RESULT, LEDGER)} == schema_texts()


@pytest.mark.parametrize("make", [sample_result.passed_result, sample_result.failed_result])
def test_a_result_keeps_its_schema_and_is_read_back_equal(make: object, tmp_path: Path) -> None:
    assert callable(make)
    result = make()
    adapter = TypeAdapter(Result)
    text = adapter.dump_json(result)

    jsonschema.validate(json.loads(text), json.loads(RESULT.read_text()))
    assert adapter.validate_json(text) == result


def test_the_ledger_of_the_shop_keeps_its_schema_and_a_mistake_does_not() -> None:
    ledger = tomllib.loads((REPOSITORY / "experiments" / "ledger.toml").read_text())
    schema = json.loads(LEDGER.read_text())
    jsonschema.validate(ledger, schema)
    with pytest.raises(jsonschema.ValidationError, match="akzepted"):
        jsonschema.validate(ledger | {"write": {"akzepted": [200]}}, schema)
