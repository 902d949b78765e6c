"""Whether an experiment gives a function of Flametest the arguments that it takes."""

import inspect
import typing
from collections.abc import Callable, Mapping
from typing import Any

from flametest.chaos.errors import MalformedExperimentError

__all__ = ["check_arguments"]


def check_arguments(activity: str, function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
    """Return if a function can be called with the arguments: none is missing, unknown, or of another type.

    Raises:
        MalformedExperimentError: it cannot; the message names the activity and the argument.
    """
    from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415 (slow to import)

    try:
        bound = inspect.signature(function).bind(**arguments)
    except TypeError as error:
        raise MalformedExperimentError(f"{activity!r} cannot be run: {error}", "fix its arguments") from error
    hints = typing.get_type_hints(function)
    for name, value in bound.arguments.items():
        try:
            TypeAdapter(hints.get(name, Any)).validate_python(value, strict=True)
        except ValidationError as error:
            told = error.errors(include_url=False)[0]["msg"].removeprefix("Input should be ")
            raise MalformedExperimentError(
                f"{activity!r} cannot be run: its {name} is {value!r}: expected {told}", "fix its arguments"
            ) from error
