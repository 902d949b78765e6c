"""Columns of roles and their bindings."""

from datetime import datetime

from flametest.sandbox.apiserver.columns.basic import NAME, Column, basic_columns
from flametest.sandbox.objects import Object

__all__ = ["BINDING", "ROLE"]


def _subjects(kind: str) -> Column:
    def names(binding: Object, _: datetime) -> str:
        found = (one for one in binding.get("subjects") or () if one["kind"] == kind)
        return ", ".join(f"{one['namespace']}/{one['name']}" if "namespace" in one else one["name"] for one in found)

    return Column(f"{kind}s", names, wide=True)


ROLE = (NAME, Column("Created At", lambda obj, _: obj["metadata"].get("creationTimestamp", "")))
BINDING = (
    *basic_columns(Column("Role", lambda obj, _: f"{obj['roleRef']['kind']}/{obj['roleRef']['name']}")),
    _subjects("User"),
    _subjects("Group"),
    _subjects("ServiceAccount"),
)
