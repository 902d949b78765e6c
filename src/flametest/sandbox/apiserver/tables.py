"""Tables: what ``kubectl get`` prints, made of an object's columns on the server, as a real API server does."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Literal

from flametest.sandbox.apiserver.resources import Resource
from flametest.sandbox.objects import Object

__all__ = ["IncludeObject", "partial_metadata", "table"]

IncludeObject = Literal["None", "Metadata", "Object"]


def partial_metadata(obj: Object) -> Object:
    """Return the object with nothing but its metadata."""
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def _definitions(resource: Resource) -> list[Object]:
    return [
        {
            "name": column.name,
            "type": column.type,
            "format": column.format,
            "description": "",
            "priority": 1 if column.wide else 0,
        }
        for column in resource.columns
    ]


def _row(resource: Resource, obj: Object, include: IncludeObject, now: datetime) -> Object:
    cells: list[Any] = [column.cell(obj, now) for column in resource.columns]
    row: Object = {"cells": cells}
    if include != "None":
        shown = obj if resource.show is None or include == "Metadata" else resource.show(obj)
        row["object"] = partial_metadata(shown) if include == "Metadata" else shown
    return row


def table(
    resource: Resource,
    objects: Iterable[Object],
    metadata: Object,
    include: IncludeObject,
    now: datetime,
    *,
    header: bool = True,
) -> Object:
    """Return the Table of objects; without ``header`` it has rows only, as the later events of a watch."""
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": _definitions(resource) if header else [],
        "rows": [_row(resource, obj, include, now) for obj in objects],
    }
