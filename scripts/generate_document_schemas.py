"""Write the JSON Schemas under docs/: of result.json and of ledger.toml, from the types that the code reads them by.

    python scripts/generate_document_schemas.py

A test compares the files with what this script would write.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from flametest.ledger import Definition
from flametest.model.result import Result

DOCS = Path(__file__).parents[1] / "docs"
RESULT = DOCS / "result.schema.json"
LEDGER = DOCS / "ledger.schema.json"


def schema_texts() -> dict[Path, str]:
    """Return the text of each schema, which ends with a line's end, by its file."""
    result = TypeAdapter(Result).json_schema(mode="serialization")
    return {RESULT: _text(result), LEDGER: _text(Definition.model_json_schema())}


def _text(schema: dict[str, Any]) -> str:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for path, text in schema_texts().items():
        path.write_text(text, encoding="utf-8")
