"""result.json keeps what its published schema says."""

import json
from pathlib import Path

import jsonschema
import pytest
from pydantic import TypeAdapter

from flametest.model.result import Result
from scripts.generate_result_schema import TARGET, schema_text
from tests.report import sample_result


def test_the_published_schema_is_that_of_the_code() -> None:
    assert TARGET.read_text() == schema_text()


@pytest.mark.parametrize("make", [sample_result.passed_result, sample_result.failed_result])
def test_a_result_keeps_its_schema_and_is_read_back_equal(make: object, tmp_path: Path) -> None:
    assert callable(make)
    result = make()
    adapter = TypeAdapter(Result)
    text = adapter.dump_json(result)

    jsonschema.validate(json.loads(text), json.loads(TARGET.read_text()))
    assert adapter.validate_json(text) == result
