"""Typed readers of the fields of a kubeconfig's entry; each refuses in one line what it cannot be."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from typing import Any

from flametest.kube.errors import ContextError

__all__ = ["data_of", "flag_of", "malformed", "object_of", "text_of", "texts_of"]


def malformed(context: str, field: str, expected: str) -> ContextError:
    """Return the error for a field of a context that is not what it has to be; its value may be a secret."""
    return ContextError(f"context {context!r}: {field} is not {expected}", "fix the kubeconfig")


def text_of(context: str, entry: Mapping[str, Any], field: str) -> str:
    """Return a text; empty where there is none. A number is taken for its digits, as kubectl does."""
    value = entry.get(field)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise malformed(context, field, "a text")
    return str(value)


def flag_of(context: str, entry: Mapping[str, Any], field: str) -> bool:
    """Return a flag; False where there is none."""
    value = entry.get(field)
    if value is not None and not isinstance(value, bool):
        raise malformed(context, field, "true or false")
    return bool(value)


def texts_of(context: str, entry: Mapping[str, Any], field: str) -> tuple[str, ...]:
    """Return a list of texts; none where there is none."""
    value = entry.get(field)
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise malformed(context, field, "a list of texts")
    return tuple(text_of(context, {field: one}, field) for one in value)


def object_of(context: str, entry: Mapping[str, Any], field: str) -> Mapping[str, Any] | None:
    """Return an object, or None where there is none."""
    value = entry.get(field)
    if value is not None and not isinstance(value, Mapping):
        raise malformed(context, field, "an object")
    return value


def data_of(context: str, entry: Mapping[str, Any], field: str) -> bytes:
    """Return what ``field`` with ``-data`` behind it holds in base64, else what the file that it names holds.

    Raises:
        ContextError: it is no base64, or the file cannot be read.
    """
    text = text_of(context, entry, f"{field}-data")
    if text:
        try:
            return base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError) as error:
            raise malformed(context, f"{field}-data", "base64") from error
    path = text_of(context, entry, field)
    if not path:
        return b""
    try:
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:
        told = getattr(error, "strerror", None) or error
        raise ContextError(
            f"context {context!r}: {field} {path} cannot be read: {told}", "fix the kubeconfig"
        ) from error
