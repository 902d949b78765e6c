"""Generate the slice of Kubernetes' API types that the embedded API server checks and merges with.

Run it by hand when a kind is added to the catalogue or the emulated version changes; the result is committed. The
definitions come from the package ``kubernetes-validate`` (108 MB installed, so put it into a scratch environment):

    python3 -m venv /tmp/schemas && /tmp/schemas/bin/pip install kubernetes-validate
    .venv/bin/python scripts/generate_schemas.py \
        /tmp/schemas/lib/python3*/site-packages/kubernetes_validate/kubernetes-json-schema/v1.36.0-local/_definitions.json

The output depends on the input alone: generating twice gives the same bytes.
"""

import gzip
import json
import sys
from pathlib import Path
from typing import Any

from flametest.sandbox.apiserver.resources import CATALOGUE
from flametest.sandbox.apiserver.views import VIEWS

__all__ = ["main"]

OUTPUT = Path(__file__).parent.parent / "src/flametest/sandbox/apiserver/schemas.json.gz"

EXTRA_KINDS = (
    ("autoscaling", "v1", "Scale"),
    ("policy", "v1", "Eviction"),
    ("", "v1", "Binding"),
    ("authentication.k8s.io", "v1", "TokenRequest"),
    ("", "v1", "DeleteOptions"),
)
"""Kinds that are no resource of their own but bodies of requests."""

PREFIXES = ("io.k8s.api.", "io.k8s.apimachinery.pkg.")

NAMED_SCALARS = {
    "util.intstr.IntOrString": "intstr",
    "api.resource.Quantity": "quantity",
}


def short(reference: str) -> str:
    """Return the short name of a definition or of a reference to it."""
    name = reference.removeprefix("#/$defs/")
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name


def scalar(schema: dict[str, Any]) -> str:
    """Return the scalar kind of a schema that names no other type."""
    types = schema.get("type", "object")
    kind = types if isinstance(types, str) else next(t for t in types if t != "null")
    if schema.get("format") == "date-time":
        return "time"
    if kind == "integer":
        return str(schema.get("format", "int64"))
    return {"object": "any"}.get(kind, kind)


class Slice:
    """The types that are reachable from the kinds served."""

    def __init__(self, definitions: dict[str, Any]) -> None:
        self._definitions = {short(name): schema for name, schema in definitions.items()}
        self.types: dict[str, Any] = {}

    def kind_type(self, group: str, version: str, kind: str) -> str:
        """Return the name of a kind's type and take it in."""
        wanted = {"group": group, "version": version, "kind": kind}
        for name, schema in self._definitions.items():
            if wanted in schema.get("x-kubernetes-group-version-kind", ()):
                self._take(name)
                return name
        raise SystemExit(f"the definitions have no kind {kind} in {group or 'core'}/{version}")

    def _take(self, name: str) -> None:
        if name in self.types:
            return
        schema = self._definitions[name]
        packed: dict[str, Any] = {"fields": {}}
        self.types[name] = packed
        if schema.get("required"):
            packed["required"] = sorted(schema["required"])
        if schema.get("x-kubernetes-map-type") == "atomic":
            packed["atomic"] = 1
        for field, field_schema in sorted(schema["properties"].items()):
            packed["fields"][field] = self._field(field_schema)

    def _reference(self, reference: str) -> str:
        name = short(reference)
        if name in NAMED_SCALARS:
            return NAMED_SCALARS[name]
        if "properties" not in self._definitions[name]:
            return scalar(self._definitions[name])
        self._take(name)
        return "#" + name

    def _field(self, schema: dict[str, Any]) -> Any:
        extras: dict[str, Any] = {}
        if "x-kubernetes-patch-strategy" in schema:
            extras["strategy"] = schema["x-kubernetes-patch-strategy"]
        if schema.get("x-kubernetes-map-type") == "atomic":
            extras["atomic"] = 1
        if "$ref" in schema:
            reference = self._reference(schema["$ref"])
            return {"ref": reference[1:], **extras} if extras and reference.startswith("#") else reference
        if "items" in schema:
            return {"items": self._field(schema["items"]), **extras, **self._list_extras(schema)}
        if "additionalProperties" in schema:
            return {"values": self._field(schema["additionalProperties"]), **extras}
        return scalar(schema)

    @staticmethod
    def _list_extras(schema: dict[str, Any]) -> dict[str, Any]:
        extras: dict[str, Any] = {}
        if "x-kubernetes-patch-merge-key" in schema:
            extras["merge"] = schema["x-kubernetes-patch-merge-key"]
        if "x-kubernetes-list-type" in schema:
            extras["list"] = schema["x-kubernetes-list-type"]
        if "x-kubernetes-list-map-keys" in schema:
            extras["keys"] = schema["x-kubernetes-list-map-keys"]
        return extras


def main(definitions_path: Path) -> None:
    """Write the slice for every kind of the catalogue."""
    taken = Slice(json.loads(definitions_path.read_text())["$defs"])
    wanted = [(r.group, r.version, r.kind) for r in (*CATALOGUE, *VIEWS) if not r.is_read_only] + list(EXTRA_KINDS)
    kinds = {"/".join(one): taken.kind_type(*one) for one in wanted}
    text = json.dumps({"kinds": kinds, "types": taken.types}, sort_keys=True, separators=(",", ":"))
    OUTPUT.write_bytes(gzip.compress(text.encode(), compresslevel=9, mtime=0))
    print(f"{OUTPUT.name}: {len(kinds)} kinds, {len(taken.types)} types, {OUTPUT.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
