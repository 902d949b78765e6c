"""Write docs/result.schema.json, the JSON Schema of result.json, from the dataclasses of `flametest.model.result`.

    python scripts/generate_result_schema.py

A test compares the file with what this script would write.
"""

import json
from pathlib import Path

from pydantic import TypeAdapter

from flametest.model.result import Result

TARGET = Path(__file__).parents[1] / "docs" / "result.schema.json"


def schema_text() -> str:
    """Return the schema as JSON text that ends with a line's end."""
    schema = TypeAdapter(Result).json_schema(mode="serialization")
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    TARGET.write_text(schema_text(), encoding="utf-8")
