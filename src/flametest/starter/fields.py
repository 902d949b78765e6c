"""Fields of JSON objects that may be missing, empty or of another form than they should be. Pure."""

from collections.abc import Mapping
from typing import Any

__all__ = ["Object", "labels_of", "name_of", "part", "parts", "texts"]

Object = Mapping[str, Any]


def name_of(obj: Object) -> str:
    """Return an object's name."""
    return str(obj["metadata"]["name"])


def labels_of(obj: Object) -> dict[str, str]:
    """Return an object's labels."""
    return texts(part(obj, "metadata").get("labels"))


def part(obj: Object, key: str) -> Object:
    """Return what is below a key, or nothing where that is empty or of another form."""
    found = obj.get(key)
    return found if isinstance(found, Mapping) else {}


def parts(obj: Object, key: str) -> list[Object]:
    """Return the objects of the list below a key."""
    found = obj.get(key)
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def texts(value: object) -> dict[str, str]:
    """Return a mapping with texts as keys and values; empty for anything else."""
    return {str(key): str(text) for key, text in value.items()} if isinstance(value, Mapping) else {}
